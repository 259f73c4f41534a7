"""The model card: what was measured, on whom, and what the model must not be used for.

Every number comes from the model's file and from reports; the sentences of ``card_words`` hold none of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from models.classes import FINDINGS, FLUTTER, OUTPUTS, RHYTHMS
from models.network.weights import Model
from wardbeat.evaluation import markdown
from wardbeat.evaluation.aims import AIMS
from wardbeat.evaluation.markdown import FIGURE_TITLES, METRIC_TITLES, show, show_timing, table
from wardbeat.evaluation.networks import Seen
from wardbeat.evaluation.report import (
    CauseRow,
    CoverageRow,
    EpisodeRow,
    FalseAlarmRow,
    NetworkRow,
    Report,
    WindowRow,
)
from wardbeat.evaluation.synthetic import SYNTHETIC
from wardbeat.evaluation.tables import LEADS_TITLE, OUTPUTS_TITLE, PAROXYSMAL, POOLED, pooled
from wardbeat.training.cache import FITTED_ON
from wardbeat.training.card_words import CHOSEN, COST, ERRORS, FLUTTER_IS_RARE, LIMITS, NOT_FOR
from wardbeat.training.config import GROUPS
from wardbeat.training.records import PLANS
from wardbeat.training.sampler import Split
from wardbeat.training.sources import SOURCES

Row = TypeVar("Row", WindowRow, EpisodeRow, FalseAlarmRow, CauseRow, CoverageRow)
# Their patients are in AF throughout or not at all: none of them is paroxysmal.
WITH_WAVEFORM = frozenset(name for name, plan in PLANS.items() if not plan.beats_only) - {SYNTHETIC}
AF_METRICS = ("auroc", "auprc", "f1", "sensitivity_at_1_percent_fp", "calibration_error")
MARK = " †"  # of figures of databases that were not left out
FEW_SUBJECTS = 5  # with an output, below which its AUROC says little; the report has all


class Ablation(msgspec.Struct, frozen=True):
    """What a network without one of its parts, or another one, reached: AF against all else, at 0.5.

    Attributes:
        name: of the variant.
        dataset: judged, which its training left out.
        leads: it was seen through.
        auroc: None where it was not measured.
        f1: likewise.
    """

    name: str
    dataset: str
    leads: str
    auroc: float | None
    f1: float | None


def read_ablations(path: Path) -> list[Ablation]:
    """Rows of a JSON list.

    Raises:
        ValueError: it is no such list; quotes what does not fit.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Ablation])
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: expected a list of name, dataset, leads, auroc, f1: {error}") from error


def model_card(
    model: Model, file_bytes: int, report: Report, ablations: Sequence[Ablation] = (), remarks: str = ""
) -> str:
    """The card in Markdown.

    Args:
        model: as it is shipped.
        file_bytes: size of its file.
        report: of ``wardbeat evaluate --left-out``.
        ablations: rows of the table of parts and rivals; may be none.
        remarks: Markdown by a person, such as why aims were missed; may be empty.

    Raises:
        ValueError: a dataset has no source and licence here, the report says nothing of databases that were left out,
            or it holds figures of another model as this one's.
    """
    unseen = _check(model, report)
    head, aims, missed, report = (
        _head(model, file_bytes, report),
        _aims(report),
        _missed(report),
        _marked(report, unseen),
    )
    parts = [
        head,
        "## What it must not be used for\n\n" + _bullets(NOT_FOR),
        aims,
        "## Where it falls short\n\n" + "\n\n".join(filter(None, (missed, remarks.strip(), _bullets(LIMITS)))),
        _windows(report, unseen),
        _episodes(report),
        _false_alarms(report),
        _flutter(report),
        markdown.causes(report),
        _findings(report),
        _prediction_sets(model, report, unseen),
    ]
    if ablations:
        parts.append(_ablations(ablations))
    parts += [markdown.networks(report) + _otherwise(report), _data(model), _training(model)]
    parts.append(_again(with_ablations=bool(ablations), with_remarks=bool(remarks)))
    return "\n\n".join(parts) + "\n"


def _again(with_ablations: bool, with_remarks: bool) -> str:
    others = " --remarks weights/remarks.md" * with_remarks + " --ablations weights/ablations.json" * with_ablations
    return f"""## These figures again

With the recordings unpacked into `.data`:

    wardbeat evaluate --left-out --data .data --json weights/evaluation.json --markdown weights/EVALUATION.md
    wardbeat card weights/evaluation.json{others} --out weights/MODEL_CARD.md

It takes an hour or more of one core: with `--results FOLDER` it can be stopped, and goes on when started again.

[EVALUATION.md](EVALUATION.md) holds all tables: each set of leads, signal quality, averages by record, every label."""


def _check(model: Model, report: Report) -> frozenset[str]:
    unseen = frozenset(row.database for row in report.networks if row.seen == Seen.NOTHING and row.records)
    if not unseen:
        raise ValueError(f"report {report.title!r}: no database of it was left out of training: use --left-out")
    for row in report.networks:
        if row.seen != Seen.NOTHING and row.records and row.model != model.name:
            raise ValueError(f"report {report.title!r}: expected {row.database} by {model.name}, got {row.model!r}")
    return unseen


def _marked(report: Report, unseen: frozenset[str]) -> Report:
    """The report, with a mark at databases that the network which judges them had seen the like of."""
    marked = {row.database: row.database + MARK for row in report.networks if row.database not in unseen}
    if marked.keys() & {row.database for row in report.episodes if row.database in WITH_WAVEFORM}:
        marked[PAROXYSMAL] = PAROXYSMAL + MARK

    def renamed(rows: tuple[Row, ...]) -> tuple[Row, ...]:
        return tuple(msgspec.structs.replace(row, database=marked.get(row.database, row.database)) for row in rows)

    return msgspec.structs.replace(
        report,
        windows=tuple(msgspec.structs.replace(of, rows=renamed(of.rows)) for of in report.windows),
        episodes=renamed(report.episodes),
        false_alarms=renamed(report.false_alarms),
        flutter_episodes=renamed(report.flutter_episodes),
        false_flutter=renamed(report.false_flutter),
        causes=renamed(report.causes),
        coverage=renamed(report.coverage),
    )


def _head(model: Model, file_bytes: int, report: Report) -> str:
    numbers = sum(array.size for array in model.network.values())
    had = [f"of {row.database} {row.unlabelled}" for row in report.networks if row.unlabelled and row.records]
    unlabelled = f"\n\nWithout labels every network had something of some databases: {'; '.join(had)}." if had else ""
    return (
        f"# Model card: {model.name}\n\n"
        f"Tells of 10 s of ECG, in any subset of twelve leads or from beats alone, with up to 60 s of its own past: "
        f"{', '.join(RHYTHMS)}, each second and for the window; and {', '.join(FINDINGS)}.\n\n"
        f"File `model.safetensors`, {file_bytes / 1e6:.2f} MB, sha256 `{model.sha256}`: {numbers:,} numbers in the "
        f"network, {model.minirocket.features:,} MiniRocket features, calibration and thresholds of the prediction "
        "sets. Licence Apache-2.0; the data's licences ask that its authors be named: they are, below.\n\n"
        "**How to read the figures.** They are not of this file: for each database, networks trained in the same way "
        "without it judged it through the ward's own code, so they say what to expect of patients and devices that are "
        f"new. {MARK.strip()} marks what was not left out: this file judged patients of it that it did not learn from, "
        "or synthetic ones. In brackets: 95 % intervals over draws of patients. Positive is AF; flutter is not AF.\n\n"
        f"{CHOSEN}{unlabelled}"
    )


def _aims(report: Report) -> str:
    rows = []
    for aim in AIMS:
        reached = aim.reached(report)
        verdict = "–" if reached is None else "yes" if reached.enough else "**no**"
        rows.append((aim.what, aim.wanted, "not measured" if reached is None else reached.shown, verdict))
    return f"## Aims, and what was reached\n\n{table(('what', 'aim', 'reached', 'enough'), rows)}\n\n{ERRORS} {COST}"


def _missed(report: Report) -> str:
    found = [aim.reached(report) for aim in AIMS]
    missed = [aim.what for aim, each in zip(AIMS, found, strict=True) if each and not each.enough]
    unknown = [aim.what for aim, each in zip(AIMS, found, strict=True) if each is None]
    lines = []
    if missed:
        lines.append(f"Of {len(AIMS)} aims {len(missed)} are missed: {'; '.join(missed)}.")
    if unknown:
        lines.append(f"Not measured: {'; '.join(unknown)}.")
    return " ".join(lines)


def _windows(report: Report, unseen: frozenset[str]) -> str:
    there = {row.database for of in report.windows for row in of.rows}
    whole = {pooled(group): set(GROUPS[group]) for group in POOLED if pooled(group) in there}
    shown = (unseen | whole.keys()).difference(*whole.values())  # sets that are pooled are not shown one by one
    rows = [
        [row.database, row.group, row.n, row.positives, row.positive_subjects]
        + [show(row.metrics[name]) if name in row.metrics else "–" for name in AF_METRICS]
        for of in report.windows
        if of.title == LEADS_TITLE
        for row in of.rows
        if row.positives and row.database in shown
    ]
    head = ("database", "leads", "windows", "of AF", "patients with AF", *(METRIC_TITLES[name] for name in AF_METRICS))
    return (
        "## AF in windows, databases never seen\n\nWindows of 10 s, or whole records where a label holds for them; F1 "
        f"at the fixed threshold 0.5; ECE is the calibration's error.\n\n{table(head, rows)}"
    )


def _episodes(report: Report) -> str:
    burden = [row for row in report.episodes if row.group == "burden"]
    head = ("database", "records", "hours", "episodes", *FIGURE_TITLES.values(), "burden error, points")
    timing = ("onset error, beats", "offset error, beats", "provisional after, s", "confirmed after, s")
    score = "".join(
        f" CPSC 2021's own score: U {show(row.u)}, Ur {show(row.ur)}, Ue {show(row.ue)}, {row.records} records."
        for row in report.cpsc2021
    )
    return (
        "## AF episodes\n\nAfter EC57, all records pooled, by the reading for the burden; medians of absolute errors "
        f"and of delays, and of how many of all; delays of episodes of half a minute and more. {ERRORS}"
        f"{score}\n\n{table((*head, *timing), map(_episode_row, burden))}"
    )


def _episode_row(row: EpisodeRow) -> list[object]:
    return [
        row.database,
        row.records,
        f"{row.hours:.1f}",
        row.reference_episodes,
        *(show(row.gross[name]) for name in FIGURE_TITLES),
        show(row.burden_error, 2, 100),
        *(show_timing(row.timing[name]) for name in ("onset_beats", "offset_beats", "provisional_s", "confirmed_s")),
    ]


def _false_alarms(report: Report) -> str:
    flutter = {(row.database, row.group): (row.false, show(row.per_bed_day, 2)) for row in report.false_flutter}
    rows = [
        (
            row.database,
            row.group,
            row.records,
            f"{row.bed_days:.2f}",
            row.false,
            row.false_confirmed,
            show(row.per_bed_day, 2),
            *flutter.get((row.database, row.group), ("–", "–")),
        )
        for row in report.false_alarms
        if not row.group.startswith(("during", "records:"))
    ]
    head = ("database", "records", "n", "bed-days without AF", "false", "confirmed", "false a bed-day")
    return (
        "## False alarms\n\nOf AF where there is no AF and, in the last two columns, of flutter where there is no "
        f"flutter, a day of that.\n\n{table((*head, 'false flutter', 'false flutter a bed-day'), rows)}"
    )


def _flutter(report: Report) -> str:
    patients = {
        row.database: row.positive_subjects
        for of in report.windows
        if of.title == OUTPUTS_TITLE
        for row in of.rows
        if row.group == RHYTHMS[FLUTTER]
    }
    rows = [
        (
            row.database,
            row.records,
            patients.get(row.database, "–"),
            f"{row.hours:.1f}",
            row.reference_episodes,
            row.told_episodes,
            *(show(row.gross[name]) for name in FIGURE_TITLES),
        )
        for row in report.flutter_episodes
        if row.group == "burden"
    ]
    head = ("database", "records", "patients with it", "hours", "episodes", "told", *FIGURE_TITLES.values())
    return f"## Flutter\n\n{FLUTTER_IS_RARE}\n\n{table(head, rows)}"


def _findings(report: Report) -> str:
    rows = [
        [row.group, row.database, row.n, row.positives, row.positive_subjects]
        + [show(row.metrics[name]) if name in row.metrics else "–" for name in ("auroc", "f1")]
        for of in report.windows
        if of.title == OUTPUTS_TITLE
        for row in sorted(of.rows, key=lambda row: OUTPUTS.index(row.group))
        if row.positive_subjects >= FEW_SUBJECTS or row.group == RHYTHMS[FLUTTER]
    ]
    head = ("output", "database", "windows", "with it", "patients with it", "AUROC", "F1")
    return f"## What else it tells\n\nAll leads of each record.\n\n{table(head, rows)}"


def _prediction_sets(model: Model, report: Report, unseen: frozenset[str]) -> str:
    conformal = model.conformal
    bars = table(
        ("rhythm", "least p", "fitted on patients", "windows"),
        (
            (rhythm, f"{bar:.4f}" if bar > 0 else "never ruled out", conformal.subjects[k], conformal.windows[k])
            for k, (rhythm, bar) in enumerate(zip(RHYTHMS, conformal.thresholds.tolist(), strict=True))
        ),
    )
    short: dict[str, list[str]] = {}
    for row in report.coverage:
        if row.database in unseen and row.covered.value is not None and row.covered.value < 1 - conformal.alpha[0]:
            short.setdefault(row.rhythm, []).append(row.database)
    named = (f"{rhythm} ({', '.join(short[rhythm])})" for rhythm in sorted(short, key=RHYTHMS.index))
    verdict = (
        f"On databases never seen it is not kept everywhere: it falls short in {', '.join(named)}."
        if short
        else "It is kept on all databases measured here."
    )
    return (
        f"{markdown.coverage(report)}\n\nThe promise, for patients like those of the calibration: "
        f"{1 - float(conformal.alpha[0]):.0%} of the windows with a rhythm carry it in their set. {verdict} This "
        f"file's thresholds:\n\n{bars}"
    )


def _ablations(rows: Sequence[Ablation]) -> str:
    names, columns = dict.fromkeys(row.name for row in rows), dict.fromkeys((row.dataset, row.leads) for row in rows)
    of = {(row.name, row.dataset, row.leads): f"{_figure(row.auroc)} / {_figure(row.f1)}" for row in rows}
    head = ("variant", *(f"{dataset}, {leads}" for dataset, leads in columns))
    lines = ((name, *(of.get((name, *column), "–") for column in columns)) for name in names)
    return (
        "## What each part adds\n\nAF against all else, AUROC / F1 at 0.5, database left out of training; the same "
        f"data, steps and seed.\n\n{table(head, lines)}"
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _otherwise(report: Report) -> str:
    """Says so where networks were not trained alike."""
    recipes: dict[str, list[NetworkRow]] = {}
    for row in report.networks:
        if row.records:
            recipes.setdefault(row.recipe, []).append(row)
    if len(recipes) < 2:
        return ""
    groups = (" + ".join(row.database for row in rows) for rows in recipes.values())
    return f"\n\n**Not all of these networks were trained with the same settings:** {'; '.join(groups)}."


def _data(model: Model) -> str:
    subjects: Mapping[str, Mapping[str, int]] = model.training.get("subjects", {})
    if not subjects:
        raise ValueError(f"model {model.name}: its training names no subjects")
    if unknown := [name for name in subjects if name not in SOURCES]:
        raise ValueError(f"model {model.name}: no source and licence known of {', '.join(unknown)}")
    rows = (
        [name, *SOURCES[name], *(of.get(split, 0) for split in (Split.TRAIN, Split.VALIDATION, Split.CALIBRATION))]
        for name, of in subjects.items()
    )
    head = ("dataset", "what", "source", "licence", "learnt from, patients", "watched", "calibrated by")
    return (
        "## Data of this file\n\nPatients are split by a hash of their id: nobody is in two columns, also where "
        "databases share people; both last columns fitted the calibration. PhysioNet: Goldberger et al. 2000, "
        f"Circulation 101:e215.\n\n{table(head, rows)}\n\nMiniRocket's biases and a part of the noise are of "
        f"{FITTED_ON}, of which no rhythm was learnt: {'; '.join(SOURCES[FITTED_ON])}."
    )


def _training(model: Model) -> str:
    settings = _flat({name: value for name, value in model.training.items() if name != "subjects"})
    return "## Training of this file\n\n" + ", ".join(f"{name} `{value}`" for name, value in settings.items()) + "."


def _flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
