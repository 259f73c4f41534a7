"""Who judges what, and what that network had seen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg.readers import RecordError
from ecg.recording import Recording
from ecg.writer import write_record
from tests.evaluation.databases import SEED, random_model, write_databases
from wardbeat.evaluation.datasets import DATABASES, group_of
from wardbeat.evaluation.networks import UNLABELLED, Seen, held_out, judges, left_out_file, model_of
from wardbeat.evaluation.run import Request, report_of
from wardbeat.training.cache import FITTED_ON
from wardbeat.training.config import TrainingConfig
from wardbeat.training.noise import noise_bank
from wardbeat.training.records import Record
from wardbeat.training.sampler import Split, split_of


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three databases, and weights beside which left-out networks may lie."""
    monkeypatch.setenv("WARDBEAT_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights" / "left_out").mkdir(parents=True)
    random_model(tmp_path / "weights" / "model.safetensors")
    return write_databases(tmp_path)


def left_out(tmp_path: Path, name: str, *groups: str) -> Path:
    path = tmp_path / "weights" / "left_out" / f"{name}.safetensors"
    random_model(path, left_out=groups)
    return path


def test_a_file_judges_what_it_says_that_it_left_out(tmp_path: Path, data: Path) -> None:
    """Protects "zero-shot": not the file's name counts but what it says; one file serves all groups that it names."""
    fold = left_out(tmp_path, "fold1", "ptbxl", "cpsc2021")
    left_out(tmp_path, "nsrdb_rr", "mitdb")
    first, second = judges(data, ("ptbxl_native500", "cpsc2021"), None, True)
    assert (first.weights, second.weights) == (fold, fold)
    assert (first.seen, first.left_out, first.model) == (Seen.NOTHING, ("ptbxl", "cpsc2021"), model_of(fold).name)
    with pytest.raises(ValueError, match=r"no network that never saw nsrdb_rr; train one with left_out = \('afpdb',\)"):
        judges(data, ("nsrdb_rr",), None, True)
    assert (group_of("nsrdb_rr"), group_of("cpsc2021")) == ("afpdb", "cpsc2021")


def test_copies_are_one_network_and_two_networks_are_a_question(tmp_path: Path, data: Path) -> None:
    """Protects from figures of whichever file came first: only a copy may stand beside it."""
    assert left_out_file("cpsc2021") is None
    one = left_out(tmp_path, "a", "ptbxl", "cpsc2021")
    left_out(tmp_path, "b", "ptbxl", "cpsc2021")
    assert left_out_file("cpsc2021") == one
    left_out(tmp_path, "c", "cpsc2021")
    with pytest.raises(ValueError, match=r"several networks left out cpsc2021: .*a\.safetensors, .*c\.safetensors"):
        judges(data, ("cpsc2021",), None, True)


def test_what_no_network_left_out_is_judged_on_patients_it_did_not_learn_from(tmp_path: Path) -> None:
    """Protects "all": a database that every network saw is never called unseen, and none of its pupils is judged."""
    records = [Record("chapman_ningbo", f"r{k}", f"s{k}") for k in range(200)]
    model = random_model(tmp_path / "model.safetensors")
    kept = held_out(records, model)
    assert 10 < len(kept) < 60
    assert {str(split_of(record.subject, SEED)) for record in kept} == {Split.CALIBRATION, Split.VALIDATION}
    with pytest.raises(ValueError, match="names no seed: None"):
        held_out(records, replace(model, training={}))


def test_all_is_each_database_there_is(tmp_path: Path, data: Path) -> None:
    """Protects the one command: with synthetic patients, which every network has seen the like of; and not silently."""
    left_out(tmp_path, "fold1", "ptbxl", "cpsc2021")
    with pytest.raises(ValueError, match="no record of dataset 'ptbxl_z500'"):
        judges(data, (), None, True)
    (synthetic,) = judges(data, ("synthetic",), None, True)
    assert (synthetic.seen, len(synthetic.records)) == (Seen.GENERATOR, synthetic.of)
    assert synthetic.weights == tmp_path / "weights" / "model.safetensors"
    assert "synthetic" in DATABASES


def test_what_every_network_had_without_labels_is_told(data: Path, tmp_path: Path) -> None:
    """Protects "nothing of it": MiniRocket's biases are of nobody who is judged; the noise bank serves all folds."""
    bank_of = ("cinc2011", "cinc2015")
    loud = np.random.default_rng(0).normal(0, 300, (2, 250 * 30)).astype(np.float32)
    with (data / "index.csv").open("a", encoding="utf-8") as file:
        file.writelines(f"{name}/bad,{name},bad,UNACCEPTABLE\n" for name in {*DATABASES, *bank_of})
    for name in bank_of:
        with pytest.raises(RecordError, match=f"{name}/bad"):
            noise_bank(data)
        (data / name).mkdir()
        write_record(Recording("bad", 250, ("I", "II"), loud), data / name / "bad")
    assert len(noise_bank(data)), "of the other databases' bad records no file is there to be read"
    assert {*bank_of, FITTED_ON} & set(DATABASES) == set(UNLABELLED)
    left_out(tmp_path, "fold1", "ptbxl", "cpsc2021")
    assert [each.unlabelled for each in judges(data, ("ptbxl_native500",), None, True)] == [""]
    left_out(tmp_path, "fold2", "mitdb", "cinc2011")
    added, judge = judges(data, ("nstdb_118", "cinc2011"), None, True)
    assert (added.seen, added.unlabelled) == (Seen.NOTHING, "")
    assert (judge.seen, judge.unlabelled) == (Seen.NOTHING, UNLABELLED["cinc2011"])
    report = report_of([], Request(("cinc2011",), data, left_out=True), (judge,))
    assert report.networks[0].unlabelled == judge.unlabelled
    assert "All networks had something without labels of cinc2011" in report.protocol
    assert "chosen by people who looked at some of them" in report.protocol


@pytest.mark.usefixtures("data")
def test_a_database_and_its_noisy_copy_are_left_out_together(tmp_path: Path) -> None:
    """Protects MIT-BIH 118: the network that left out mitdb did not learn from the noise stress test's copies of it."""
    fold = left_out(tmp_path, "fold", "mitdb")
    assert left_out_file("nstdb_118") == left_out_file("mitdb") == fold
    assert TrainingConfig("cache", "run", left_out=("mitdb",)).left_out_datasets == {"mitdb", "nstdb_118"}


def test_what_contradicts_itself_is_refused(data: Path) -> None:
    """Protects from a report of other networks than was asked for."""
    with pytest.raises(ValueError, match="contradicts"):
        Request(("cpsc2021",), data, data / "x.safetensors", left_out=True)
    with pytest.raises(ValueError, match="unknown database 'mitbih'"):
        Request(("mitbih",), data)
