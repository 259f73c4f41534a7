"""Who judges what, and what that network had seen."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.evaluation.databases import SEED, random_model, write_databases
from wardbeat.evaluation.datasets import DATABASES, group_of
from wardbeat.evaluation.networks import Seen, held_out, judges, left_out_file, model_of
from wardbeat.evaluation.run import Request
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


def test_what_contradicts_itself_is_refused(data: Path) -> None:
    """Protects from a report of other networks than was asked for."""
    with pytest.raises(ValueError, match="contradicts"):
        Request(("cpsc2021",), data, data / "x.safetensors", left_out=True)
    with pytest.raises(ValueError, match="unknown database 'mitbih'"):
        Request(("mitbih",), data)
