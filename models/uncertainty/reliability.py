"""How far probabilities are from what happens, with intervals by patient."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BINS = 15
DRAWS = 500
LEVEL = 0.95


@dataclass(frozen=True)
class Reliability:
    """Of one output.

    Attributes:
        windows: how many.
        subjects: of how many.
        share: of the windows in which it is so, weighted.
        log_loss: mean −ln p of what is so, nats.
        brier: mean squared distance.
        ece: expected calibration error: mean distance of said and seen share over 15 bins of equal weight.
        ece_low, ece_high: 95 % interval by bootstrap of the subjects. Chance alone makes any ECE greater than 0, and
            drawing again makes it greater still: the interval leans upwards.
    """

    windows: int
    subjects: int
    share: float
    log_loss: float
    brier: float
    ece: float
    ece_low: float
    ece_high: float


def reliability(p: Floats, target: Floats, subject: npt.NDArray[np.str_], weights: Floats | None = None) -> Reliability:
    """Judge probabilities on windows that did not fit them.

    Args:
        p: (n,) probabilities.
        target: (n,) 0 … 1, NaN where unknown: those are left out.
        subject: (n,) whose window it is.
        weights: (n,), equal by default.

    Raises:
        ValueError: shapes differ, or no target is known.
    """
    w = np.ones(len(p)) if weights is None else weights
    if not p.shape == target.shape == w.shape == subject.shape or p.ndim != 1:
        shapes = p.shape, target.shape, subject.shape, w.shape
        raise ValueError(f"p, target, subject, weights: expected (n,) each, got {shapes}")
    known = np.isfinite(target)
    if not known.any():
        raise ValueError(f"target: none of {len(target)} is known")
    p, y, w = p[known], target[known], w[known]
    names, who = np.unique(subject[known], return_inverse=True)
    sums = _sums_by_subject(p, y, w, who, len(names))
    draws = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
    again = _ece(np.tensordot(draws.astype(np.float64), sums, axes=1))  # (draws,)
    low, high = np.quantile(again, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    q = np.clip(p, 1e-7, 1 - 1e-7)
    total = w.sum()
    return Reliability(
        windows=len(p),
        subjects=len(names),
        share=float(w @ y / total),
        log_loss=float(w @ -(y * np.log(q) + (1 - y) * np.log1p(-q)) / total),
        brier=float(w @ (p - y) ** 2 / total),
        ece=float(_ece(sums.sum(0))),
        ece_low=float(low),
        ece_high=float(high),
    )


def _sums_by_subject(p: Floats, y: Floats, w: Floats, who: npt.NDArray[np.intp], subjects: int) -> Floats:
    """(subjects, bins, 2): weight, and weight times (said − seen), of each subject in bins of equal weight."""
    order = np.argsort(p, kind="stable")
    below = np.cumsum(w[order]) - w[order] / 2
    place = np.empty(len(p), np.int64)
    place[order] = np.minimum((below / w.sum() * BINS).astype(np.int64), BINS - 1)
    sums = np.zeros((subjects, BINS, 2))
    np.add.at(sums, (who, place), np.stack([w, w * (p - y)], 1))
    return sums


def _ece(sums: Floats) -> Floats:
    """(…, bins, 2) -> (…,): Σ weight of the bin · abs(said − seen) over Σ weight."""
    ece: Floats = np.abs(sums[..., 1]).sum(-1) / sums[..., 0].sum(-1)
    return ece
