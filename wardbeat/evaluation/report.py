"""The results of an evaluation: one tree that goes to JSON and back, and Markdown tables of it.

Every estimate carries what it was counted on, and every row of a table shows it.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from wardbeat.evaluation.bootstrap import DRAWS, LEVEL, Estimate
from wardbeat.evaluation.metrics import CALIBRATION_BINS, THRESHOLD


class WindowRow(msgspec.Struct, frozen=True):
    """One question put to the windows of one group.

    Attributes:
        database: where the windows come from.
        group: what the table tells apart: a lead set, a number of leads, a signal quality, a model.
        n: windows of known truth, of which
        positives: are truly so.
        subjects: patients, of whom
        positive_subjects: have any positive window.
        metrics: by the names of ``metrics.METRICS``.
    """

    database: str
    group: str
    n: int
    positives: int
    subjects: int
    positive_subjects: int
    metrics: dict[str, Estimate]


class WindowTable(msgspec.Struct, frozen=True):
    """Rows that differ in one respect.

    Attributes:
        title: of the table.
        question: what positive means, such as "AF against all else".
        by: what ``group`` is, such as "leads".
        rows: of the table.
    """

    title: str
    question: str
    by: str
    rows: tuple[WindowRow, ...]


class Mean(msgspec.Struct, frozen=True):
    """A mean over the ``records`` that define it; None if none does."""

    value: float | None
    records: int


class Timing(msgspec.Struct, frozen=True):
    """Medians over onsets, offsets or alarms.

    Attributes:
        median: its ``n`` is how many went into it.
        of: how many could have.
    """

    median: Estimate
    of: int


class EpisodeRow(msgspec.Struct, frozen=True):
    """EC57 figures, burden and timing of one database by one reading of the evidence.

    Attributes:
        database: where the records come from.
        group: the reading, such as "burden" or "alarm".
        records: how many.
        subjects: patients in them.
        hours: judged.
        reference_episodes: annotated.
        told_episodes: told.
        gross: episode and duration sensitivity and ppv, all records pooled.
        average: the same, each record weighing the same.
        burden_error: absolute, mean over records, as a share of the time.
        burden_bias: signed, pooled; positive where too much AF was told.
        timing: "onset_beats", "onset_s", "offset_beats", "offset_s" (absolute errors of those told) and
            "provisional_s", "confirmed_s" (delays; missed episodes count as infinite).
    """

    database: str
    group: str
    records: int
    subjects: int
    hours: float
    reference_episodes: int
    told_episodes: int
    gross: dict[str, Estimate]
    average: dict[str, Mean]
    burden_error: Estimate
    burden_bias: Estimate
    timing: dict[str, Timing]


class FalseAlarmRow(msgspec.Struct, frozen=True):
    """AF alarms where there is no AF, of records alike.

    Attributes:
        database: where the records come from.
        group: what they have in common: sinus arrhythmia, PACs, bigeminy, sick sinus, pacing, flutter, noise.
        records: how many.
        subjects: patients in them.
        bed_days: judged time without AF, in days.
        alarms: all AF alarms, of which
        false: overlap no annotated AF, of which
        false_confirmed: were confirmed.
        per_bed_day: false ones a day.
    """

    database: str
    group: str
    records: int
    subjects: int
    bed_days: float
    alarms: int
    false: int
    false_confirmed: int
    per_bed_day: Estimate


class ChallengeRow(msgspec.Struct, frozen=True):
    """The CPSC2021 score of some records.

    Attributes:
        group: which.
        records: how many.
        subjects: patients in them.
        u: mean of ``ur`` + ``ue``.
        ur: mean credit for the record's kind.
        ue: mean credit for endpoints.
        kinds: records by [true][told] kind: not AF, persistent, paroxysmal.
    """

    group: str
    records: int
    subjects: int
    u: Estimate
    ur: Estimate
    ue: Estimate
    kinds: tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]


class Report(msgspec.Struct, frozen=True):
    """All that an evaluation found.

    Attributes:
        title: of the report.
        model: hash of the weights.
        protocol: what the network had seen of these patients and databases; one sentence.
        windows: tables over windows.
        episodes: one row a database and reading.
        false_alarms: one row a group of records.
        cpsc2021: rows of the challenge's score.
        notes: what a reader has to know, such as what fell short and why.
        draws: of the bootstrap.
        level: of the intervals.
        seed: of the draws.
    """

    title: str
    model: str
    protocol: str
    windows: tuple[WindowTable, ...] = ()
    episodes: tuple[EpisodeRow, ...] = ()
    false_alarms: tuple[FalseAlarmRow, ...] = ()
    cpsc2021: tuple[ChallengeRow, ...] = ()
    notes: tuple[str, ...] = ()
    draws: int = DRAWS
    level: float = LEVEL
    seed: int = 0


def to_json(report: Report) -> bytes:
    """UTF-8 JSON, indented; what is undefined is null."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2)


def from_json(data: bytes) -> Report:
    """What ``to_json`` wrote.

    Raises:
        msgspec.ValidationError: it is not a report, or holds a number without what it was counted on.
    """
    return msgspec.json.decode(data, type=Report)


METRIC_TITLES: Mapping[str, str] = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "f1": "F1",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "sensitivity_at_1_percent_fp": "sensitivity at 1 % FP",
    "brier": "Brier",
    "calibration_error": "ECE",
}
FIGURE_TITLES: Mapping[str, str] = {
    "episode_sensitivity": "episode Se",
    "episode_ppv": "episode +P",
    "duration_sensitivity": "duration Se",
    "duration_ppv": "duration +P",
}
TIMING_TITLES: Mapping[str, str] = {
    "onset_beats": "onset error, beats",
    "onset_s": "onset error, s",
    "offset_beats": "offset error, beats",
    "offset_s": "offset error, s",
    "provisional_s": "provisional alarm after, s",
    "confirmed_s": "confirmed alarm after, s",
}
KIND_TITLES = ("not AF", "persistent", "paroxysmal")


def show(estimate: Estimate, digits: int = 3, scale: float = 1.0) -> str:
    """The number and its interval: "0.997 (0.995–0.999)"; "–" is undefined, "∞" is beyond all measure."""
    if estimate.value is None:
        return "–"
    value = f"{estimate.value * scale:.{digits}f}"
    if estimate.low is None:
        return f"{value} (–)"
    high = "∞" if estimate.high is None else f"{estimate.high * scale:.{digits}f}"
    return f"{value} ({estimate.low * scale:.{digits}f}–{high})"


def _show_timing(timing: Timing | None) -> str:
    if timing is None:
        return "–"
    median = timing.median
    counted = f", {median.n} of {timing.of}"
    return ("∞" if median.value is None and median.n else show(median, 1)) + counted


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _window_table(table: WindowTable) -> str:
    shown = [name for name in METRIC_TITLES if any(name in row.metrics for row in table.rows)]
    head = ["database", table.by, "windows", "positive", "subjects", "with positive", *map(METRIC_TITLES.get, shown)]
    rows = (
        [row.database, row.group, row.n, row.positives, row.subjects, row.positive_subjects]
        + [show(row.metrics[name]) if name in row.metrics else "–" for name in shown]
        for row in table.rows
    )
    return f"## {table.title}\n\nPositive is: {table.question}.\n\n{_table([str(cell) for cell in head], rows)}"


def _episodes(report: Report) -> str:
    what = ["database", "reading", "records", "subjects", "hours", "annotated", "told"]
    figures = _table(
        [*what, *FIGURE_TITLES.values(), "burden error, points", "burden bias, points"],
        (
            [row.database, row.group, row.records, row.subjects, f"{row.hours:.1f}"]
            + [row.reference_episodes, row.told_episodes]
            + [show(row.gross[name]) for name in FIGURE_TITLES]
            + [show(row.burden_error, 2, 100), show(row.burden_bias, 2, 100)]
            for row in report.episodes
        ),
    )
    averages = _table(
        ["database", "reading", "records", *FIGURE_TITLES.values()],
        (
            [row.database, row.group, row.records] + [_show_mean(row.average[name]) for name in FIGURE_TITLES]
            for row in report.episodes
        ),
    )
    timings = _table(
        ["database", "reading", "records", "subjects", *TIMING_TITLES.values()],
        (
            [row.database, row.group, row.records, row.subjects]
            + [_show_timing(row.timing.get(name)) for name in TIMING_TITLES]
            for row in report.episodes
        ),
    )
    return (
        f"## AF episodes, after EC57\n\nGross, all records pooled:\n\n{figures}\n\n"
        f"Average, each record weighing the same, and the records that define it:\n\n{averages}\n\n"
        f"Medians of absolute errors and of delays, and how many went into each of how many could have:\n\n{timings}"
    )


def _show_mean(mean: Mean) -> str:
    return ("–" if mean.value is None else f"{mean.value:.3f}") + f", {mean.records}"


def _false_alarms(report: Report) -> str:
    rows = (
        (
            row.database,
            row.group,
            row.records,
            row.subjects,
            f"{row.bed_days:.2f}",
            row.alarms,
            row.false,
            row.false_confirmed,
            show(row.per_bed_day, 2),
        )
        for row in report.false_alarms
    )
    head = ["database", "group", "records", "subjects", "bed-days", "alarms", "false", "false, confirmed"]
    return f"## False AF alarms\n\n{_table([*head, 'false a bed-day'], rows)}"


def _challenge(report: Report) -> str:
    rows = (
        [row.group, row.records, row.subjects, show(row.u), show(row.ur), show(row.ue)]
        + [" / ".join(str(n) for n in told) for told in row.kinds]
        for row in report.cpsc2021
    )
    head = [
        "records",
        "n",
        "subjects",
        "U",
        "Ur",
        "Ue",
        *(f"{kind} told as {' / '.join(KIND_TITLES)}" for kind in KIND_TITLES),
    ]
    return f"## CPSC2021 score\n\n{_table(head, rows)}"


def _legend(report: Report) -> str:
    lines = (
        f"Intervals hold {report.level:.0%} of {report.draws} draws of patients with replacement (seed {report.seed}); "
        "(–) where there are fewer than two patients or too many draws were undefined. Where no draw could meet an "
        "error the interval is a point: none was seen, which is not that none is possible. With few patients an "
        "interval is rough: two of them can be drawn in three ways only.",
        f"F1, sensitivity, specificity and PPV are at the fixed threshold {THRESHOLD}; ECE is over "
        f"{CALIBRATION_BINS} bins. – is undefined.",
        "An episode counts as detected or true if any of it overlaps (ANSI/AAMI EC57); annotated flutter is left out "
        "of the positive predictivities (+P). Delays count missed episodes as infinite (∞).",
        "A bed-day is 24 h of judged time without annotated AF. A false alarm overlaps no annotated AF. Where there "
        "was none, the upper bound is Poisson's.",
    )
    return "## How to read this\n\n" + "\n".join(f"- {line}" for line in lines)


def to_markdown(report: Report) -> str:
    """The whole report as Markdown tables."""
    parts = [f"# {report.title}\n\n{report.protocol}\n\nModel `{report.model}`."]
    parts += [_window_table(table) for table in report.windows]
    if report.episodes:
        parts.append(_episodes(report))
    if report.false_alarms:
        parts.append(_false_alarms(report))
    if report.cpsc2021:
        parts.append(_challenge(report))
    if report.notes:
        parts.append("## Notes\n\n" + "\n".join(f"- {note}" for note in report.notes))
    return "\n\n".join([*parts, _legend(report)]) + "\n"
