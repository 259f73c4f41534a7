"""The results of an evaluation as Markdown tables; every row shows what its numbers were counted on."""

from collections.abc import Iterable, Mapping, Sequence

from wardbeat.evaluation.bootstrap import Estimate
from wardbeat.evaluation.metrics import CALIBRATION_BINS, THRESHOLD
from wardbeat.evaluation.report import EpisodeRow, FalseAlarmRow, Mean, Report, Timing, WindowTable

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


def show_timing(timing: Timing | None) -> str:
    """The median, of how many of how many: "5.5 (0.8–11.5), 10 of 17"; "∞" where most were missed."""
    if timing is None:
        return "–"
    median = timing.median
    counted = f", {median.n} of {timing.of}"
    return ("∞" if median.value is None and median.n else show(median, 1)) + counted


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def window_table(of: WindowTable) -> str:
    """Metrics of one question, a row a group."""
    shown = [name for name in METRIC_TITLES if any(name in row.metrics for row in of.rows)]
    head = ["database", of.by, "windows", "positive", "subjects", "with positive", *map(METRIC_TITLES.get, shown)]
    rows = (
        [row.database, row.group, row.n, row.positives, row.subjects, row.positive_subjects]
        + [show(row.metrics[name]) if name in row.metrics else "–" for name in shown]
        for row in of.rows
    )
    return f"## {of.title}\n\nPositive is: {of.question}.\n\n{table([str(cell) for cell in head], rows)}"


def _episodes(title: str, episodes: Sequence[EpisodeRow]) -> str:
    what = ["database", "reading", "records", "subjects", "hours", "annotated", "told"]
    figures = table(
        [*what, *FIGURE_TITLES.values(), "burden error, points", "burden bias, points"],
        (
            [row.database, row.group, row.records, row.subjects, f"{row.hours:.1f}"]
            + [row.reference_episodes, row.told_episodes]
            + [show(row.gross[name]) for name in FIGURE_TITLES]
            + [show(row.burden_error, 2, 100), show(row.burden_bias, 2, 100)]
            for row in episodes
        ),
    )
    averages = table(
        ["database", "reading", "records", *FIGURE_TITLES.values()],
        (
            [row.database, row.group, row.records] + [_show_mean(row.average[name]) for name in FIGURE_TITLES]
            for row in episodes
        ),
    )
    timings = table(
        ["database", "reading", "records", "subjects", *TIMING_TITLES.values()],
        (
            [row.database, row.group, row.records, row.subjects]
            + [show_timing(row.timing.get(name)) for name in TIMING_TITLES]
            for row in episodes
        ),
    )
    return (
        f"## {title} episodes, after EC57\n\nGross, all records pooled:\n\n{figures}\n\n"
        f"Average, each record weighing the same, and the records that define it:\n\n{averages}\n\n"
        "Medians of absolute errors and of delays, and how many went into each of how many could have: errors are of "
        f"the changes that were told, while in the delays a missed episode counts as endless:\n\n{timings}"
    )


def _show_mean(mean: Mean) -> str:
    return ("–" if mean.value is None else f"{mean.value:.3f}") + f", {mean.records}"


def _false_alarms(title: str, alarms: Sequence[FalseAlarmRow]) -> str:
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
        for row in alarms
    )
    head = ["database", "group", "records", "subjects", "bed-days", "alarms", "false", "false, confirmed"]
    return f"## False {title} alarms\n\n{table([*head, 'false a bed-day'], rows)}"


def causes(report: Report) -> str:
    """What is easily taken for AF, one by one."""
    rows = (
        (
            f"{row.cause} (is AF)" if row.af else row.cause,
            row.database,
            f"{row.n} {row.unit}",
            row.subjects,
            show(row.called, 1, 100),
            f"{row.hours:.1f}" if row.hours else "–",
            row.false if row.hours else "–",
            row.confirmed if row.hours else "–",
        )
        for row in report.causes
    )
    head = ["cause", "database", "n", "subjects", "called AF, %", "hours", "false AF alarms", "confirmed"]
    return (
        "## What is easily taken for AF, one by one\n\n"
        "From labels and annotations; where nobody annotated enough of it, synthetic patients stand beside. An alarm "
        "counts with each cause that it touches. Counted is what has no AF; what is AF is marked so, and all of it has "
        f"to be called so.\n\n{table(head, rows)}"
    )


def coverage(report: Report) -> str:
    """Prediction sets against the truth."""
    rows = (
        (
            row.database,
            row.rhythm,
            row.n,
            row.subjects,
            show(row.covered),
            f"{row.by_window:.3f}",
            f"{row.size:.2f}",
        )
        for row in report.coverage
    )
    head = ["database", "rhythm", "windows", "subjects", "covered, by patient", "by window", "rhythms in the set"]
    return (
        "## Prediction sets\n\nOf windows whose one rhythm is known, the share whose set holds it; all leads. Of "
        f"records with a label, the record's windows are averaged.\n\n{table(head, rows)}"
    )


def networks(report: Report) -> str:
    """Which network judged which database, and what it had seen of it."""
    rows = (
        (
            row.database,
            f"`{row.model}`" if row.records else "not judged",
            ", ".join(row.left_out) or "–",
            (row.seen if row.records else "all of its patients")
            + (f"; but without labels: {row.unlabelled}" if row.unlabelled else ""),
            f"{row.records} of {row.of}",
            row.subjects,
        )
        for row in report.networks
    )
    head = ["database", "network", "left out in its training", "it had seen", "records judged", "subjects"]
    return f"## Who judged what\n\n{table(head, rows)}"


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
    return f"## CPSC2021 score\n\n{table(head, rows)}"


def _legend(report: Report) -> str:
    lines = (
        f"Intervals hold {report.level:.0%} of {report.draws} draws of patients with replacement (seed {report.seed}); "
        "(–) where there are fewer than two patients or too many draws were undefined. Where no draw could meet an "
        "error the interval is a point: none was seen, which is not that none is possible. With few patients an "
        "interval is rough: two of them can be drawn in three ways only.",
        f"F1, sensitivity, specificity and PPV are at the fixed threshold {THRESHOLD}; ECE is over "
        f"{CALIBRATION_BINS} bins. – is undefined.",
        "An episode counts as detected or true if any of it overlaps (ANSI/AAMI EC57); annotated flutter is left out "
        "of AF's positive predictivities (+P). Delays count missed episodes as infinite (∞).",
        "A bed-day is 24 h of judged time without annotated AF. A false alarm overlaps no annotated AF. Of flutter's "
        "alarms the same holds of flutter. Where there was none, the upper bound is Poisson's.",
    )
    return "## How to read this\n\n" + "\n".join(f"- {line}" for line in lines)


def to_markdown(report: Report) -> str:
    """The whole report as Markdown tables."""
    parts = [f"# {report.title}\n\n{report.protocol}\n\nModel `{report.model}`."]
    if report.networks:
        parts.append(networks(report))
    parts += map(window_table, report.windows)
    if report.episodes:
        parts.append(_episodes("AF", report.episodes))
    if report.flutter_episodes:
        parts.append(_episodes("Flutter", report.flutter_episodes))
    if report.false_alarms:
        parts.append(_false_alarms("AF", report.false_alarms))
    if report.false_flutter:
        parts.append(_false_alarms("flutter", report.false_flutter))
    if report.causes:
        parts.append(causes(report))
    if report.cpsc2021:
        parts.append(_challenge(report))
    if report.coverage:
        parts.append(coverage(report))
    if report.notes:
        parts.append("## Notes\n\n" + "\n".join(f"- {note}" for note in report.notes))
    return "\n\n".join([*parts, _legend(report)]) + "\n"
