"""What is easily taken for AF: who counts as what, and what was said of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg.synthetic import Script
from models.classes import AF, OUTPUTS
from wardbeat.evaluation.causes import CAUSES, causes
from wardbeat.evaluation.datasets import SUBSETS, Case, load
from wardbeat.evaluation.episodes import Alarm
from wardbeat.evaluation.episodes import Record as Episodes
from wardbeat.evaluation.intervals import Interval, length
from wardbeat.evaluation.judging import Judged, Windows
from wardbeat.evaluation.summary import Draws
from wardbeat.evaluation.synthetic import CAUSES as SYNTHETIC_CAUSES
from wardbeat.evaluation.synthetic import LENGTH_S, recording_of, script_of, synthetic_records
from wardbeat.evaluation.tables import Database
from wardbeat.training.records import Record, Told

DRAWS = Draws(draws=20)
MIT = Record("mitdb", "mitdb/207", "s")


def windows(af: list[float], said: list[float], groups: list[str]) -> Windows:
    n = len(af)
    truth, score = np.full((n, len(OUTPUTS)), np.nan, np.float32), np.zeros((n, len(OUTPUTS)), np.float32)
    truth[:, AF], score[:, AF] = af, said
    ones, unknown = np.ones(n, np.float32), np.full(n, np.nan, np.float32)
    return Windows(truth, score, np.ones(n, np.bool_), ones, unknown, unknown, [frozenset({name}) for name in groups])


def test_windows_and_alarms_of_a_cause_are_counted() -> None:
    """Protects each row: of three windows of flutter without AF two were called so, by one alarm in 30 s of it."""
    said = windows([0, 0, 0, 1, 0], [0.9, 0.5, 0.1, 0.9, 0.9], ["flutter", "flutter", "flutter", "flutter", "PACs"])
    whole = Episodes(MIT.path, "s", 500, Interval(0, 50_000), (Interval(20_000, 25_000),), ())
    alarms = (Alarm(1000, 9000, 2000, 5000), Alarm(21_000, 26_000, 22_000), Alarm(40_000, 45_000, 41_000))
    stretches = {"flutter": (Interval(0, 15_000),), "noise": (Interval(15_000, 18_000),)}
    judged = Judged(MIT, (), {"2": said}, whole, alarms, np.empty(0, np.int64), stretches)
    flutter, pacs = sorted(causes([Database("mitdb", [judged])], DRAWS), key=lambda row: row.cause != "flutter")
    assert (flutter.cause, flutter.unit, flutter.n, flutter.subjects) == ("flutter", "windows", 3, 1)
    assert flutter.called.value == pytest.approx(2 / 3)
    assert (flutter.hours * 3600, flutter.false, flutter.confirmed) == (pytest.approx(30), 1, 1)
    assert (pacs.cause, pacs.n, pacs.called.value, pacs.hours) == ("PACs, any", 1, 1.0, 0)


def test_paced_af_has_to_be_called_so() -> None:
    """Protects sensitivity where the ventricles are regular: of its windows with AF one of two was called AF."""
    said = windows([1, 1, 0], [0.9, 0.1, 0.9], ["paced AF", "paced AF", "paced AF"])
    whole = Episodes("r", "s", 500, Interval(0, 15_000), (Interval(0, 10_000),), ())
    judged = Judged(Record("synthetic", "r", "s"), (), {"12": said}, whole, (), np.empty(0, np.int64), {})
    (row,) = causes([Database("synthetic", [judged])], DRAWS)
    assert (row.cause, row.af, row.unit, row.n, row.called.value, row.hours) == ("paced AF", True, "windows", 2, 0.5, 0)


def test_records_with_a_label_are_counted_as_records() -> None:
    """Protects CinC 2017's noise and PTB-XL's sinus arrhythmia: one of two was called AF; no hours, no alarms."""
    of = [
        Judged(Record("cinc2017", f"r{k}", f"s{k}"), (), {"1": windows([0], [p], ["noise"])})
        for k, p in enumerate((0.7, 0.2))
    ]
    (row,) = causes([Database("cinc2017", of)], DRAWS)
    assert (row.cause, row.unit, row.n, row.called.value, row.hours) == ("noise", "records", 2, 0.5, 0)


def test_beats_mark_their_windows() -> None:
    """Protects "frequent PACs" and pacing where no rhythm says so: three PACs in 10 s are, two are not."""
    beats = np.array([100, 200, 300, 400, 5100, 5200, 5300, 10_100, 10_200, 10_300])
    symbols = ("A", "A", "N", "A", "A", "N", "a", "/", "N", "N")
    case = Case(MIT, Told.ANNOTATIONS, None, beats, symbols, (), 15_000)
    assert case.marked == {"frequent PACs": (Interval(0, 5000),), "pacing": (Interval(10_000, 15_000),)}
    _, groups = case.truth(np.array([5000, 10_000, 15_000]))
    assert ["frequent PACs" in group for group in groups] == [True, False, False]
    assert ["pacing" in group for group in groups] == [False, False, True]


def test_added_noise_is_marked_where_it_was_added() -> None:
    """Protects NSTDB: noise from minute 5 to 7, from 9 to 11 and so on, clean signal between."""
    case = Case(Record("nstdb_118", "118e06", "s"), Told.ANNOTATIONS, None, None, (), (), 500 * 700)
    assert case.marked == {"noise": (Interval(150_000, 210_000), Interval(270_000, 330_000))}
    assert case.stretches() == case.marked


def test_synthetic_patients_are_what_they_are_called() -> None:
    """Protects rows of synthetic patients: the whole record is the cause, each patient another one, AF all or none."""
    records = synthetic_records()
    assert set(SYNTHETIC_CAUSES) <= set(CAUSES)
    assert {record.labels for record in records} == {(cause,) for cause in SYNTHETIC_CAUSES}
    assert len({record.subject for record in records}) == len(records)
    for record in records:
        number = np.random.default_rng(records.index(record))
        script = Script.parse(script_of(record.labels[0], number))
        assert "af" not in {segment.rhythm for segment in script.segments}
        assert sum(segment.seconds for segment in script.segments) >= 0.8 * LENGTH_S
    bigeminy = next(record for record in records if record.labels == ("bigeminy, trigeminy",))
    case = load(Path("nowhere"), bigeminy)
    assert case.reference == ()
    assert case.marked == {"bigeminy, trigeminy": (Interval(0, case.end),)}
    truth, groups = case.truth(np.array([50_000]))
    assert truth[0, AF] == 0
    assert "bigeminy, trigeminy" in groups[0]
    paced = load(Path("nowhere"), next(record for record in records if record.labels == ("paced AF",)))
    assert paced.reference == (Interval(0, paced.end),)
    assert paced.truth(np.array([50_000]))[0][0, AF] == 1
    tachycardia = load(Path("nowhere"), next(record for record in records if record.labels == ("atrial tachycardia",)))
    assert tachycardia.reference == ()
    runs = tachycardia.stretches()["supraventricular tachycardia"]
    assert length(runs) > 0.4 * tachycardia.end
    with pytest.raises(ValueError, match="no synthetic patient is called 'synthetic/x'"):
        recording_of(replace(bigeminy, path="synthetic/x"))
    with pytest.raises(ValueError, match="unknown cause 'hiccups'"):
        script_of("hiccups", np.random.default_rng(0))


def test_ds1_without_af_is_of_the_usual_split() -> None:
    """Protects the subset that an aim is of: 20 of DS1's 22 records, without 201 and 203, and none of DS2 or paced."""
    members = SUBSETS["mitdb"]["DS1 without AF"]
    assert len(members) == 20
    assert not {f"mitdb/{n}" for n in (100, 102, 104, 201, 202, 203)} & members
