"""The beat at which a rhythm changed, on rhythms of which the beats are known."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from alarms.episodes import EpisodeConfig
from alarms.refine import change_point, irregularity, refine_change, rr_steps
from ecg.readers import read_recording
from ecg.synthetic import SyntheticPatient
from tests.alarms.findings import FS, beats_of, rhythm

Peaks = npt.NDArray[np.int64]
REACH_S = EpisodeConfig().refine_reach_s


def error(beats: Peaks, change: int, found: int) -> int:
    """Beats between the first one after the change and the one that was found."""
    return int(np.searchsorted(beats, found) - np.searchsorted(beats, change))


def errors(script: str, seeds: range, evidence_s: float | None = None) -> tuple[list[int], list[int]]:
    """Of onsets and offsets of AF in a script, found near a place that is off by up to 8 s."""
    onsets, offsets = [], []
    for seed in seeds:
        patient = SyntheticPatient(script, seed)
        beats = patient.beats
        (af,) = [each for each in patient.rhythms if each.name == "(AFIB"]
        rng = np.random.default_rng(seed)
        for change, into, out in ((af.onset, True, onsets), (af.offset, False, offsets)):
            near = beats[np.abs(beats - change) < 30 * FS]
            # Evidence that knows the change only to a few seconds, as windows of 10 s do.
            blur = evidence_s or 1.0
            level = [
                (at, float(1 / (1 + np.exp((1 if into else -1) * (change - at) / (blur * FS)))))
                for at in range(change - 10 * FS, change + 10 * FS, FS // 2)
            ]
            coarse = change + round(float(rng.uniform(-8, 8)) * FS)
            found = refine_change(
                near, coarse, into_irregular=into, reach_s=REACH_S, evidence=level if evidence_s else ()
            )
            out.append(error(beats, change, found))
    return onsets, offsets


def test_the_change_is_found_to_two_beats() -> None:
    """By the beats alone and with evidence, from a coarse place that is off by up to 8 s."""
    for evidence_s in (None, 1.5):
        onsets, offsets = errors("sinus 40s, af 60s, sinus 40s", range(40), evidence_s)
        assert np.median(np.abs(onsets)) <= 1
        assert np.median(np.abs(offsets)) <= 2
        assert np.percentile(np.abs([*onsets, *offsets]), 80) <= 4


def test_ectopy_around_af_needs_the_evidence() -> None:
    """Premature beats look like AF to the beats; the network sees their P waves or their shape."""
    onsets, offsets = errors("pac(p=0.2) 40s, af 60s, pac(p=0.2) 40s", range(40), 1.5)
    assert np.median(np.abs(onsets)) <= 2
    assert np.median(np.abs(offsets)) <= 1
    assert np.mean(np.abs(offsets)) <= 3


def test_steps_are_shares_of_the_rr() -> None:
    """A tenth of an RR is the same step at any rate."""
    beats = np.array([0, 400, 800, 1240], np.int64)
    assert np.isnan(rr_steps(beats)[:2]).all()
    assert rr_steps(beats)[2:].tolist() == [0.0, pytest.approx(40 / 420)]
    assert irregularity(beats)[:2].tolist() == [0.0, 0.0]
    assert irregularity(beats)[2] < 0 < irregularity(beats * np.array([1, 1, 1, 2]))[3]


def test_beats_that_show_no_change_leave_it_where_it_was_seen() -> None:
    """Paced AF is regular, and AF all along has no onset: the coarse change stays, at its nearest beat."""
    for beats in (beats_of(60), beats_of(60, rhythm((0, 60)))):
        for into in (True, False):
            found = refine_change(beats, 30 * FS, into_irregular=into, reach_s=REACH_S)
            assert found in beats.tolist()
            assert abs(found - 30 * FS) <= FS


def test_too_few_beats_say_nothing() -> None:
    """No beat is made up where none is."""
    assert refine_change(np.array([100, 500, 900], np.int64), 700, into_irregular=True, reach_s=REACH_S) == 700
    assert refine_change(np.empty(0, np.int64), 700, into_irregular=False, reach_s=REACH_S) == 700


def test_the_change_point_is_where_levels_turn() -> None:
    """One odd level on either side does not move it; without a change it is after the last."""
    levels = list(enumerate([0.1, 0.9, 0.1, 0.1, 0.9, 0.8, 0.2, 0.9]))
    assert change_point(levels, 0.5, rising=True) == 4
    assert change_point([(index, 1 - level) for index, level in levels], 0.5, rising=False) == 4
    assert change_point(levels[:1], 0.5, rising=True) == 1


def test_annotated_changes_of_real_records(data: Path) -> None:
    """On records with annotated beats, by beats alone from 5 s off: the median error stays at two beats."""
    every = []
    rng = np.random.default_rng(0)
    for path in sorted((data / "afpdb_p").glob("*.hea")):
        record = read_recording(path)
        assert record.beats is not None
        beats = np.unique(np.round(record.beats * (FS / record.fs)).astype(np.int64))
        for before, after in zip(record.rhythms, record.rhythms[1:], strict=False):
            change = round(after.onset * FS / record.fs)
            near = beats[np.abs(beats - change) < 30 * FS]
            coarse = change + round(float(rng.uniform(-5, 5)) * FS)
            found = refine_change(near, coarse, into_irregular=before.name == "(N", reach_s=REACH_S)
            every.append(error(beats, change - FS // 10, found))
    assert len(every) >= 8
    assert np.median(np.abs(every)) <= 2
