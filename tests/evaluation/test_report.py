"""Rows of the report, its JSON and its Markdown."""

import re

import msgspec
import numpy as np
import pytest

from wardbeat.evaluation import cpsc2021, metrics
from wardbeat.evaluation.bootstrap import Estimate
from wardbeat.evaluation.cpsc2021 import Kind
from wardbeat.evaluation.episodes import Alarm, Record
from wardbeat.evaluation.intervals import Interval, intervals
from wardbeat.evaluation.markdown import show, to_markdown
from wardbeat.evaluation.report import (
    CauseRow,
    CoverageRow,
    NetworkRow,
    Report,
    WindowTable,
    from_json,
    to_json,
)
from wardbeat.evaluation.summary import Draws, challenge_row, episode_row, false_alarm_row, window_row

FS, HOUR = 100, 360_000
R_PEAKS = np.arange(0, HOUR, 80)
DRAWS = Draws(draws=200)


def watched(name: str, subject: str, reference: list[tuple[int, int]], told: list[tuple[int, int]]) -> Record:
    return Record(name, subject, FS, Interval(0, HOUR), intervals(reference), intervals(told))


RECORDS = [
    watched("a1", "a", [(60_000, 120_000)], [(60_160, 120_000)]),
    watched("a2", "a", [(60_000, 90_000), (200_000, 230_000)], [(60_400, 91_000)]),
    watched("b1", "b", [(100_000, 200_000)], [(99_920, 200_000), (300_000, 306_000)]),
]
ALARMS = {
    "a1": [Alarm(60_160, 120_000, 61_500, 63_500)],
    "a2": [Alarm(60_400, 91_000, 61_700)],
    "b1": [Alarm(99_920, 200_000, 101_000, 103_200), Alarm(300_000, 306_000, 301_000)],
}
PEAKS = {record.name: R_PEAKS for record in RECORDS}


def made() -> Report:
    rng = np.random.default_rng(2)
    truth = (rng.random(300) < 0.3).astype(float)
    truth[::50] = np.nan
    score = np.clip(rng.normal(0.3 + 0.4 * np.nan_to_num(truth), 0.2), 0, 1)
    who = np.array([f"p{i}" for i in rng.integers(25, size=300)])
    row = window_row("ptbxl", "I", truth, score, who, DRAWS)
    empty = window_row("nsrdb", "rr", [0, 0], [0.1, 0.2], ["x", "y"], DRAWS)
    quiet = [watched("n1", "n", [], []), watched("n2", "m", [], [])]
    return Report(
        title="Evaluation",
        model="ab12",
        protocol="Each database was left out of training.",
        windows=(WindowTable("Databases and leads", "AF against all else", "leads", (row, empty)),),
        episodes=(episode_row("afdb", "burden", RECORDS, PEAKS, ALARMS, DRAWS),),
        false_alarms=(
            false_alarm_row("afdb", "paroxysmal", RECORDS, ALARMS, DRAWS),
            false_alarm_row("mitdb", "a|b", quiet, {"n1": [], "n2": []}, DRAWS),
        ),
        flutter_episodes=(episode_row("mitdb", "burden", RECORDS[:2], PEAKS, ALARMS, DRAWS),),
        false_flutter=(false_alarm_row("mitdb", "all records", RECORDS, ALARMS, DRAWS),),
        cpsc2021=(
            challenge_row(
                "left out",
                [
                    cpsc2021.Score(Kind.PAROXYSMAL, Kind.PAROXYSMAL, 1, 1.5),
                    cpsc2021.Score(Kind.NOT_AF, Kind.PAROXYSMAL, -0.5, 0),
                ],
                ["a", "b"],
                DRAWS,
            ),
        ),
        causes=(
            CauseRow("flutter", "mitdb", "windows", 40, Estimate(0.25, 0.1, 0.4, 40, 2), 2, 0.5, 3, 1),
            CauseRow("noise", "cinc2017", "records", 10, Estimate(0.1, None, None, 10, 1), 1),
            CauseRow("paced AF", "synthetic", "windows", 9, Estimate(0.9, None, None, 9, 1), 1, af=True),
        ),
        coverage=(CoverageRow("mitdb", "af", 30, 3, Estimate(0.9, 0.8, 1.0, 3, 3), 0.875, 1.5),),
        networks=(
            NetworkRow("mitdb", "rhythm-1-ab", ("mitdb",), "nothing of it", 25, 25, 24, "r"),
            NetworkRow("cpsc2018_extra", "rhythm-1-ab", ("cpsc2018",), "nothing of it", 9, 9, 9, "r", "its signals"),
            NetworkRow("ltafdb_rr", "rhythm-1-cd", (), "other patients", 0, 3, 0, "r"),
        ),
        notes=("Flutter is called AF.",),
        draws=200,
    )


def test_json_and_back() -> None:
    """Every number survives, and what is undefined stays so."""
    report = made()
    assert from_json(to_json(report)) == report
    assert report.windows[0].rows[1].metrics["auroc"].value is None


def test_a_number_without_its_n_is_not_read() -> None:
    """Neither a number of nothing, nor one with no count at all."""
    text = to_json(made()).decode()
    none_counted = re.sub(r'"n": 294,\s*"subjects": 25', '"n": 0, "subjects": 0', text)
    not_counted = re.sub(r'"n": 294,\s*"subjects": 25,', "", text)
    assert len({text, none_counted, not_counted}) == 3
    with pytest.raises(msgspec.ValidationError, match="of 0 counted in 0 subjects"):
        from_json(none_counted.encode())
    with pytest.raises(msgspec.ValidationError, match="missing required field"):
        from_json(not_counted.encode())


def test_window_row() -> None:
    """Windows of known truth and their patients are counted, and the metrics are those of these windows."""
    truth, score, who = [1, 0, np.nan, 1, 0], [0.9, 0.2, 0.9, 0.4, 0.6], ["a", "a", "b", "c", "d"]
    row = window_row("d", "I", truth, score, who, DRAWS)
    assert (row.n, row.positives, row.subjects, row.positive_subjects) == (4, 2, 3, 2)
    assert set(row.metrics) == set(metrics.METRICS)
    assert row.metrics["auroc"].value == 0.75
    assert row.metrics["f1"].value == 0.5
    assert all((found.n, found.subjects) == (4, 3) for found in row.metrics.values())
    with pytest.raises(ValueError, match=r"\(2,\), \(1,\)"):
        window_row("d", "I", [1, 0], [0.5, 0.5], ["a"])


def test_episode_row_by_hand() -> None:
    """Four annotated episodes, three of them told, and one told without AF."""
    row = episode_row("afdb", "burden", RECORDS, PEAKS, ALARMS, DRAWS)
    assert (row.records, row.subjects, row.hours) == (3, 2, 3.0)
    assert (row.reference_episodes, row.told_episodes) == (4, 4)
    assert (row.gross["episode_sensitivity"].value, row.gross["episode_sensitivity"].n) == (0.75, 4)
    assert row.gross["episode_ppv"].value == 0.75
    assert row.gross["duration_sensitivity"].value == pytest.approx((59_840 + 29_600 + 100_000) / 220_000)
    assert row.gross["duration_ppv"].value == pytest.approx(189_440 / (59_840 + 30_600 + 106_080))
    assert (row.average["episode_sensitivity"].value, row.average["episode_sensitivity"].records) == (
        pytest.approx(2.5 / 3),
        3,
    )
    excess = np.array([-160, -29_400, 6_080]) / HOUR
    assert row.burden_error.value == pytest.approx(np.abs(excess).mean())
    assert row.burden_bias.value == pytest.approx(excess.mean())
    onsets = row.timing["onset_beats"]
    assert (onsets.median.value, onsets.median.n, onsets.of) == (2.0, 3, 4)
    assert row.timing["offset_s"].median.value == 0
    delays = row.timing["provisional_s"]
    assert (delays.median.value, delays.median.n, delays.of) == (16.0, 4, 4)  # of 10, 15, 17 and ∞
    assert row.timing["confirmed_s"].median.value is None  # two of four were never confirmed


def test_short_episodes_are_left_out_of_the_delays_alone() -> None:
    """No alarm may be due for an episode that EC57's figures count."""
    late = episode_row("afdb", "burden", RECORDS, PEAKS, ALARMS, DRAWS, shortest_alarmed_s=400)
    assert (late.reference_episodes, late.told_episodes, late.timing["confirmed_s"].of) == (4, 4, 2)


def test_episode_row_refuses_what_does_not_fit() -> None:
    """A record counted twice, or without beats, would go unseen in pooled numbers."""
    with pytest.raises(ValueError, match=r"not unique: \['a1', 'a1'\]"):
        episode_row("afdb", "burden", [RECORDS[0], RECORDS[0]], PEAKS, ALARMS, DRAWS)
    with pytest.raises(ValueError, match=r"of \['b1'\]"):
        episode_row("afdb", "burden", RECORDS, {"a1": R_PEAKS, "a2": R_PEAKS}, ALARMS, DRAWS)


def test_no_false_alarm_is_no_proof_of_none() -> None:
    """Two quiet hours: the rate may still be 3.69 in two hours (Poisson, two-sided 95 %)."""
    row = false_alarm_row("mitdb", "sinus", [watched("n", "n", [], [])] * 2, {"n": []}, DRAWS)
    assert (row.alarms, row.false, row.bed_days) == (0, 0, pytest.approx(2 / 24))
    assert (row.per_bed_day.value, row.per_bed_day.low) == (0.0, 0.0)
    assert row.per_bed_day.high == pytest.approx(3.689 * 12, rel=1e-3)


def test_false_alarm_row_by_hand() -> None:
    """One false alarm, never confirmed, in the time without AF."""
    row = false_alarm_row("afdb", "all", RECORDS, ALARMS, DRAWS)
    assert (row.records, row.subjects, row.alarms, row.false, row.false_confirmed) == (3, 2, 4, 1, 0)
    assert row.bed_days == pytest.approx((3 * HOUR - 220_000) / FS / 86_400)
    assert row.per_bed_day.value == pytest.approx(1 / row.bed_days)
    assert row.per_bed_day.low == 0


def test_challenge_row() -> None:
    """Means over records, and who was told what."""
    (row,) = made().cpsc2021
    assert (row.u.value, row.ur.value, row.ue.value, row.u.n) == (1.0, 0.25, 0.75, 2)
    assert row.kinds == ((0, 0, 1), (0, 0, 0), (0, 0, 1))


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.9973, 0.995, 0.9991, 50, 9), "0.997 (0.995–0.999)"),
        (Estimate(0.9973, None, None, 50, 1), "0.997 (–)"),
        (Estimate(12.0, 8.0, None, 5, 5), "12.000 (8.000–∞)"),
        (Estimate(None, None, None, 5, 5), "–"),
    ],
)
def test_how_a_number_is_shown(estimate: Estimate, text: str) -> None:
    """With its interval, or with the sign that there is none."""
    assert show(estimate) == text


def test_markdown_shows_each_table_with_its_counts() -> None:
    """All tables are whole, and each row names what it was measured on."""
    text = to_markdown(made())
    for heading in (
        "Databases and leads",
        "AF episodes",
        "False AF alarms",
        "Flutter episodes",
        "False flutter alarms",
        "CPSC2021 score",
        "What is easily taken for AF",
        "Prediction sets",
        "Who judged what",
        "Notes",
        "How to read",
    ):
        assert f"\n## {heading}" in text
    assert "| ptbxl | I | 294 |" in text
    assert "| nsrdb | rr | 2 | 0 | 2 | 0 | – |" in text
    assert "| afdb | burden | 3 | 2 | 3.0 | 4 | 4 | 0.750" in text
    assert "2.0 (1.0–3.5), 3 of 4" in text
    assert "∞, 4 of 4" in text
    assert "| mitdb | a\\|b | 2 | 2 | 0.08 | 0 | 0 | 0 | 0.00 (0.00–44.27) |" in text
    assert "0 / 0 / 1" in text
    assert "| flutter | mitdb | 40 windows | 2 | 25.0 (10.0–40.0) | 0.5 | 3 | 1 |" in text
    assert "| noise | cinc2017 | 10 records | 1 | 10.0 (–) | – | – | – |" in text
    assert "| paced AF (is AF) | synthetic | 9 windows | 1 | 90.0 (–) | – | – | – |" in text
    assert "| mitdb | burden | 2 | 1 | 2.0 | 3 | 2 |" in text
    assert "| mitdb | all records | 3 | 2 | 0.10 | 4 | 1 | 0 |" in text
    assert "| nothing of it; but without labels: its signals | 9 of 9 | 9 |" in text
    assert "| mitdb | af | 30 | 3 | 0.900 (0.800–1.000) | 0.875 | 1.50 |" in text
    assert "| mitdb | `rhythm-1-ab` | mitdb | nothing of it | 25 of 25 | 24 |" in text
    assert "| ltafdb_rr | not judged | – | all of its patients | 0 of 3 | 0 |" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table


def test_an_empty_report_has_no_empty_tables() -> None:
    """Only what was measured is there."""
    text = to_markdown(Report("Evaluation", "ab12", "Nothing was left out."))
    assert re.findall(r"^## .*", text, re.M) == ["## How to read this"]
