"""Recordings under noise: nobody reads them, they are called noise, and they follow their patient out of training."""

import csv
from pathlib import Path

import numpy as np
import pytest

from ecg.beats import BeatDetector
from ecg.leads import LEADS
from ecg.recording import Recording
from ecg.synthetic import SyntheticPatient
from ecg.writer import write_record
from models.classes import AF, NOISE, RHYTHMS, SINUS
from models.features.minirocket_leads import fit_shared, shared_config
from models.inputs import PPV_PER_LEAD, RATE, SAMPLES
from stream.offline import CHUNK_S, uv_per_bit
from wardbeat.training import cache, drowned
from wardbeat.training.augment import rng_of
from wardbeat.training.config import TrainingConfig
from wardbeat.training.drawing import Tools, joined, rows_of_drowned, stack
from wardbeat.training.identity import drawn_by, stored
from wardbeat.training.noise import without_beats
from wardbeat.training.records import LIMB, TELEMETRY, Record
from wardbeat.training.sampler import Split, load, splits
from windowing.assembler import Assembler
from windowing.spans import ANALYSIS_FS, Span

INDEX = ("path", "dataset", "subject", "labels")


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Something rough of RMS 1, slower than a QRS."""
    return np.random.default_rng(1).normal(size=(9, 2512)).cumsum(axis=1)[:, 12:].astype(np.float32) / 20


def beats_s(recording: Recording) -> np.ndarray:
    """Seconds at which the ward finds beats."""
    assembler, detector, found = Assembler(hop_s=5.0), BeatDetector(), []
    for chunk in recording.chunks("bed", seconds=CHUNK_S, uv_per_bit=uv_per_bit(recording)):
        for item in assembler.push(chunk):
            if isinstance(item, Span):
                found.append(detector.push(item.microvolts, item.mask).sample)
    return np.concatenate(found) / ANALYSIS_FS


def agreement(found: np.ndarray, true: np.ndarray) -> float:
    """F1 of beats found within 0.1 s."""
    if not len(found):
        return 0.0
    near = np.abs(found[:, None] - true) < 0.1
    return 2 * near.any(axis=0).sum() / (len(found) + len(true))


@pytest.mark.parametrize("leads", [LEADS, ("I", "II", "V1"), ("II",)])
def test_nobody_reads_a_drowned_recording(noise, leads):
    """What is called noise must be: in a readable window the rhythm would be learnt as none."""
    found = {True: [], False: []}
    for seed in range(12):
        patient = SyntheticPatient("sinus(rate=75) 12s", seed=seed, leads=leads)
        under = drowned.drowned(patient.recording(), noise, rng_of("made", seed))
        found[under.whole].append(agreement(beats_s(under.recording), patient.beats / patient.fs))
        assert under.recording.leads == leads
    assert len(found[True]) >= 5
    assert np.mean(found[True]) < 0.45  # what falls within 0.1 s of a beat by chance
    assert max(found[True]) < 0.75
    assert np.mean(found[False] or [1.0]) > 0.9
    assert min(found[False], default=1.0) > 0.75
    assert bool(found[False]) == (len(leads) > 1)


def test_no_second_of_it_is_clear(noise):
    """The seconds are learnt one by one: a lull in the noise, with two beats in it, would be a false one."""
    lulls = noise.copy()
    lulls[:, 400:2100] *= 0.01
    for seed in range(8):
        clean = SyntheticPatient("sinus(rate=75) 12s", seed=seed, leads=("II",)).recording()
        under = drowned.drowned(clean, lulls, rng_of("made", seed)).recording
        one, two = (np.diff(x.microvolts[0]).reshape(-1)[: 11 * 500].reshape(11, 500) for x in (clean, under))
        alike = [abs(np.corrcoef(a, b)[0, 1]) for a, b in zip(one, two, strict=True)]
        assert max(alike) < 0.6


def test_a_drowned_recording_follows_from_its_record(noise):
    """A cache that is built again must be the same cache."""
    clean = SyntheticPatient("af 10s", seed=1).recording()
    one, again, other = (drowned.drowned(clean, noise, rng_of("made", k)).recording.microvolts for k in (1, 1, 2))
    assert one.tobytes() == again.tobytes()
    assert not np.array_equal(one, other)
    assert np.array_equal(clean.microvolts, SyntheticPatient("af 10s", seed=1).recording().microvolts)


def test_what_was_not_measured_stays_so(noise):
    """A lead that was off is not noisy, it is off."""
    gap = SyntheticPatient("sinus 3s, sinus+leads_off(V1) 4s, sinus 3s", seed=1).recording()
    for k in range(6):
        under = drowned.drowned(gap, noise, rng_of("gap", k)).recording.microvolts
        assert np.array_equal(np.isnan(under), np.isnan(gap.microvolts))


def test_pieces_of_long_recordings_keep_their_time():
    """The window of a piece is found again in its record, and its annotations are those of that time."""
    long = SyntheticPatient("sinus 40s, af 60s", seed=2, fs=250, leads=("I", "II")).recording()
    cuts = list(drowned.pieces(long, "mitdb", np.random.default_rng(3)))
    assert len(cuts) == drowned.PIECES["mitdb"]
    for start_s, piece in cuts:
        assert piece.seconds == drowned.PIECE_S
        first = round(start_s * 250)
        assert np.array_equal(piece.microvolts, long.microvolts[:, first : first + piece.microvolts.shape[1]])
        assert (piece.beats + first).tolist() == [b for b in long.beats if first <= b < first + 250 * drowned.PIECE_S]
        af = [r.onset + first for r in piece.rhythms if r.name == "(AFIB"]
        assert af in ([], [max(10_000, first)])
    short = SyntheticPatient("sinus 10s", seed=2).recording()
    assert list(drowned.pieces(short, "ptbxl_z500", np.random.default_rng(3))) == [(0.0, short)]


def write_data(folder: Path) -> Path:
    """Two PTB-XL records, one of CPSC 2018, and one that is unacceptable."""
    rows = [INDEX]
    made = [
        ("ptbxl_z500", "sinus 10s", "SR"),
        ("ptbxl_z500", "af 10s", "AF"),
        ("cpsc2018", "sinus 10s", "SR"),
        ("cinc2011", "sinus 10s", "UNACCEPTABLE"),
    ]
    for seed, (dataset, script, label) in enumerate(made):
        path = f"{dataset}/{seed}"
        (folder / dataset).mkdir(parents=True, exist_ok=True)
        rows.append((path, dataset, f"{dataset}-{seed}", label))
        write_record(SyntheticPatient(script, seed=seed).recording(path), folder / path)
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return folder


def tools_of(data: Path, noise: np.ndarray) -> Tools:
    """Kernels of something random."""
    steps = (np.random.default_rng(0).normal(size=(8, 12, SAMPLES)).cumsum(axis=2) * 3).clip(-303, 303)
    kernels = fit_shared(steps.astype(np.int16), np.ones(steps.shape, np.bool_), shared_config(RATE, PPV_PER_LEAD, 1.0))
    return Tools(data, kernels, noise)


def test_a_patient_left_out_is_left_out_under_noise_too(tmp_path, noise):
    """A database that is left out must not come back by its drowned copies: what is under the noise is its signal."""
    data = write_data(tmp_path / "data")
    tools, out = tools_of(data, noise), tmp_path / "cache"
    out.mkdir()
    rows = [row for record in drowned.drowned_records(data) for row in rows_of_drowned(record, tools)]
    identity = stored(drawn_by(out))
    np.savez(out / "drowned.npz", **joined([stack(rows)]), identity=identity)
    ptbxl = [row for row in rows if row.record.dataset == "ptbxl_z500"]
    np.savez(out / "ptbxl_z500.npz", **joined([stack(ptbxl)]), identity=identity)
    datasets = [load(out / name) for name in ("drowned.npz", "ptbxl_z500.npz")]
    split = splits(datasets, TrainingConfig("c", "r", left_out=("ptbxl",)))["drowned"]
    from_ptbxl = np.char.startswith(datasets[0].subject, "ptbxl")
    assert from_ptbxl.any()
    assert (split[from_ptbxl] == Split.LEFT_OUT).all()
    assert (split[~from_ptbxl] != Split.LEFT_OUT).all()
    assert set(datasets[0].subject) == {"ptbxl_z500-0", "ptbxl_z500-1", "cpsc2018-2"}


def test_the_truth_under_noise(tmp_path, noise):
    """Wholly drowned: noise in the window and in each second. In part: what the record says."""
    data = write_data(tmp_path)
    tools = tools_of(data, noise)
    af = next(record for record in drowned.drowned_records(data) if "AF" in record.labels)
    seen = set()
    for k in range(12):  # other names, other draws
        (tmp_path / "ptbxl_z500" / f"{k}x.hea").write_bytes((tmp_path / "ptbxl_z500" / "1.hea").read_bytes())
        rows = rows_of_drowned(Record("ptbxl_z500", f"ptbxl_z500/{k}x", af.subject, af.labels), tools)
        for row in rows:
            assert row.augmented
            if row.truth.rhythm[NOISE] == 1:
                assert np.array_equal(row.truth.rhythm, np.eye(len(RHYTHMS), dtype=np.float32)[NOISE])
                assert (row.truth.seconds == row.truth.rhythm).all()
                assert np.isnan(row.truth.findings).all()
            else:
                assert row.truth.rhythm[AF] == 1
                assert row.truth.rhythm[NOISE] == 0
                assert row.drawn.leads.sum() > 1
            seen.add(float(row.truth.rhythm[NOISE]))
    assert seen == {0.0, 1.0}


def test_which_records_are_drowned(tmp_path):
    """All with AF, none that is noise already, of what databases there are; none at all is an error."""
    data = write_data(tmp_path)
    records = drowned.drowned_records(data)
    assert [record.path for record in records] == ["ptbxl_z500/0", "ptbxl_z500/1", "cpsc2018/2"]
    rows = [("a/b", "ptbxl_z500", f"s{k}", "AF" if k % 10 == 0 else "SR") for k in range(1000)]
    with (data / "index.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([INDEX, *rows])
    many = drowned.drowned_records(data)
    assert len(many) == drowned.DRAWN_FROM["ptbxl_z500"]
    assert sum("AF" in record.labels for record in many) == 100
    assert drowned.drowned_records(data) == many
    (data / "index.csv").write_text(",".join(INDEX) + "\n")
    with pytest.raises(ValueError, match="no record of ptbxl_z500, "):
        drowned.drowned_records(data)
    with pytest.raises(ValueError, match="'drownd'"):
        cache.build(data, tmp_path / "out", ["drownd"], workers=1)


def test_single_and_several_leads():
    """A handheld's one lead and a ward's twelve are drowned alike; a lead is never named twice."""
    seen = set()
    for k in range(40):
        several, single = drowned.lead_sets(LEADS, np.random.default_rng(k))
        assert len(single) == 1
        assert list(several) == [lead for lead in LEADS if lead in several]
        assert len(several) > 1
        seen.add(several)
    assert {LEADS, LIMB, TELEMETRY} < seen
    assert drowned.lead_sets(("I", "II"), np.random.default_rng(0))[0] == ("I", "II")


@pytest.mark.parametrize(("seconds", "known"), [(40, False), (28, True)])
def test_seconds_of_a_piece_are_known_by_its_records_length(tmp_path, noise, seconds, known, monkeypatch):
    """A label of 40 s of sinus rhythm does not say which of its seconds are: no 20 s cut from it may say so either."""
    (tmp_path / "cpsc2018").mkdir()
    write_record(SyntheticPatient(f"sinus {seconds}s", seed=3).recording("long"), tmp_path / "cpsc2018" / "long")
    monkeypatch.setattr(drowned, "WHOLLY", 0.0)  # some leads can be read, and the rhythm holds
    rows = rows_of_drowned(Record("cpsc2018", "cpsc2018/long", "s", ("SR",)), tools_of(tmp_path, noise))
    rows = [row for row in rows if row.truth.rhythm[NOISE] == 0]
    assert rows
    for row in rows:
        assert row.truth.rhythm[SINUS] == 1
        assert (row.truth.seconds[:, AF] == 0).all()
        assert np.isfinite(row.truth.seconds[:, SINUS]).all() == known
        assert np.isfinite(row.truth.seconds[:, SINUS]).any() == known


def test_an_ecg_is_no_noise():
    """A bad lead with another patient's beats in it, laid over a window, would show a rhythm that is called none."""
    scripts = [f"tachy(rate={rate}) 10s" for rate in (105, 120, 140, 160)]
    ecg = [SyntheticPatient(script, 3, fs=250, leads=("II",)).recording().microvolts[0] / 200 for script in scripts]
    rng = np.random.default_rng(0)
    motion = rng.normal(size=(30, 2500)).cumsum(axis=1) / 20
    bank = np.concatenate([np.stack(ecg), motion]).astype(np.float32)
    kept = without_beats(bank)
    assert len(kept) >= 28
    assert not any((kept == each).all(axis=1).any() for each in bank[:4])
