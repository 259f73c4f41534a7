"""Metrics of yes-or-no questions put to many windows: is this AF?

Every metric takes ``truth`` (n,), 1 = yes, 0 = no, NaN = not known; ``score`` (n,) probabilities; and ``weight`` (n,),
how often each window counts (1 where left out; the bootstrap counts whole patients several times or not at all).
Windows of unknown truth are left out. A metric that the data cannot define is NaN, never a number made up. A score that
is NaN is an error: to leave out windows that were not judged would flatter the judge, so the caller has to say so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Metric = Callable[[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike | None], float]

THRESHOLD = 0.5  # fixed: a threshold tuned on the data that it is judged on is no threshold
FALSE_POSITIVES = 0.01
CALIBRATION_BINS = 15  # as Guo et al. 2017 (arXiv 1706.04599) took for the expected calibration error


def known(truth: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    """Truth, score and weight of the windows that count, as float64.

    Raises:
        ValueError: lengths differ, a truth is neither 0, 1 nor NaN, a score is not finite, or a weight is negative.
    """
    y, p = np.asarray(truth, np.float64), np.asarray(score, np.float64)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    if y.ndim != 1 or y.shape != p.shape or y.shape != w.shape:
        raise ValueError(f"truth, score and weight must be alike (n,): {y.shape}, {p.shape}, {w.shape}")
    if wrong := np.flatnonzero(~(np.isnan(y) | (y == 0) | (y == 1))).tolist():
        raise ValueError(f"truth must be 0, 1 or NaN: {y[wrong[0]]} at {wrong[0]}")
    counts = ~np.isnan(y) & (w != 0)
    if not np.isfinite(p[counts]).all():
        raise ValueError(f"{np.sum(~np.isfinite(p[counts]))} of {counts.sum()} scores are not finite")
    if (w < 0).any() or np.isnan(w).any():
        raise ValueError(f"weights must not be negative: {w.min()}")
    return y[counts], p[counts], w[counts]


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")


def _steps(y: Floats, p: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Weights of true and of false positives where everything from each distinct score upwards is called positive.

    Scores descend, so both arrays (k,) ascend; windows of one score are called together.
    """
    order = np.argsort(p, kind="stable")[::-1]  # stable: linear where the bootstrap sorted the windows beforehand
    y, p, w = y[order], p[order], w[order]
    last = np.flatnonzero(np.append(p[1:] != p[:-1], True)) if len(p) else np.empty(0, np.int64)
    return np.cumsum(w * y)[last], np.cumsum(w * (1 - y))[last]


def auroc(truth: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties half (Mann and Whitney 1947)."""
    true, false = _steps(*known(truth, score, weight))
    if not len(true):
        return float("nan")
    higher = np.concatenate(([0.0], true[:-1]))  # positives of higher scores
    return _ratio(float(np.sum(np.diff(false, prepend=0.0) * (higher + true) / 2)), float(true[-1] * false[-1]))


def auprc(truth: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Average precision: the precision at each recall step, weighted by the step; no interpolation."""
    true, false = _steps(*known(truth, score, weight))
    if not len(true):
        return float("nan")
    return _ratio(float(np.sum(np.diff(true, prepend=0.0) * true / (true + false))), float(true[-1]))


def sensitivity_at_false_positives(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    rate: float = FALSE_POSITIVES,
) -> float:
    """The greatest sensitivity that any threshold reaches with at most ``rate`` of the negatives called positive."""
    true, false = _steps(*known(truth, score, weight))
    if not len(true) or not true[-1] or not false[-1]:
        return float("nan")
    return _ratio(float(np.max(true[false <= rate * false[-1]], initial=0.0)), float(true[-1]))


@dataclass(frozen=True)
class Confusion:
    """Weights of the windows by truth and call at one threshold."""

    tp: float
    fp: float
    fn: float
    tn: float

    @property
    def sensitivity(self) -> float:
        """tp / (tp + fn), 0 … 1; NaN without positives."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """tn / (tn + fp), 0 … 1; NaN without negatives."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def ppv(self) -> float:
        """tp / (tp + fp), 0 … 1; NaN where nothing was called positive."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def f1(self) -> float:
        """2 tp / (2 tp + fp + fn); undefined without positives, where it would be 0 whatever was called."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn) if self.tp + self.fn > 0 else float("nan")


def confusion(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    threshold: float = THRESHOLD,
) -> Confusion:
    """What is called positive from ``threshold`` upwards, against the truth."""
    y, p, w = known(truth, score, weight)
    called = p >= threshold
    return Confusion(
        tp=float(np.sum(w * y * called)),
        fp=float(np.sum(w * (1 - y) * called)),
        fn=float(np.sum(w * y * ~called)),
        tn=float(np.sum(w * (1 - y) * ~called)),
    )


def f1(truth: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """F1 at the fixed threshold."""
    return confusion(truth, score, weight).f1


def sensitivity(truth: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Sensitivity at the fixed threshold."""
    return confusion(truth, score, weight).sensitivity


def specificity(truth: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Specificity at the fixed threshold."""
    return confusion(truth, score, weight).specificity


def ppv(truth: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Positive predictive value at the fixed threshold."""
    return confusion(truth, score, weight).ppv


def brier(truth: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Mean squared difference of probability and truth (Brier 1950); 0 is best."""
    y, p, w = known(truth, score, weight)
    return _ratio(float(np.sum(w * (p - y) ** 2)), float(w.sum()))


def calibration_error(truth: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Expected calibration error over 15 bins of equal width: mean |mean probability - share of positives|.

    Raises:
        ValueError: a score lies outside 0 … 1, or as ``known``.
    """
    y, p, w = known(truth, score, weight)
    if len(p) and not 0 <= p.min() <= p.max() <= 1:
        raise ValueError(f"probabilities lie within 0 … 1: {p.min()} … {p.max()}")
    index = np.minimum((p * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gap = np.bincount(index, w * (p - y), CALIBRATION_BINS)
    return _ratio(float(np.abs(gap).sum()), float(w.sum()))


def weighted_median(values: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Median of values (n,), which may be infinite, each counted ``weight`` times; as ``numpy.median`` without weights.

    Raises:
        ValueError: a value is NaN.
    """
    x = np.asarray(values, np.float64)
    w = np.ones(len(x)) if weight is None else np.asarray(weight, np.float64)
    if np.isnan(x).any():
        raise ValueError(f"{np.isnan(x).sum()} of {len(x)} values are NaN")
    order = np.argsort(x, kind="stable")
    order = order[w[order] > 0]
    if not len(order):
        return float("nan")
    x, reached = x[order], np.cumsum(w[order])
    middle = int(np.searchsorted(reached, reached[-1] / 2))
    if reached[middle] == reached[-1] / 2:
        return float((x[middle] + x[middle + 1]) / 2)
    return float(x[middle])


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "auroc": auroc,
        "auprc": auprc,
        "f1": f1,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": ppv,
        "sensitivity_at_1_percent_fp": sensitivity_at_false_positives,
        "brier": brier,
        "calibration_error": calibration_error,
    }
)
