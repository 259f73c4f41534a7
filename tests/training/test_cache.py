"""The cache: the ward's own windows, the truth beside them, and the same again when it is read."""

import csv
import hashlib
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ecg.synthetic import SyntheticPatient
from ecg.writer import write_record
from models.classes import AF, SINUS
from models.features.minirocket_leads import fit_shared, shared_config
from models.inputs import PPV_PER_LEAD, RATE, SAMPLES
from wardbeat.training import cache, identity, patients
from wardbeat.training.drawing import Tools, joined, rows_of, stack
from wardbeat.training.identity import drawn_by
from wardbeat.training.records import records_of
from wardbeat.training.sampler import load

INDEX = ("path", "dataset", "subject", "labels")


def write_data(folder: Path, scripts: dict[str, tuple[str, str]]) -> Path:
    """A data folder with ``ptbxl_z500`` records: name → (script, labels); returns the folder."""
    rows = []
    (folder / "ptbxl_z500").mkdir(parents=True)
    for seed, (name, (script, labels)) in enumerate(scripts.items()):
        write_record(SyntheticPatient(script, seed=seed).recording(name), folder / "ptbxl_z500" / name)
        rows.append((f"ptbxl_z500/{name}", "ptbxl_z500", f"patient-{seed}", labels))
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([INDEX, *rows])
    return folder


class Prepared(NamedTuple):
    """A data folder, the cache built from it, and what was told on the way."""

    data: Path
    out: Path
    built: cache.Built
    told: list[str]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Prepared:
    """A patient in sinus rhythm and one in AF; kernels and noise were there before."""
    folder = tmp_path_factory.mktemp("training")
    data = write_data(folder / "data", {"one": ("sinus 10s", "SR;NORM"), "two": ("af 10s", "AF;PVC")})
    out = folder / "cache"
    out.mkdir()
    rng = np.random.default_rng(0)
    steps = (rng.normal(size=(8, 12, SAMPLES)).cumsum(axis=2) * 3).clip(-303, 303).astype(np.int16)
    kernels = fit_shared(steps, np.ones(steps.shape, np.bool_), shared_config(RATE, PPV_PER_LEAD, 1.0))
    save_file(dict(kernels.arrays()), out / cache.MINIROCKET)
    save_file({"noise": rng.normal(size=(5, 2500)).astype(np.float32)}, out / cache.NOISE_BANK)
    told: list[str] = []
    (built,) = cache.build(data, out, ["ptbxl_z500"], workers=2, report=told.append)
    return Prepared(data, out, built, told)


def shared(prepared: Prepared, folder: Path) -> Path:
    """A new cache folder with the same kernels and noise."""
    folder.mkdir()
    for name in (cache.MINIROCKET, cache.NOISE_BANK):
        shutil.copy(prepared.out / name, folder / name)
    return folder


def test_a_cache_is_read_as_it_was_built(prepared):
    """Training sees each record through all sets of leads, with its own truth and subject."""
    held = load(prepared.out / "ptbxl_z500.npz")
    assert prepared.built == cache.Built("ptbxl_z500", len(held))
    assert f"ptbxl_z500: {len(held)} windows" in prepared.told[-1]
    assert set(held.record) == {"ptbxl_z500/one", "ptbxl_z500/two"}
    assert set(held.subject) == {"patient-0", "patient-1"}
    clean = ~held.augmented
    assert sorted(held.leads_name[clean & (held.subject == "patient-1")]) == sorted(
        ["12", "limb", "I+II+V1", "I", "II", "V1"]
    )
    assert held.end_s[clean].tolist() == [10.0] * clean.sum()
    # two augmented copies of the rare record and one of the other, each through two sets of leads
    assert (held.augmented & (held.subject == "patient-1")).sum() == 4
    assert (held.augmented & (held.subject == "patient-0")).sum() == 2
    af = held.subject == "patient-1"
    assert held.rhythm_target[af][:, AF].tolist() == [1] * af.sum()
    assert held.rhythm_target[~af][:, SINUS].tolist() == [1] * (~af).sum()
    assert np.isnan(held.seconds_target[af]).all()
    assert np.isfinite(held.seconds_target[~af]).all()
    counts = np.diff(held.start)
    assert set(counts[held.leads_name == "12"]) == {12}
    assert set(counts[held.leads_name == "V1"]) == {1}
    twelve = int(np.flatnonzero(held.leads_name == "12")[0])
    batch = held.batch(np.array([twelve]))
    assert batch.leads.all()
    assert np.abs(batch.signal[0]).max(axis=1).min() > 20  # every lead's own scale
    assert (batch.ppv > 0).any()


def test_what_is_there_is_kept(prepared):
    """A build that was cut off goes on with the next dataset, and a built one is not drawn again."""
    data, out = prepared.data, prepared.out
    before = (out / "ptbxl_z500.npz").stat().st_mtime_ns
    told: list[str] = []
    (built,) = cache.build(data, out, ["ptbxl_z500"], workers=1, report=told.append)
    assert (out / "ptbxl_z500.npz").stat().st_mtime_ns == before
    assert built == cache.Built("ptbxl_z500", 0)
    assert told == ["ptbxl_z500: is there"]
    assert not list(out.glob("*.part"))


def test_unknown_datasets_are_refused(prepared, tmp_path):
    """A misspelt dataset must not leave half a cache behind."""
    data = prepared.data
    with pytest.raises(ValueError, match="'ptbxl_z50'"):
        cache.build(data, tmp_path / "new", ["ptbxl_z500", "ptbxl_z50"], workers=1)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="no record of dataset 'mitdb'"):
        records_of(data, "mitdb")


def test_each_minute_of_a_synthetic_patient_is_the_same_again():
    """The patients are named by their number alone."""
    one, again = patients.patient(3), patients.patient(3)
    assert np.array_equal(one.microvolts, again.microvolts, equal_nan=True)
    assert one.seconds >= 45


@pytest.mark.parametrize("kind", patients.KINDS)
def test_scripts_of_all_kinds_can_be_played(kind):
    """Rates and blocks are drawn; none of them may be refused by the generator in the middle of a build."""
    for seed in range(12):
        SyntheticPatient(patients.script_of(kind, np.random.default_rng(seed)), seed=seed)


def test_a_damaged_record_is_counted_and_told(prepared, tmp_path):
    """One bad file must neither stop a build of hours nor vanish from its account; nothing but bad ones is an error."""
    data = write_data(tmp_path / "data", {"good": ("sinus 10s", "SR"), "bad": ("sinus 10s", "SR")})
    (data / "ptbxl_z500" / "bad.hea").write_text("nonsense")
    with (data / "index.csv").open("a") as file:
        file.write("ptbxl_z500/bad,mitdb,one,N\nptbxl_z500/none,mitdb,two,N\n")
    out = shared(prepared, tmp_path / "out")
    told: list[str] = []
    with pytest.raises(ValueError, match=r"no window of dataset 'mitdb'.*2 records failed, the first: RecordError"):
        cache.build(data, out, ["ptbxl_z500", "mitdb"], workers=1, report=told.append)
    assert not (out / "mitdb.npz").exists()
    assert any("ptbxl_z500/bad failed: RecordError" in line for line in told)
    assert any("1 records failed" in line for line in told)
    assert set(load(out / "ptbxl_z500.npz").record) == {"ptbxl_z500/good"}


def test_the_same_build_gives_the_same_bytes(prepared):
    """A published run can be repeated: no copy depends on the worker, the hour or the process."""
    data, out = prepared.data, prepared.out
    tools = Tools(data, cache.load_minirocket(out), load_file(out / cache.NOISE_BANK)["noise"])
    here = joined([stack(rows_of(record, tools)) for record in records_of(data, "ptbxl_z500")])
    with np.load(out / "ptbxl_z500.npz") as built:  # by two other processes
        assert set(built.files) == {*here, "identity"}
        for name, array in here.items():
            assert built[name].tobytes() == array.tobytes(), name


def test_kernels_of_a_cache(prepared, tmp_path):
    """The kernels that drew the windows are those that are shipped; a cache without them is no cache."""
    kernels = cache.load_minirocket(prepared.out)
    assert len(kernels.biases) == 12 * PPV_PER_LEAD
    with pytest.raises(ValueError, match=r"no minirocket\.safetensors"):
        cache.load_minirocket(tmp_path)
    (tmp_path / cache.MINIROCKET).write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"minirocket\.safetensors"):
        cache.load_minirocket(tmp_path)


def test_kernels_are_fitted_on_what_nobody_is_judged_by(tmp_path, monkeypatch):
    """Zero-shot means that biases, too, are of other people: an index with nothing else is enough, and is needed."""
    assert cache.FITTED_ON not in cache.DATASETS
    monkeypatch.setattr(cache, "FITTED_PATIENTS", 6)
    data = write_data(tmp_path, {"judged": ("sinus 10s", "SR")})
    with pytest.raises(ValueError, match="no record of dataset 'cinc2015'"):
        cache.fit_minirocket(data)
    with (data / "index.csv").open("a") as file:
        file.write("ptbxl_z500/judged,cinc2015,one,ASYS-FALSE\n")
    kernels = cache.fit_minirocket(data)
    assert len(kernels.biases) == 12 * PPV_PER_LEAD
    assert len(np.unique(kernels.biases)) > PPV_PER_LEAD / 4  # of a moving signal
    (data / "index.csv").write_text(",".join(INDEX) + "\nptbxl_z500/judged,cinc2015,one,ASYS-FALSE\n")
    assert np.array_equal(cache.fit_minirocket(data).biases, kernels.biases)
    monkeypatch.setattr(cache, "FITTED_PATIENTS", 7)
    assert not np.array_equal(cache.fit_minirocket(data).biases, kernels.biases)


def test_windows_of_other_kernels_are_not_kept(prepared, tmp_path):
    """Windows of two makings in one cache: the network would learn numbers that no ward gives it."""
    out = shared(prepared, tmp_path / "out")
    shutil.copy(prepared.out / "ptbxl_z500.npz", out)
    assert len(load(out / "ptbxl_z500.npz")) == prepared.built.windows
    old = hashlib.sha256((out / cache.MINIROCKET).read_bytes()).hexdigest()[:12]
    kernels = load_file(out / cache.MINIROCKET)
    kernels["biases"][0] += 1
    save_file(kernels, out / cache.MINIROCKET)
    new = hashlib.sha256((out / cache.MINIROCKET).read_bytes()).hexdigest()[:12]
    with pytest.raises(ValueError, match=f"ptbxl_z500.npz was drawn by .*{old}.* have .*{new}"):
        load(out / "ptbxl_z500.npz")
    with pytest.raises(
        ValueError, match=f"ptbxl_z500.npz was drawn by .*{old}.* by .*{new}.*: begin in an empty folder"
    ):
        cache.build(prepared.data, out, ["ptbxl_z500"], workers=1, report=[].append)
    with np.load(out / "ptbxl_z500.npz") as arrays:
        without = {name: arrays[name] for name in arrays.files if name != "identity"}
    np.savez(out / "ptbxl_z500.npz", **without)
    with pytest.raises(ValueError, match="drawn by None"):
        cache.build(prepared.data, out, ["ptbxl_z500"], workers=1, report=[].append)


@pytest.mark.parametrize("changed", ["ecg/beats.py", "models/features/atrial.py", "wardbeat/training/labels.py"])
def test_windows_of_other_code_are_not_kept(prepared, tmp_path, monkeypatch, changed):
    """A build that goes on after labels or features were changed would mix both; what is whole can still be read."""
    out = shared(prepared, tmp_path / "out")
    shutil.copy(prepared.out / "ptbxl_z500.npz", out)
    before = drawn_by(out)["code"]
    source = tmp_path / "source"
    for name in ("ecg", "windowing", "models", "stream", "wardbeat"):
        shutil.copytree(identity._ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(identity, "_ROOT", source)
    identity._code.cache_clear()
    try:
        cache.build(prepared.data, out, ["ptbxl_z500"], workers=1, report=[].append)
        with (source / changed).open("a") as file:
            file.write("# another\n")
        identity._code.cache_clear()
        after = drawn_by(out)["code"]
        with pytest.raises(ValueError, match=f"drawn by .*{before}.* by .*{after}.*: begin in an empty folder"):
            cache.build(prepared.data, out, ["ptbxl_z500"], workers=1, report=[].append)
        assert len(load(out / "ptbxl_z500.npz")) == prepared.built.windows
    finally:
        identity._code.cache_clear()


def test_what_is_asked_wrongly_is_said(prepared):
    """Protects from an hour's drawing of something else than was meant: the value is quoted."""
    with pytest.raises(ValueError, match="unknown dataset 'ptbxl_z5000'; known: "):
        cache.build(prepared.data, prepared.out, ["ptbxl_z5000"], workers=1, report=[].append)
    with pytest.raises(ValueError, match="workers is 0"):
        cache.build(prepared.data, prepared.out, ["ptbxl_z500"], workers=0, report=[].append)
