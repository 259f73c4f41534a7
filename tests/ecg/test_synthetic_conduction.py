"""Wide beats, pacemakers, ectopy over any rhythm: they look like the textbook, and older scripts play as before."""

import json
from pathlib import Path

import numpy as np
import pytest

from ecg.leads import LEADS
from ecg.recording import Rhythm
from ecg.synthetic import SyntheticPatient

BEFORE = json.loads(Path(__file__).with_name("synthetic_before.json").read_text())
FS = 500


def mean_beat(script: str, seed: int, symbol: str) -> dict[str, np.ndarray]:
    """Lead → (450,) µV mean of the beats of one symbol from 0.4 s before R on, from its PQ level."""
    patient = SyntheticPatient(script, seed)
    signal = patient.microvolts(0, patient.n_samples)
    at = [
        beat
        for beat, each in zip(patient.beats.tolist(), patient.beat_symbols, strict=True)
        if each == symbol and 200 <= beat < patient.n_samples - 250
    ]
    assert len(at) > 10
    mean = np.mean([signal[:, beat - 200 : beat + 250] for beat in at], axis=0)
    return dict(zip(LEADS, mean - mean[:, 130:150].mean(axis=1, keepdims=True), strict=True))


def qrs_ms(beat: dict[str, np.ndarray]) -> float:
    """Duration in which the twelve leads together move fast."""
    speed = np.abs(np.diff(np.stack(list(beat.values())), axis=1)).max(axis=0)[130:300]
    fast = np.flatnonzero(speed > 0.12 * speed.max())
    return float(fast[-1] - fast[0]) * 1000 / FS


@pytest.mark.parametrize("before", BEFORE, ids=lambda before: before["script"][:12])
def test_older_scripts_play_as_before(before):
    """A recording of an older version is the same patient again: beats, rhythms and samples have not moved.

    A processor's last bit of an exponential may round a sample to the next count.
    """
    patient = SyntheticPatient(before["script"], before["seed"])
    assert patient.beats.tolist() == before["beats"]
    assert "".join(patient.beat_symbols) == before["symbols"]
    assert patient.rhythms == tuple(Rhythm(*each) for each in before["rhythms"])
    rows = [LEADS.index(lead) for lead in ("I", "II", "V1", "V5")]
    counts = patient.render(0, patient.n_samples)[rows][:, ::701].astype(int)
    assert np.abs(counts - np.array(before["counts"])).max() <= 1


@pytest.mark.parametrize("seed", range(6))
def test_left_bundle_branch_block(seed):
    """V1 negative, broad R without q and with T against it in I and V6, 120 ms and more, annotated L."""
    beat = mean_beat("sinus(rate=70)+lbbb 40s", seed, "L")
    assert qrs_ms(beat) >= 120
    assert beat["V1"].min() < -400
    assert beat["V1"].max() < -0.7 * beat["V1"].min()
    for lead in ("I", "V6"):
        qrs, t = beat[lead][150:270], beat[lead][280:420]
        assert qrs.max() > 200
        assert qrs[:50].min() > -0.1 * qrs.max()
        assert t.min() < -60
    assert beat["V1"][280:420].max() > 100


@pytest.mark.parametrize("seed", range(6))
def test_right_bundle_branch_block(seed):
    """rsR' in V1, a late S in I and V6, annotated R."""
    beat = mean_beat("sinus(rate=70)+rbbb 40s", seed, "R")
    assert qrs_ms(beat) >= 110
    v1 = beat["V1"][160:270]
    s = int(np.argmin(v1))
    assert v1[:s].max() > 60
    assert v1[s] < -150
    assert v1[s:].max() > 2 * v1[:s].max()
    for lead in ("I", "V6"):
        r = int(np.argmax(beat[lead][170:230]))
        assert beat[lead][170 + r : 270].min() < -120


def test_intraventricular_delay_is_wide_and_looks_like_neither():
    """A delay without a bundle branch's pattern keeps the shape of the normal QRS; its beats are N."""
    for seed in range(4):
        narrow, wide = (mean_beat(f"sinus(rate=70){over} 40s", seed, "N") for over in ("", "+ivcd"))
        assert qrs_ms(wide) > 1.5 * qrs_ms(narrow)
        for lead in ("V1", "V6", "II"):
            one, other = (beat[lead][150:260] for beat in (narrow, wide))
            assert np.sign(one[np.argmax(np.abs(one))]) == np.sign(other[np.argmax(np.abs(other))])


@pytest.mark.parametrize("atria", ["sinus", "af", "paced"])
def test_paced_beats(atria):
    """Regular wide beats, negative in II and V1, each led by a spike of some milliseconds, annotated as paced."""
    for seed in range(4):
        patient = SyntheticPatient(f"paced(rate=75, atria={atria}) 40s", seed)
        rr = np.diff(patient.beats) / FS
        assert set(patient.beat_symbols) == {"/"}
        assert rr.mean() == pytest.approx(0.8, rel=0.02)
        assert rr.std() < (0.06 if atria == "sinus" else 0.003)
        beat = mean_beat(f"paced(rate=75, atria={atria}) 40s", seed, "/")
        assert qrs_ms(beat) >= 120
        assert beat["II"][150:270].min() < -250
        assert beat["V1"][150:270].min() < -250
        spike = patient.traits.spike_uv
        assert 100 < np.linalg.norm(spike) < 3000
        jump = np.abs(np.diff(np.stack(list(beat.values())), n=2, axis=1)).max(axis=0)[100:170]
        assert jump.max() > 8 * np.median(jump)
        assert patient.rhythms == (Rhythm("(AFIB" if atria == "af" else "(P", 0, patient.n_samples),)


def test_what_the_atria_do_under_a_pacemaker():
    """P before each beat, or f waves that go on as in AF: without QRS and T, both are what they are without it."""
    for seed in range(4):
        before = {}
        for atria in ("sinus", "af"):
            patient = SyntheticPatient(f"paced(rate=60, atria={atria}) 60s", seed)
            two = patient.microvolts(0, patient.n_samples)[1]
            ahead = np.stack([two[beat - 160 : beat - 55] for beat in patient.beats.tolist() if beat > 160])
            before[atria] = ahead
        p_wave = np.ptp(before["sinus"].mean(axis=0))
        assert p_wave > 50
        assert np.ptp(before["af"].mean(axis=0)) < 0.7 * p_wave
        assert (before["af"] - before["af"].mean(axis=0)).std() > 1.2 * (
            before["sinus"] - before["sinus"].mean(axis=0)
        ).std()
    gone_on = SyntheticPatient("paced(rate=70, atria=af) 10s, af(rate=90) 10s, paced(rate=70, atria=af) 10s", 3)
    assert gone_on.rhythms == (Rhythm("(AFIB", 0, 15_000),)
    assert set(gone_on.beat_symbols) == {"N", "/"}


@pytest.mark.parametrize(
    ("rhythm", "name"),
    [
        ("sinus(rate=75)", "(N"),
        ("af(rate=90)", "(AFIB"),
        ("paced(rate=70, atria=af)", "(AFIB"),
        ("flutter(rate=100, block=3)", "(AFL"),
        ("pac(rate=70)", "(N"),
    ],
)
def test_ventricular_ectopy_over_any_rhythm(rhythm, name):
    """The rhythm stays what it is; its PVCs are V, early, as frequent as asked; no beat is missing at the end."""
    patient = SyntheticPatient(f"{rhythm}+pvc(0.2) 4m", 5)
    assert patient.rhythms == (Rhythm(name, 0, patient.n_samples),)
    ectopic = np.array([symbol == "V" for symbol in patient.beat_symbols])
    assert 0.08 < ectopic.mean() < 0.25
    assert not (ectopic[1:] & ectopic[:-1]).any()
    rr = np.diff(patient.beats) / FS
    assert np.median(rr[ectopic[1:]]) < 0.8 * np.median(rr)
    assert rr.min() > 0.2
    assert patient.n_samples - patient.beats[-1] < 2.5 * FS


def test_af_with_ectopy_and_block():
    """The combination that databases hardly have: irregular L beats without P, V between them, all of it AF."""
    patient = SyntheticPatient("af(rate=90)+lbbb+pvc(0.15) 2m", 4)
    assert set(patient.beat_symbols) == {"L", "V"}
    assert patient.rhythms == (Rhythm("(AFIB", 0, patient.n_samples),)
    rr = np.diff(patient.beats)
    assert rr.std() / rr.mean() > 0.15


def test_runs_of_atrial_beats():
    """Three early atrial beats in a row and more are annotated as tachycardia, to the beat, and are faster."""
    patient = SyntheticPatient("pac(rate=70, p=0.1, run=8) 3m", 2)
    runs = [rhythm for rhythm in patient.rhythms if rhythm.name == "(SVTA"]
    assert len(runs) >= 3
    symbols = np.array(patient.beat_symbols)
    for run in runs:
        inside = (patient.beats >= run.onset) & (patient.beats < run.offset)
        assert set(symbols[inside]) == {"A"}
        assert 3 <= inside.sum() <= 8
        assert np.diff(patient.beats[inside]).mean() < 0.75 * 60 / 70 * FS
    edges = [rhythm.onset for rhythm in patient.rhythms] + [patient.n_samples]
    assert [rhythm.offset for rhythm in patient.rhythms] == edges[1:]
    assert edges[0] == 0
    assert patient.n_samples - patient.beats[-1] < 1.5 * FS


def test_a_block_does_not_change_the_rhythm():
    """The same seed has the same beats with and without wide QRS: only how they are conducted differs."""
    plain, wide = (SyntheticPatient(f"af(rate=90){over} 30s", 6) for over in ("", "+rbbb"))
    assert np.array_equal(plain.beats, wide.beats)
    assert plain.rhythms == wide.rhythms
    assert set(wide.beat_symbols) == {"R"}
