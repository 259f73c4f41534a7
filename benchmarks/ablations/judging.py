"""What a network or trees say of the databases that were left out, and how good that is. From the cache, no I/O.

Windows as they were recorded, never augmented. A database that labels whole records is judged by records: the mean of a
record's windows against the record's label. Others are judged by windows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve

from models.classes import AF, NOISE, OUTPUTS
from wardbeat.evaluation.bootstrap import estimate
from wardbeat.evaluation.metrics import THRESHOLD, Metric, auprc, auroc, f1
from wardbeat.training.records import PLANS, Told
from wardbeat.training.sampler import CachedDataset, Rows

Floats = npt.NDArray[np.float64]
LEAD_SETS = ("12", "I", "I+II+V1")  # of recordings with twelve; others are judged through the leads that they have
SHOWN = ("pac", "pvc", "lbbb", "rbbb", "av_block_1", "brady", "tachy", "noise", "flutter")  # beside AF
FEW = 5  # patients with a finding, below which nothing is said of it
NO_SIGNAL = "rr"


def counted(dataset: str) -> str:
    """What is judged: "record" where a database labels whole records, else "window"."""
    plan = PLANS.get(dataset)
    return "record" if plan is not None and plan.told is Told.LABELS else "window"


@dataclass(frozen=True)
class Look:
    """Windows of a left-out dataset through one set of leads.

    Attributes:
        dataset: its name.
        leads: of ``LEAD_SETS``; "own" = all that a recording has; "rr" = beats alone.
        rows: (n,) windows of the cached dataset.
        of: (n,) index of each window's unit.
        truth: (u, 13) 1, 0 or NaN: the output holds in the unit.
        subject: (u,) the patient.
    """

    dataset: str
    leads: str
    rows: Rows
    of: npt.NDArray[np.int64]
    truth: Floats
    subject: npt.NDArray[np.str_]

    @property
    def name(self) -> str:
        """Of its column."""
        return f"{self.dataset} {self.leads}"


@dataclass(frozen=True)
class Scores:
    """What was said of a look's units, with what is true of them: enough to judge, and to compare unit by unit.

    Attributes:
        p: (u, 13) probabilities, uncalibrated; NaN for outputs that trees do not have.
        truth, subject: of the look.
    """

    p: Floats
    truth: Floats
    subject: npt.NDArray[np.str_]


def looks_of(dataset: CachedDataset) -> list[Look]:
    """How a left-out dataset is looked at; windows of which nothing is known are not.

    Raises:
        ValueError: no window is left.
    """
    plain = ~dataset.augmented
    names = set(dataset.leads_name[plain].tolist())
    if LEAD_SETS[0] in names:
        masks = {name: plain & (dataset.leads_name == name) for name in LEAD_SETS if name in names}
    else:
        masks = {NO_SIGNAL if names == {NO_SIGNAL} else "own": dataset.widest()}
    unit = counted(dataset.name)
    known = np.concatenate([dataset.rhythm_target, dataset.findings_target], 1).astype(np.float64)
    looks = []
    for leads, mask in masks.items():
        rows = np.flatnonzero(mask & np.isfinite(known).any(1))
        if not len(rows):
            continue
        key = dataset.record[rows] if unit == "record" else np.arange(len(rows))
        _, first, of = np.unique(key, return_index=True, return_inverse=True)
        truth = np.full((len(first), len(OUTPUTS)), np.nan)
        np.fmax.at(truth, of, (known[rows] >= 0.5) + np.where(np.isfinite(known[rows]), 0.0, np.nan))
        looks.append(Look(dataset.name, leads, rows, of, truth, dataset.subject[rows][first]))
    if not looks:
        raise ValueError(f"{dataset.name} has no window, as recorded and with a label, to be judged on")
    return looks


def scores_of(look: Look, p: npt.NDArray[np.floating[Any]]) -> Scores:
    """Means over each unit of what was said of its windows: p (n, 13)."""
    sums = np.zeros(look.truth.shape)
    np.add.at(sums, look.of, p.astype(np.float64))
    return Scores(sums / np.bincount(look.of)[:, None], look.truth, look.subject)


def best_f1(truth: Floats, p: Floats) -> float | None:
    """F1 at the threshold that suits these very data: what a better calibration could reach at most."""
    if not truth.any():
        return None
    precision, recall, _ = precision_recall_curve(truth, p)
    return float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12)))


def figures(scores: Scores) -> dict[str, Any]:
    """AF against all else and the findings; None where the data do not define a figure."""
    known = np.isfinite(scores.truth[:, AF])
    y, p = scores.truth[known, AF], scores.p[known, AF]
    noise = scores.p[scores.truth[:, NOISE] == 1, AF]
    return {
        "windows": int(known.sum()),  # or records
        "subjects": len(np.unique(scores.subject[known])),
        "af": int(y.sum()),
        "auroc": _number(auroc(y, p)),
        "auprc": _number(auprc(y, p)),
        "f1": _number(f1(y, p)),
        "f1_best": best_f1(y, p),
        "others_called_af": _share(p[y == 0]),
        "noise": len(noise),
        "noise_called_af": _share(noise),
        "findings": {name: _number(auroc(y, p)) for name, y, p in _findings(scores)},
    }


def differences(scores: Scores, reference: Scores, draws: int) -> dict[str, Any]:
    """Of figures to the reference's, each with the interval over draws of patients, who are the same for both.

    Raises:
        ValueError: the two were not judged on the same units.
    """
    same = np.array_equal(scores.truth, reference.truth, equal_nan=True)
    if not same or not np.array_equal(scores.subject, reference.subject):
        raise ValueError("a variant and the reference were judged on different windows: judge both on one cache")
    known = np.isfinite(scores.truth[:, AF])
    y, who = scores.truth[known, AF], scores.subject[known]
    af = scores.p[known, AF], reference.p[known, AF]
    theirs = {name: p for name, _, p in _findings(reference)}
    return {
        "auroc": _difference(auroc, y, *af, who, draws),
        "f1": _difference(f1, y, *af, who, draws),
        "findings": {
            name: _difference(auroc, y, p, theirs[name], _subjects(scores, name), draws)
            for name, y, p in _findings(scores)
        },
    }


def _difference(
    metric: Metric, y: Floats, p: Floats, reference: Floats, who: npt.NDArray[np.str_], draws: int
) -> dict[str, float | None]:
    orders = [np.argsort(each, kind="stable") for each in (p, reference)]  # sorted once, not in every draw
    parts = [(y[order], each[order], order) for each, order in zip((p, reference), orders, strict=True)]

    def statistic(weight: Floats) -> float:
        ours, theirs = (metric(y, each, weight[order]) for y, each, order in parts)
        return ours - theirs

    found = estimate(statistic, who, draws=draws)
    return {"value": found.value, "low": found.low, "high": found.high}


def _findings(scores: Scores) -> Iterable[tuple[str, Floats, Floats]]:
    """Name, truth and score of what enough patients have and was said anything of."""
    for name in SHOWN:
        k = OUTPUTS.index(name)
        known = np.isfinite(scores.truth[:, k])
        y, p = scores.truth[known, k], scores.p[known, k]
        if np.isfinite(p).all() and not y.all() and len(np.unique(scores.subject[known][y == 1])) >= FEW:
            yield name, y, p


def _subjects(scores: Scores, name: str) -> npt.NDArray[np.str_]:
    return scores.subject[np.isfinite(scores.truth[:, OUTPUTS.index(name)])]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _share(p: Floats) -> float | None:
    return float((p >= THRESHOLD).mean()) if len(p) else None


def packed(all_scores: Mapping[str, Scores]) -> dict[str, npt.NDArray[Any]]:
    """Scores by the names of looks, as arrays to store."""
    return {f"{name}/{part}": getattr(s, part) for name, s in all_scores.items() for part in ("p", "truth", "subject")}


def unpacked(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Scores]:
    """What ``packed`` packed."""
    names = dict.fromkeys(key.rpartition("/")[0] for key in arrays)
    return {name: Scores(*(arrays[f"{name}/{part}"] for part in ("p", "truth", "subject"))) for name in names}


Predict = Callable[[CachedDataset, Rows], npt.NDArray[np.floating[Any]]]


def judged(predict: Predict, datasets: Iterable[CachedDataset]) -> dict[str, Scores]:
    """Scores of all looks at the datasets; ``predict`` gives (n, 13) of windows (n,)."""
    return {
        look.name: scores_of(look, predict(dataset, look.rows)) for dataset in datasets for look in looks_of(dataset)
    }
