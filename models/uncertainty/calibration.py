"""From what the network says to probabilities that mean what they say: p → σ(a · logit(p) + c), a > 0.

Platt scaling (Platt 1999) on the network's own logit: a = 1, c = 0 leaves p as it is, c = 0 alone is temperature
scaling (Guo et al. 2017). One pair for each output of a window, and one for each rhythm of a second. It never changes
which of two windows is the likelier one. Probabilities then hold for data mixed like that of the fit: where AF is
rarer than there, they are too high.

Fitting belongs on patients of whom the network saw nothing. That is the caller's duty.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from models.classes import OUTPUTS, RHYTHMS
from models.stored import StoredArrays

FARTHEST = 16.0  # logit: 1e-7, where the float32 probabilities that come in end
RIDGE = 100.0  # patients that the network's own a = 1, c = 0 are worth: see decision 5
LEAST_SLOPE = 0.05  # a network that is wrong more often than right must not turn the order around
LEAST_SUBJECTS = 5  # with, and without: of fewer one would learn the patient
STEPS = 100  # of Newton; a fit takes about ten
CONVERGED = 1e-10  # of the loss, relative

Floats = npt.NDArray[np.float64]
Values = npt.NDArray[np.floating]
Subjects = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Calibration(StoredArrays):
    """Slopes a and offsets c, float64.

    Attributes:
        slope: (13,) of a window's outputs, ``models.classes.OUTPUTS``; above 0.
        offset: (13,).
        second_slope: (5,) of a second's rhythms, ``models.classes.RHYTHMS``; above 0.
        second_offset: (5,).
    """

    slope: Floats
    offset: Floats
    second_slope: Floats
    second_offset: Floats

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: quoting what does not fit.
        """
        for each, size in zip(fields(self), (len(OUTPUTS), len(OUTPUTS), len(RHYTHMS), len(RHYTHMS)), strict=True):
            value = getattr(self, each.name)
            if value.shape != (size,) or value.dtype != np.float64:
                raise ValueError(f"{each.name}: expected ({size},) float64, got {value.shape} {value.dtype}")
            if not np.isfinite(value).all() or ("slope" in each.name and value.min() <= 0):
                raise ValueError(f"{each.name}: expected finite values, slopes above 0, got {value.tolist()}")

    def windows(self, pooled_log: Values) -> Floats:
        """(…, 13) natural logarithms of a window's probabilities -> (…, 13) calibrated probabilities.

        The five rhythms need not sum to 1: more than one may occur in a window.
        """
        return sigmoid(logit_of_log(_expect(pooled_log, len(OUTPUTS))) * self.slope + self.offset)

    def seconds(self, probabilities: Values) -> Floats:
        """(…, 13) probabilities of seconds -> (…, 5) calibrated ones of the rhythms."""
        rhythms = _expect(probabilities, len(OUTPUTS))[..., : len(RHYTHMS)]
        return sigmoid(logit(rhythms) * self.second_slope + self.second_offset)


def sigmoid(z: Floats) -> Floats:
    """1 / (1 + e^−z), of any shape."""
    e = np.exp(-np.abs(z))
    p: Floats = np.where(z >= 0, 1.0, e) / (1.0 + e)
    return p


def logit(p: Values) -> Floats:
    """ln(p / (1 − p)), nats, of probabilities of any shape and float type: float64 within ± 16; NaN where p is NaN."""
    q = np.clip(p.astype(np.float64), np.exp(-FARTHEST), 1.0)
    return logit_of_log(np.log(q))


def logit_of_log(log_p: Values) -> Floats:
    """The same of natural logarithms of probabilities: what is near 1 keeps its digits."""
    log = np.minimum(log_p.astype(np.float64), -np.exp(-FARTHEST))
    z: Floats = np.clip(log - np.log(-np.expm1(log)), -FARTHEST, FARTHEST)
    return z


def equal_weights(groups: Subjects) -> Floats:
    """(n,) weights of mean 1 that let each group (say, database) count as much as any other."""
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    weights: Floats = len(groups) / (len(counts) * counts[group])
    return weights


def fit_platt(z: Floats, target: Floats, weights: Floats | None = None, ridge: float = 1.0) -> tuple[float, float]:
    """a and c that minimise the log loss of σ(a · z + c), with a ridge towards a = 1, c = 0 and a ≥ 0.05.

    Newton's method with step halving; the loss is convex, so that where its minimum lies below the least slope, the
    best offset at that slope is the answer.

    Args:
        z: (n,) logits.
        target: (n,) 0 … 1.
        weights: (n,), any scale; equal by default.
        ridge: samples that a = 1, c = 0 are worth.

    Raises:
        ValueError: something is not finite, lengths differ, or a weight is below 0.
        RuntimeError: no minimum was found.
    """
    w = np.ones(len(z)) if weights is None else weights
    if not z.shape == target.shape == w.shape or z.ndim != 1 or not len(z):
        raise ValueError(f"z, target, weights: expected (n,) each, got {z.shape}, {target.shape}, {w.shape}")
    if not (np.isfinite(z).all() and np.isfinite(w).all() and w.min() >= 0 and w.sum() > 0):
        raise ValueError("z, weights: expected finite values, weights not below 0 and some above")
    if not (target.min() >= 0 and target.max() <= 1):
        raise ValueError(f"target: expected 0 to 1, got {target.min()} to {target.max()}")
    w = w * (len(w) / w.sum())
    a, c = _newton(z, target, w, np.array([1.0, 0.0]), np.array([True, True]), ridge)
    if a < LEAST_SLOPE:
        a, c = _newton(z, target, w, np.array([LEAST_SLOPE, 0.0]), np.array([False, True]), ridge)
    return a, c


def fit_pairs(
    z: Floats,
    target: Floats,
    subject: Subjects | npt.NDArray[np.intp],
    weights: Floats | None = None,
    ridge: float = RIDGE,
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Slopes and offsets of k outputs, each on its own; an output seen in too few subjects keeps a = 1, c = 0.

    All samples of a subject together are worth one: where few patients part perfectly, any threshold between them
    fits, and the pull towards the network's own has to be felt.

    Args:
        z: (n, k) logits.
        target: (n, k) 0 … 1, NaN where unknown.
        subject: (n,) whose sample it is.
        weights: (n,), equal by default.
        ridge: subjects that a = 1, c = 0 are worth.

    Returns:
        (k,) slopes, (k,) offsets, (k,) bool: which were fitted; the others had fewer than 5 subjects with or without.

    Raises:
        ValueError: shapes do not fit.
    """
    if z.shape != target.shape or z.ndim != 2 or subject.shape != z.shape[:1]:
        shapes = z.shape, target.shape, subject.shape
        raise ValueError(f"z, target, subject: expected (n, k) twice and (n,), got {shapes}")
    _, who = np.unique(subject, return_inverse=True)  # names once: there may be a million rows
    slopes, offsets, fitted = np.ones(z.shape[1]), np.zeros(z.shape[1]), np.zeros(z.shape[1], np.bool_)
    for k in range(z.shape[1]):
        known = np.isfinite(target[:, k])
        yes = known & (target[:, k] > 0.5)
        if min(len(np.unique(who[yes])), len(np.unique(who[known & ~yes]))) < LEAST_SUBJECTS:
            continue
        some = None if weights is None else weights[known]
        of_each = np.count_nonzero(known) / len(np.unique(who[known]))
        slopes[k], offsets[k] = fit_platt(z[known, k], target[known, k], some, ridge * of_each)
        fitted[k] = True
    return slopes, offsets, fitted


@dataclass(frozen=True)
class Fit:
    """A calibration and which of its pairs were fitted: (13,) and (5,) bool."""

    calibration: Calibration
    windows: npt.NDArray[np.bool_]
    seconds: npt.NDArray[np.bool_]


def fit_calibration(
    pooled_log: Values,
    seconds: Values,
    window_target: Values,
    seconds_target: Values,
    subject: Subjects,
    weights: Floats | None = None,
) -> Fit:
    """Fit all pairs on patients whom the network has not seen.

    Args:
        pooled_log: (n, 13) natural logarithms of the windows' probabilities.
        seconds: (n, 10, 13) probabilities of their seconds.
        window_target: (n, 13) 0 … 1, NaN where unknown.
        seconds_target: (n, 10, 5) 0 … 1, NaN where unknown.
        subject: (n,) whose window it is.
        weights: (n,) of the windows, say :func:`equal_weights` of their databases.

    Raises:
        ValueError: shapes do not fit.
    """
    n, s = seconds.shape[:2]
    slope, offset, of_windows = fit_pairs(
        logit_of_log(_expect(pooled_log, len(OUTPUTS))), window_target.astype(np.float64), subject, weights
    )
    rhythms = logit(_expect(seconds, len(OUTPUTS))[..., : len(RHYTHMS)]).reshape(n * s, len(RHYTHMS))
    second_slope, second_offset, of_seconds = fit_pairs(
        rhythms,
        seconds_target.astype(np.float64).reshape(n * s, -1),
        np.repeat(np.unique(subject, return_inverse=True)[1], s),
        None if weights is None else np.repeat(weights, s),
    )
    return Fit(Calibration(slope, offset, second_slope, second_offset), of_windows, of_seconds)


def _newton(
    z: Floats, target: Floats, w: Floats, start: Floats, free: npt.NDArray[np.bool_], ridge: float
) -> tuple[float, float]:
    x = np.stack([z, np.ones_like(z)], 1)
    rest = np.array([1.0, 0.0])

    def loss(theta: Floats) -> float:
        v = x @ theta
        return float(w @ (np.logaddexp(0.0, v) - target * v) + 0.5 * ridge * ((theta - rest) ** 2).sum())

    theta, now = start, loss(start)
    for _ in range(STEPS):
        p = sigmoid(x @ theta)
        gradient = x.T @ (w * (p - target)) + ridge * (theta - rest)
        hessian = (x * (w * p * (1 - p))[:, None]).T @ x + ridge * np.eye(2)
        step = np.zeros(2)
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        size, ahead = 1.0, loss(theta - step)
        while ahead > now and size > 1e-8:
            size /= 2
            ahead = loss(theta - size * step)
        if now - ahead <= CONVERGED * max(1.0, abs(now)):
            return float(theta[0]), float(theta[1])
        theta, now = theta - size * step, ahead
    raise RuntimeError(f"calibration: expected a minimum within {STEPS} steps, the loss is still falling at {now:g}")


def _expect(values: Values, k: int) -> Values:
    if values.shape[-1:] != (k,):
        raise ValueError(f"probabilities: expected (…, {k}), got {values.shape}")
    if np.isnan(values).any():
        raise ValueError(f"probabilities: {int(np.isnan(values).sum())} of {values.size} are NaN")
    return values
