"""Intervals by patient: what another draw of patients would have yielded.

Windows of one patient are alike, so patients are drawn with replacement, not windows (the cluster bootstrap; Davison
and Hinkley 1997, section 3.8), and the interval lies between percentiles of what the draws yield. A drawn patient's
windows get the number of times it was drawn as their weight: nothing is copied or sorted anew.
"""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from wardbeat.evaluation.metrics import Floats, Metric

DRAWS = 1000
LEVEL = 0.95

Statistic = Callable[[Floats], float]


class Estimate(msgspec.Struct, frozen=True):
    """A number, its interval, and what it was measured on.

    Attributes:
        value: None where the data do not define it, or where it is infinite.
        low: 2.5th percentile of the draws; None where there is no interval (see ``estimate``).
        high: 97.5th percentile of the draws; None likewise, or where it is infinite.
        n: what was counted: windows, episodes, records.
        subjects: distinct patients among them.
        undefined: the share of draws which did not define the number, such as those without any AF.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    subjects: int
    undefined: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a number that was measured on nothing.

        Raises:
            ValueError: there is a value, but nothing or nobody was counted.
        """
        if self.value is not None and (self.n < 1 or self.subjects < 1):
            raise ValueError(f"{self.value} of {self.n} counted in {self.subjects} subjects")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def estimate(
    statistic: Statistic,
    subjects: Sequence[str] | npt.NDArray[np.str_],
    *,
    n: int | None = None,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """``statistic`` of all rows, and its interval over draws of patients.

    Args:
        statistic: takes the weight (rows,) float64 of each row; NaN where undefined.
        subjects: (rows,) the patient of each row.
        n: what the number was counted on; the number of rows where left out.
        draws: how often patients are drawn.
        level: the share of draws within the interval.
        seed: of the draws.

    Returns:
        The estimate. It has no interval if there are fewer than two patients, or if more than ``1 - level`` of the
        draws were undefined: what those would have been could then lie anywhere beyond either bound.

    Raises:
        ValueError: fewer than one draw, or a level outside 0 … 1.
    """
    if draws < 1 or not 0 < level < 1:
        raise ValueError(f"need draws >= 1 and 0 < level < 1: {draws}, {level}")
    names, which = np.unique(np.asarray(subjects, dtype=np.str_), return_inverse=True)
    rows, patients = len(which), len(names)
    n = rows if n is None else n
    value = statistic(np.ones(rows)) if rows else float("nan")
    if patients < 2 or np.isnan(value):
        return Estimate(_finite(value), None, None, n, patients, float(np.isnan(value)))
    rng = np.random.default_rng(seed)
    drawn = np.empty(draws)
    for draw in range(draws):
        times = np.bincount(rng.integers(patients, size=patients), minlength=patients)
        drawn[draw] = statistic(times[which].astype(np.float64))
    defined = np.sort(drawn[~np.isnan(drawn)])
    undefined = 1 - len(defined) / draws
    if undefined > 1 - level:
        return Estimate(_finite(value), None, None, n, patients, undefined)
    # Ranks instead of interpolation: a percentile between a finite and an infinite delay has no meaning.
    low = defined[int(np.floor((1 - level) / 2 * (len(defined) - 1)))]
    high = defined[int(np.ceil((1 + level) / 2 * (len(defined) - 1)))]
    return Estimate(_finite(value), _finite(low), _finite(high), n, patients, undefined)


def estimate_metric(
    metric: Metric,
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    subjects: Sequence[str] | npt.NDArray[np.str_],
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """A metric of windows with known truth, and its interval.

    Args:
        metric: one of ``metrics.METRICS``.
        truth: (n,) 1, 0 or NaN = not known.
        score: (n,) probabilities.
        subjects: (n,) the patient of each window.
        draws: how often patients are drawn.
        level: the share of draws within the interval, 0 … 1.
        seed: of the draws.

    Returns:
        The estimate, whose ``n`` is the number of windows with known truth.

    Raises:
        ValueError: lengths differ, or as ``metric`` and ``estimate``.
    """
    y, p, who = np.asarray(truth, np.float64), np.asarray(score, np.float64), np.asarray(subjects, dtype=np.str_)
    if y.shape != p.shape or y.shape != who.shape:
        raise ValueError(f"truth, score and subjects must be alike (n,): {y.shape}, {p.shape}, {who.shape}")
    order = np.flatnonzero(~np.isnan(y))
    order = order[np.argsort(p[order], kind="stable")]
    y, p = y[order], p[order]
    return estimate(lambda weight: metric(y, p, weight), who[order], draws=draws, level=level, seed=seed)
