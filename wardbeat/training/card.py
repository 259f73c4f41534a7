"""The model card: what was measured, on whom, and what the model must not be used for.

Every number comes from the arguments; the sentences here hold none.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from models.classes import FINDINGS, OUTPUTS, RHYTHMS
from models.network.weights import Model
from models.uncertainty.conformal import Coverage
from models.uncertainty.reliability import Reliability
from wardbeat.evaluation.report import Report, to_markdown
from wardbeat.training.sources import SOURCES

NOT_FOR = (
    "Not a medical device: it was never tried on patients in care, and nobody has cleared it. It supports people who "
    "watch; it does not replace them, another monitor, or a 12-lead ECG read by a physician.",
    "Not a diagnosis. No treatment, such as anticoagulation or cardioversion, may rest on it.",
    "Not for life-threatening rhythms: ventricular tachycardia, fibrillation, asystole and extreme rates are not what "
    "the network was asked for. Rules on beats alarm on some of them, apart from it.",
    "Not for ischaemia, infarction, QT, electrolytes, chamber size, or whether a pacemaker works.",
    "Not for children or newborns, heart transplants, mechanical support or signals from within the heart: none of "
    "them was measured on its own.",
    "Not for comparing people, wards or sexes: the data does not tell who they are well enough to say that it errs "
    "alike on all.",
)
LIMITS = (
    "A probability is right for data mixed like that of its calibration. Where AF is rarer than there, as on most "
    "wards, it is too high.",
    "A prediction set keeps its promise on average over patients like those of its calibration, for each rhythm on its "
    "own. It promises nothing about one given patient, nor about a kind of patient or device that was not there.",
    "“other” is every rhythm that is neither AF, flutter, sinus nor noise, and is not told further.",
    "Training used a part of each database, chosen by what could be had openly. Results on the whole databases, as "
    "published elsewhere, are not comparable line by line.",
    "Labels are those of the databases, whose mistakes were learnt and counted along.",
)


@dataclass(frozen=True)
class SplitRow:
    """How one dataset was used.

    Attributes:
        dataset: by its name in ``SOURCES``.
        training, validation, calibration: subjects; no subject is in two of them.
        windows: of training.
        left_out: never seen by the shipped network in any form.
    """

    dataset: str
    training: int
    validation: int
    calibration: int
    windows: int
    left_out: bool = False


@dataclass(frozen=True)
class CardFacts:
    """What the card is made of.

    Attributes:
        model: as it is shipped.
        bytes: of its file.
        splits: a row a dataset.
        reports: of evaluations of this very model.
        left_out_reports: of evaluations of networks trained like it without the databases they are judged on.
        coverage: of the prediction sets, on patients who fitted nothing.
        reliability: output → before and after calibration, on patients who fitted nothing.
        shortfalls: sentences: which aims were missed, and why.
        remarks: sentences: what else was found, such as what an ablation says.
    """

    model: Model
    bytes: int
    splits: Sequence[SplitRow]
    reports: Sequence[Report]
    left_out_reports: Sequence[Report]
    coverage: Sequence[Coverage]
    reliability: Mapping[str, tuple[Reliability, Reliability]]
    shortfalls: Sequence[str]
    remarks: Sequence[str] = ()


def model_card(facts: CardFacts) -> str:
    """The card in Markdown.

    Raises:
        ValueError: a dataset has no source and licence here, or a report is of another model.
    """
    for report in facts.reports:
        if report.model != facts.model.name:
            raise ValueError(f"report {report.title!r}: expected model {facts.model.name}, got {report.model!r}")
    parts = [
        _head(facts),
        "## What it must not be used for\n\n" + _bullets(NOT_FOR),
        _data(facts.splits),
        _training(facts.model),
        "## Where it falls short\n\n" + _bullets([*facts.shortfalls, *LIMITS]),
    ]
    if facts.remarks:
        parts.append("## What was found on the way\n\n" + _bullets(facts.remarks))
    parts += [_calibration(facts), _prediction_sets(facts)]
    if facts.left_out_reports:
        parts.append(
            "## Databases never seen\n\nThese figures are not of this file: for each database a network was trained in "
            "the same way without it, and judged on it. They say what to expect of patients and devices that are new."
        )
        parts += map(_report, facts.left_out_reports)
    if facts.reports:
        parts.append("## This file\n\nFigures of the shipped network on patients whom it did not learn from.")
        parts += map(_report, facts.reports)
    return "\n\n".join(parts) + "\n"


def _report(report: Report) -> str:
    """Its headings two levels down."""
    return re.sub(r"^#", "###", to_markdown(report).strip(), flags=re.MULTILINE)


def _head(facts: CardFacts) -> str:
    model = facts.model
    numbers = sum(array.size for array in model.network.values())
    return (
        f"# Model card: {model.name}\n\n"
        f"Rhythm of 10 s of ECG in any subset of twelve leads, or of beats alone, with up to 60 s of its own past: "
        f"{', '.join(RHYTHMS)}, each second and for the window; and {', '.join(FINDINGS)}.\n\n"
        f"File `model.safetensors`, {facts.bytes / 1e6:.2f} MB, sha256 `{model.sha256}`. "
        f"{numbers:,} numbers in the network, {model.minirocket.features:,} MiniRocket features. Licence Apache-2.0; "
        "the data's licences ask that its authors be named: they are, below."
    )


def _data(splits: Sequence[SplitRow]) -> str:
    unknown = [row.dataset for row in splits if row.dataset not in SOURCES]
    if unknown:
        raise ValueError(f"splits: no source and licence known of {', '.join(unknown)}")
    sources = _table(("dataset", "what", "source", "licence"), ([row.dataset, *SOURCES[row.dataset]] for row in splits))
    head = ("dataset", "training subjects", "validation", "calibration", "training windows", "left out")
    rows = (
        (row.dataset, row.training, row.validation, row.calibration, row.windows, "yes" if row.left_out else "no")
        for row in splits
    )
    return (
        f"## Data\n\n{sources}\n\nPhysioNet: Goldberger et al. 2000, Circulation 101:e215.\n\n"
        "Split by subject: nobody is in two columns, also where databases share people.\n\n" + _table(head, rows)
    )


def _training(model: Model) -> str:
    settings = {**{f"network.{name}": value for name, value in model.config.as_dict().items()}, **_flat(model.training)}
    return "## Training\n\n" + _table(("setting", "value"), ((f"`{name}`", value) for name, value in settings.items()))


def _flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _calibration(facts: CardFacts) -> str:
    calibration = facts.model.calibration
    rows = []
    for k, output in enumerate(OUTPUTS):
        a, c = float(calibration.slope[k]), float(calibration.offset[k])
        pair = ("not fitted", "not fitted") if (a, c) == (1.0, 0.0) else (f"{a:.3f}", f"{c:+.3f}")
        rows.append([output, *pair, *_reliability(facts.reliability.get(output))])
    head = ("output", "a", "c", "windows", "subjects", "share", "log loss", "Brier", "ECE")
    return (
        "## Calibration\n\nOf a window's probability p: σ(a · logit(p) + c). Figures before → after, on patients who "
        f"fitted nothing; ECE with its 95 % interval by subject.\n\n{_table(head, rows)}"
    )


def _reliability(pair: tuple[Reliability, Reliability] | None) -> list[str]:
    if pair is None:
        return ["–"] * 6
    before, after = pair
    return [
        str(after.windows),
        str(after.subjects),
        f"{after.share:.3f}",
        f"{before.log_loss:.3f} → {after.log_loss:.3f}",
        f"{before.brier:.3f} → {after.brier:.3f}",
        f"{before.ece:.3f} → {after.ece:.3f} ({after.ece_low:.3f}–{after.ece_high:.3f})",
    ]


def _prediction_sets(facts: CardFacts) -> str:
    conformal = facts.model.conformal
    covered = {each.rhythm: each for each in facts.coverage}
    rows = []
    for k, rhythm in enumerate(RHYTHMS):
        bar = float(conformal.thresholds[k])
        shown = f"{bar:.4f}" if bar > 0 else "never ruled out"
        rows.append([rhythm, shown, conformal.subjects[k], conformal.windows[k], *_coverage(covered.get(rhythm))])
    head = ("rhythm", "least p", "fitted on subjects", "windows", "tested on subjects", "windows", "covered")
    more = ("covered, by window", "rhythms in the set", "alone in it", "unusual")
    return (
        f"## Prediction sets\n\nAim: {1 - float(conformal.alpha[0]):.0%} of the windows with a rhythm carry it in "
        "their set, for each rhythm, in patients who fitted nothing; each patient counts once (95 % interval). "
        f"“Unusual”: no rhythm reached its least p, and the likeliest stands alone.\n\n{_table((*head, *more), rows)}"
    )


def _coverage(found: Coverage | None) -> list[str]:
    if found is None or math.isnan(found.covered):
        return ["0", "0", *["–"] * 5]
    return [
        str(found.subjects),
        str(found.windows),
        f"{found.covered:.3f} ({found.low:.3f}–{found.high:.3f})",
        f"{found.covered_windows:.3f}",
        f"{found.size:.2f}",
        f"{found.alone:.3f}",
        f"{found.unusual:.3f}",
    ]


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
