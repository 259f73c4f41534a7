"""The evaluation over databases so small that every number can be counted by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alarms.alarm import AlarmEvent, Kind, Phase, Priority, State
from ecg.recording import Rhythm
from ecg.writer import write_record
from models.classes import AF, FLUTTER, NOISE, OUTPUTS
from models.rhythm_network import RhythmNetwork
from stream.bed import BedConfig
from stream.offline import analyze_beats, analyze_recording
from tests.evaluation.databases import always_af, annotated, random_model, write_databases
from wardbeat.evaluation import tables
from wardbeat.evaluation.datasets import Case, lead_sets, load
from wardbeat.evaluation.episodes import Alarm
from wardbeat.evaluation.episodes import Record as Episodes
from wardbeat.evaluation.intervals import Interval
from wardbeat.evaluation.judging import Judged, Task, alarms_of, judge
from wardbeat.evaluation.report import EpisodeRow, FalseAlarmRow, Report, WindowRow
from wardbeat.evaluation.run import Request, evaluate
from wardbeat.evaluation.summary import Draws
from wardbeat.training.records import Record, Told, records_of

FEW_DRAWS = Draws(draws=20)
DAY_S = 86_400
ALL = ("ptbxl_native500", "cpsc2021", "nsrdb_rr")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three databases."""
    return write_databases(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def af_everywhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that says AF of all that it is asked."""
    path = tmp_path_factory.mktemp("weights") / "af.safetensors"
    always_af(path)
    return path


@pytest.fixture(scope="module")
def random(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that says anything."""
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    random_model(path)
    return path


@pytest.fixture(scope="module")
def report(data: Path, af_everywhere: Path) -> Report:
    """All three databases by the network that says AF."""
    return evaluate(Request(ALL, data, af_everywhere, leads=("12", "I", "RR"), draws=FEW_DRAWS)).report


def row(report: Report, title: str, database: str, group: str) -> WindowRow:
    (table,) = (table for table in report.windows if table.title.startswith(title))
    (found,) = (row for row in table.rows if (row.database, row.group) == (database, group))
    return found


def test_short_records_are_counted_once_through_each_set_of_leads(report: Report) -> None:
    """Protects n, positives and patients of labelled records: four of three patients, two of them with AF."""
    for group in ("12 leads", "I", "RR alone"):
        seen = row(report, "AF by leads", "ptbxl_native500", group)
        assert (seen.n, seen.positives, seen.subjects, seen.positive_subjects) == (4, 2, 3, 2)


def test_what_could_not_be_judged_is_missed_and_told(report: Report) -> None:
    """Protects from praise for silence: the AF record without a signal is not called AF, and stands in a note."""
    seen = row(report, "AF by leads", "ptbxl_native500", "12 leads").metrics
    # One of two AF records is called AF, and so are both without: Se 1/2, Sp 0/2, F1 2·1 / (2·1 + 2 + 1).
    assert seen["sensitivity"].value == 0.5
    assert seen["specificity"].value == 0.0
    assert seen["f1"].value == pytest.approx(0.4)
    assert row(report, "AF by signal", "ptbxl_native500", "could not be judged").n == 1
    assert any("1 of 4 could not be judged (1 of AF, 0 of noise)" in note for note in report.notes)


def test_annotated_windows_are_wholly_af_or_wholly_not(report: Report) -> None:
    """Protects the windows of long records: of 50 s with AF from 20 to 40 s, two of five are AF; 61 s give six."""
    seen = row(report, "AF by leads", "cpsc2021", "2 leads")
    assert (seen.n, seen.positives) == (5, 2)
    assert seen.metrics["auroc"].value == 0.5
    assert seen.metrics["ppv"].value == pytest.approx(0.4)
    assert row(report, "AF by leads", "nsrdb_rr", "RR alone").n == 12


def test_what_looks_like_af_is_told_by_label(report: Report) -> None:
    """Protects the table of sinus arrhythmia, PACs and the like: only records without AF, each under its labels."""
    for group, n in (("sinus arrhythmia", 1), ("PACs", 1), ("sinus rhythm", 2)):
        seen = row(report, "Where there is no AF", "ptbxl_native500", group)
        assert (seen.n, seen.metrics["specificity"].value) == (n, 0.0)


def episode_row(report: Report, reading: str) -> EpisodeRow:
    (found,) = (row for row in report.episodes if (row.database, row.group) == ("cpsc2021", reading))
    return found


def test_episodes_are_compared_over_the_whole_record(report: Report) -> None:
    """Protects EC57's figures: 50 s told as AF where 20 s are."""
    seen = episode_row(report, "burden")
    assert (seen.records, seen.reference_episodes, seen.told_episodes) == (1, 1, 1)
    assert seen.hours == pytest.approx(50 / 3600)
    assert seen.gross["episode_sensitivity"].value == 1
    assert seen.gross["duration_sensitivity"].value == 1
    assert seen.gross["duration_ppv"].value == pytest.approx(0.4)
    assert seen.burden_bias.value == pytest.approx(0.6)
    assert seen.timing["onset_s"].median.value == pytest.approx(20)  # told from the first sample on


def false_alarm_row(report: Report, database: str, group: str) -> FalseAlarmRow:
    (found,) = (row for row in report.false_alarms if (row.database, row.group) == (database, group))
    return found


def test_false_alarms_are_counted_per_bed_day_without_af(report: Report) -> None:
    """Protects the rate: one alarm in each record of sinus rhythm, over the time up to the last beat."""
    seen = false_alarm_row(report, "nsrdb_rr", "all records")
    assert (seen.records, seen.alarms, seen.false, seen.false_confirmed) == (2, 2, 2, 2)
    assert seen.bed_days * DAY_S == pytest.approx(2 * 60.5, abs=1.5)
    assert seen.per_bed_day.value == pytest.approx(2 / seen.bed_days)
    assert [(row.database, row.alarms) for row in report.false_flutter] == [("cpsc2021", 0), ("nsrdb_rr", 0)]
    right = false_alarm_row(report, "cpsc2021", "all records")
    assert (right.alarms, right.false) == (1, 0)
    assert right.bed_days * DAY_S == pytest.approx(30)


def test_an_episode_up_to_both_ends_is_persistent(report: Report) -> None:
    """Protects the challenge's score: what is told from the first to the last sample is persistent AF."""
    (seen,) = report.cpsc2021
    assert seen.kinds[2] == (0, 1, 0)
    assert seen.ur.value == 0.0


def test_the_score_of_a_window_is_the_finding_of_the_ward(data: Path, random: Path) -> None:
    """Protects "the same core": probabilities are those that the bed gives, window by window."""
    (record,) = records_of(data, "cpsc2021")
    judged = judge(record, Task(data, random, ("I",), 1.0))
    recording = load(data, record).recording
    assert recording is not None
    ward = analyze_recording(recording, BedConfig(waves=False, network=RhythmNetwork.load(random)))
    expected = [[f.probabilities[name] for name in OUTPUTS] for f in ward.findings if f.end % 5000 == 0]
    np.testing.assert_array_equal(judged.windows["2"].score, np.float32(expected))
    assert list(judged.windows) == ["2", "I"]


def test_a_record_is_the_mean_of_its_windows(data: Path, random: Path) -> None:
    """Protects scores of labelled records longer than a window: the mean, of ectopic beats the highest."""
    record = records_of(data, "ptbxl_native500")[2]
    (score,) = judge(record, Task(data, random)).windows["12"].score
    recording = load(data, record).recording
    assert recording is not None
    ward = analyze_recording(recording, BedConfig(hop_s=5, waves=False, network=RhythmNetwork.load(random)))
    each = np.array([[f.probabilities[name] for name in OUTPUTS] for f in ward.findings])
    assert len(each) == 2
    pac = OUTPUTS.index("pac")
    assert each[0, pac] != each[1, pac]
    assert score[pac] == pytest.approx(each[:, pac].max())
    assert score[AF] == pytest.approx(each[:, AF].mean())


def test_no_signal_is_noise(data: Path, random: Path) -> None:
    """Protects what could not be judged: it scores as noise and as nothing else, and its truth stays what it is."""
    silent = judge(records_of(data, "ptbxl_native500")[3], Task(data, random)).windows["12"]
    assert not silent.judged[0]
    assert np.flatnonzero(silent.score[0]).tolist() == [NOISE]
    assert silent.truth[0, AF] == 1


def test_beats_alone_are_judged_as_one_by_one(random: Path) -> None:
    """Protects batches of windows: the alarms' order and each window's answer are as without them."""
    network = RhythmNetwork.load(random)
    beats = np.cumsum(np.random.default_rng(0).integers(150, 300, 400))
    beats = np.concatenate([beats, beats + beats[-1] + 500 * 20])  # the recorder was off for 20 s
    with_network = analyze_beats("r", beats, 250, BedConfig(network=network))
    without = analyze_beats("r", beats, 250, BedConfig())
    assert [f.end for f in with_network.findings] == [f.end for f in without.findings]
    told = [event for event in with_network.alarms if event.kind not in (Kind.AF, Kind.FLUTTER)]
    assert [event.event for event in told] == [event.event for event in without.alarms]
    assert [event.at for event in with_network.alarms] == sorted(event.at for event in with_network.alarms)
    unusable = [f for f in with_network.findings if not f.usable]
    assert unusable
    assert not any(f.probabilities for f in unusable)
    assert all(f.model == network.name for f in with_network.findings if f.usable)


def test_beats_alone_make_episodes_and_alarms(af_everywhere: Path) -> None:
    """Protects `analyze --beats`: AF from the first window on gives one alarm, one episode and a burden of 1."""
    beats = np.arange(1, 100) * 300
    analysis = analyze_beats("r", beats, 500, BedConfig(network=RhythmNetwork.load(af_everywhere)))
    (episode,) = analysis.episodes
    assert (episode.kind, episode.onset, episode.confirmed) == (Kind.AF, 0, True)
    assert episode.offset == 29_500  # the last whole second before the last beat, at 29 700
    assert analysis.burden is not None
    assert analysis.burden.share == 1
    phases = [event.phase for event in analysis.alarms if event.kind is Kind.AF]
    assert [phases[0], phases[-1]] == [Phase.START, Phase.END]
    assert Phase.ESCALATE in phases


def test_a_record_without_a_rhythm_note_is_judged_where_the_database_means_no_af() -> None:
    """Protects CPSC2021's records without AF, which have no note at all: all of them is known, and none of it is AF."""
    case = Case(Record("cpsc2021", "r", "s"), Told.ANNOTATIONS, None, None, (), (), 30_000)
    assert (case.reference, case.unknown(AF)) == ((), ())
    assert case.truth(np.array([5000]))[0][0, AF] == 0
    silent = replace(case, record=Record("mitdb", "r", "s"))
    assert silent.unknown(AF) == (Interval(0, 30_000),)


def event(phase: Phase, at: int, onset: int, offset: int | None = None) -> AlarmEvent:
    return AlarmEvent(
        id="a", event=f"a.{phase}.{at}", bed="b", epoch=0, kind=Kind.AF, priority=Priority.MEDIUM, phase=phase,
        state=State.ACTIVE, onset=onset, at=at, text="AF", offset=offset,
    )  # fmt: skip


def test_an_alarm_is_timed_by_its_events() -> None:
    """Protects the delays: provisional at the start event, confirmed at the escalation, onset as it was known last."""
    life = [event(Phase.START, 9000, 4000), event(Phase.ESCALATE, 20_000, 5000), event(Phase.END, 40_000, 5000, 30_000)]
    assert alarms_of(life, Kind.AF) == (Alarm(5000, 30_000, 9000, 20_000),)
    assert alarms_of([life[0], replace_offset(life[2], 5000)], Kind.AF) == (Alarm(5000, 5001, 9000, None),)
    assert alarms_of(life, Kind.FLUTTER) == ()
    with pytest.raises(ValueError, match="still active"):
        alarms_of(life[:2], Kind.AF)


def replace_offset(last: AlarmEvent, offset: int) -> AlarmEvent:
    return event(Phase.END, last.at, last.onset, offset)


def test_alarms_are_false_where_they_fall() -> None:
    """Protects rates by rhythm: an alarm in flutter is flutter's; one of true AF that runs on into it is nobody's."""
    record = Record("mitdb", "r", "s")
    whole = Episodes("r", "s", 500, Interval(0, 100_000), (Interval(0, 20_000),), (), (Interval(20_000, 50_000),))
    judged = Judged(
        record,
        (),
        {},
        whole,
        (Alarm(1000, 25_000, 2000), Alarm(30_000, 40_000, 31_000, 45_000), Alarm(60_000, 70_000, 61_000)),
        np.empty(0, np.int64),
        {"flutter": (Interval(20_000, 50_000),)},
    )
    rows = tables.false_alarms([tables.Database("mitdb", [judged])], FEW_DRAWS)
    counts = {row.group: (row.alarms, row.false, row.false_confirmed) for row in rows}
    assert counts == {"all records": (3, 2, 1), "during flutter": (1, 1, 1)}
    assert rows[1].bed_days * DAY_S == pytest.approx(60)


def test_where_flutter_may_be_nobody_is_blamed_for_it() -> None:
    """Protects flutter's false alarms: VitalDB's one word for AF and flutter is AF, and flutter perhaps."""
    rhythms = (Rhythm("N", 0, 10_000), Rhythm("AFIB/AFL", 10_000, 20_000), Rhythm("N", 20_000, 30_000))
    case = Case(Record("vitaldb_arrdb_rr", "r", "s"), Told.ANNOTATIONS, None, None, (), rhythms, 30_000)
    assert (case.reference, case.flutter) == ((Interval(10_000, 20_000),), ())
    assert (case.unknown(AF), case.unknown(FLUTTER)) == ((), (Interval(10_000, 20_000),))


def test_flutter_is_judged_as_af_is() -> None:
    """Protects the alarm that nothing measured: its episodes where it is annotated, its false alarms everywhere."""
    whole = Episodes("r", "s", 500, Interval(0, 100_000), (), ())
    flutter = replace(whole, reference=(Interval(20_000, 50_000),), told=(Interval(35_000, 60_000),))
    alarms = (Alarm(30_000, 60_000, 31_000), Alarm(80_000, 90_000, 81_000, 82_000))
    judged = Judged(Record("mitdb", "r", "s"), (), {}, whole, (), np.arange(0, 100_000, 400), {}, None, flutter, alarms)
    none = replace(judged, flutter=replace(whole, name="n"), episodes=replace(whole, name="n"), flutter_alarms=())
    databases = [tables.Database("mitdb", [judged]), tables.Database("nsrdb_rr", [none])]
    burden, alarm = tables.flutter_episodes(databases, FEW_DRAWS)
    assert (burden.database, burden.reference_episodes, burden.told_episodes) == ("mitdb", 1, 1)
    assert burden.gross["duration_sensitivity"].value == pytest.approx(15 / 30)
    assert burden.gross["duration_ppv"].value == pytest.approx(15 / 25)
    assert (alarm.told_episodes, alarm.gross["episode_ppv"].value) == (2, 0.5)
    rows = {row.database: row for row in tables.false_flutter(databases, FEW_DRAWS)}
    found = rows["mitdb"]
    assert (found.group, found.alarms, found.false, found.false_confirmed) == ("all records", 2, 1, 1)
    assert found.bed_days * DAY_S == pytest.approx(140)
    assert (rows["nsrdb_rr"].alarms, rows["nsrdb_rr"].bed_days * DAY_S) == (0, pytest.approx(200))


def test_sets_of_leads() -> None:
    """Protects the names of the rows: all leads first, sets that the record lacks not at all, none of them twice."""
    assert list(lead_sets(("12", "I", "V1", "RR"), ("I", "II"))) == ["2", "I", "RR"]
    assert list(lead_sets(("12", "II"), ("II",))) == ["1"]
    assert lead_sets(("12",), ()) == {"RR": ()}
    with pytest.raises(ValueError, match="V9"):
        lead_sets(("V9",), ("I",))


@pytest.mark.parametrize("hop_s", [0.7, 3.0, 0.0, -1.0, float("nan")])
def test_a_hop_whose_windows_miss_the_tens_is_refused(hop_s: float) -> None:
    """Protects "windows of 10 s that do not overlap": at another hop most of those that end at tens are never made."""
    with pytest.raises(ValueError, match=f"hop: expected a divisor of 10 s, got {hop_s!r}"):
        Request(ALL, Path("-"), hop_s=hop_s)
    assert [Request(ALL, Path("-"), hop_s=good).hop_s for good in (0.5, 1.0, 2.0, 2.5, 5.0)]


def test_a_record_without_beats_is_named(tmp_path: Path) -> None:
    """Protects from an error that no record can be told from: of many thousands one has rhythms annotated alone."""
    recording = replace(annotated("sinus 20s", 1, [("(N", 0, 20)]), beats=None, beat_symbols=())
    (tmp_path / "nsrdb_rr").mkdir()
    write_record(recording, tmp_path / "nsrdb_rr" / "s1")
    with pytest.raises(ValueError, match="nsrdb_rr/s1: expected beats in its atr annotations, got none"):
        load(tmp_path, Record("nsrdb_rr", "nsrdb_rr/s1", "n1", ("SR",)))
