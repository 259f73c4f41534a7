"""Which rhythms cannot be ruled out: class-conditional split-conformal prediction sets.

A rhythm belongs to the set when its calibrated probability reaches its own threshold (Sadinle, Lei & Wasserman 2019,
"Least ambiguous set-valued classifiers with bounded error levels"), and the threshold is the conformal quantile of the
probabilities that windows *with* this rhythm got (Mondrian classes, Vovk 2012). Windows of one patient are alike, so
patients are what is exchangeable: each counts as one, however many windows it has, and the patient to come counts as
one more, of whom nothing is known (hierarchical conformal prediction, Lee, Barber & Willett 2023). With a window a
patient this is the usual ⌈(n + 1)(1 − α)⌉ / n.

What it promises: of the windows with a rhythm, of a new patient drawn like those of the calibration who had it, at
least 1 − α carry it in their set, on average over patients and calibrations; for each rhythm on its own. Where two
rhythms share a window, that holds for either. What it does not: anything about one given patient, about a kind of
patient that was not there, or about how many of the other rhythms the set holds as well. With fewer than 1/α − 1
patients (9 at α = 0.1) nothing can be promised but by never ruling the rhythm out: its threshold is 0.

The likeliest rhythm is always in the set, though a common rhythm's own threshold may be as high as .8: nobody would
understand a set that lacks what is at 70 %. Adding to a set can only raise coverage, so the promise stands. Where no
rhythm reaches its threshold the window is like none that were known, and :meth:`Conformal.unusual` says so.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from models.classes import RHYTHMS
from models.stored import StoredArrays

ALPHA = 0.1  # of the windows with a rhythm may miss it in their set
LEVEL_Z = 1.959964  # of a two-sided 95 % interval
SLACK = 1e-9  # so that 0.1 · 30 is not above 3

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Subjects = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Conformal(StoredArrays):
    """Thresholds, and what they rest on.

    Attributes:
        alpha: (1,) float64.
        thresholds: (5,) float64, least calibrated probability at which a rhythm is in the set; 0: always.
        subjects: (5,) int64, calibration patients who had the rhythm.
        windows: (5,) int64, their windows with it.
    """

    alpha: Floats
    thresholds: Floats
    subjects: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: quoting what does not fit.
        """
        k = len(RHYTHMS)
        for each, (size, dtype) in zip(fields(self), ((1, "<f8"), (k, "<f8"), (k, "<i8"), (k, "<i8")), strict=True):
            value = getattr(self, each.name)
            if value.shape != (size,) or value.dtype != np.dtype(dtype):
                raise ValueError(f"{each.name}: expected ({size},) {dtype}, got {value.shape} {value.dtype}")
        if not 0 < self.alpha[0] < 1:
            raise ValueError(f"alpha: expected above 0 and below 1, got {self.alpha[0]}")
        if not ((self.thresholds >= 0) & (self.thresholds <= 1)).all():
            raise ValueError(f"thresholds: expected 0 to 1, got {self.thresholds.tolist()}")
        if min(self.subjects.min(), self.windows.min()) < 0:
            raise ValueError(f"subjects, windows: expected none below 0, got {self.subjects}, {self.windows}")
        few = self.subjects < least_subjects(float(self.alpha[0]))
        if (self.thresholds[few] > 0).any():
            raise ValueError(f"thresholds: expected 0 with so few subjects, got {self.thresholds}, {self.subjects}")

    def members(self, p: Floats) -> Bools:
        """(…, 5) calibrated probabilities of a window's rhythms -> (…, 5) which are in its set: the likeliest at least.

        Raises:
            ValueError: the shape is wrong or a value is NaN.
        """
        likeliest = np.arange(len(RHYTHMS)) == p.argmax(-1)[..., None]
        return np.asarray((_expect(p) >= self.thresholds) | likeliest)

    def unusual(self, p: Floats) -> Bools:
        """(…, 5) -> (…,) True where no rhythm reached its threshold, so that the set holds the likeliest one alone."""
        inside = _expect(p) >= self.thresholds
        return np.asarray(~inside.any(-1))

    def prediction_set(self, p: Floats) -> tuple[str, ...]:
        """(5,) calibrated probabilities -> names of the rhythms that cannot be ruled out, likeliest first."""
        inside = self.members(p)
        return tuple(RHYTHMS[k] for k in np.argsort(-p, kind="stable") if inside[k])


def least_subjects(alpha: float) -> int:
    """Patients with a rhythm below which it can never be ruled out: n with ⌈(n + 1)(1 − α)⌉ ≤ n."""
    return int(np.ceil(1 / alpha - SLACK)) - 1


def threshold(p: Floats, subject: Subjects, alpha: float) -> float:
    """The conformal quantile of the probabilities p (n,) that windows with the rhythm got; 0 with too few subjects.

    The largest value that patients miss, weighing together at most α (m + 1) of m + 1, each window 1 / (its patient's
    windows) and the patient to come 1.
    """
    names, who, counts = np.unique(subject, return_inverse=True, return_counts=True)
    may_miss = alpha * (len(names) + 1) - 1 + SLACK  # the patient to come is taken to miss
    if may_miss < 0:
        return 0.0
    order = np.argsort(p, kind="stable")
    missed = np.cumsum(1 / counts[who[order]])  # by a threshold just above this window's p
    return float(p[order][np.searchsorted(missed, may_miss, side="right")])


def fit_conformal(p: Floats, target: Floats, subject: Subjects) -> Conformal:
    """Thresholds from patients whom the network has not seen; those who fitted the calibration will do.

    Calibration keeps the order within a rhythm, so that sets come out the same with or without it.

    Args:
        p: (n, 5) calibrated probabilities of the rhythms.
        target: (n, 5) above 0.5 where the rhythm occurs in the window; NaN where unknown.
        subject: (n,) whose window it is.

    Raises:
        ValueError: shapes do not fit, or a probability is NaN.
    """
    _check(p, target, subject)
    has = target > 0.5  # NaN is not
    return Conformal(
        alpha=np.array([ALPHA]),
        thresholds=np.array([threshold(p[has[:, k], k], subject[has[:, k]], ALPHA) for k in range(len(RHYTHMS))]),
        subjects=np.array([len(np.unique(subject[has[:, k]])) for k in range(len(RHYTHMS))], np.int64),
        windows=has.sum(0).astype(np.int64),
    )


@dataclass(frozen=True)
class Coverage:
    """Of one rhythm, on data that fitted nothing.

    Attributes:
        rhythm: which.
        windows: with it.
        subjects: who had it.
        covered: mean over subjects of the share of such windows whose set holds it; NaN without any.
        low, high: 95 % interval (Wilson) with subjects as trials: shares between 0 and 1 vary at most as much as
            trials do, so it is rather too wide.
        covered_windows: the same share with windows as what counts.
        size: mean number of rhythms in those sets.
        alone: share of them that hold it and nothing else.
        unusual: share of them that no rhythm reached.
    """

    rhythm: str
    windows: int
    subjects: int
    covered: float
    low: float
    high: float
    covered_windows: float
    size: float
    alone: float
    unusual: float


def coverage(conformal: Conformal, p: Floats, target: Floats, subject: Subjects) -> tuple[Coverage, ...]:
    """How often the sets hold what is so, for each rhythm; shapes as in :func:`fit_conformal`."""
    _check(p, target, subject)
    members, unusual = conformal.members(p), conformal.unusual(p)
    found = []
    for k, rhythm in enumerate(RHYTHMS):
        has = target[:, k] > 0.5
        if not has.any():
            found.append(Coverage(rhythm, 0, 0, *[float("nan")] * 7))
            continue
        names, who = np.unique(subject[has], return_inverse=True)
        hit, sizes = members[has, k], members[has].sum(1)
        covered = float((np.bincount(who, hit) / np.bincount(who)).mean())
        low, high = wilson(covered, len(names))
        found.append(
            Coverage(
                rhythm=rhythm,
                windows=len(hit),
                subjects=len(names),
                covered=covered,
                low=low,
                high=high,
                covered_windows=float(hit.mean()),
                size=float(sizes.mean()),
                alone=float((hit & (sizes == 1)).mean()),
                unusual=float(unusual[has].mean()),
            )
        )
    return tuple(found)


def wilson(share: float, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    z2 = LEVEL_Z**2 / trials
    middle = (share + z2 / 2) / (1 + z2)
    half = LEVEL_Z * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials)) / (1 + z2)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _check(p: Floats, target: Floats, subject: Subjects) -> None:
    _expect(p)
    if p.ndim != 2 or target.shape != p.shape or subject.shape != p.shape[:1]:
        shapes = p.shape, target.shape, subject.shape
        raise ValueError(f"p, target, subject: expected (n, 5) twice and (n,), got {shapes}")


def _expect(p: Floats) -> Floats:
    if p.shape[-1:] != (len(RHYTHMS),):
        raise ValueError(f"p: expected (…, {len(RHYTHMS)}), got {p.shape}")
    if np.isnan(p).any():
        raise ValueError(f"p: {int(np.isnan(p).sum())} of {p.size} are NaN")
    return p
