"""QRS-shape groups of one window: which beats look alike, and what RR intervals say of those that do.

An irregular pulse has two common causes: ectopic beats between regular ones, and atrial fibrillation. They part once
the RR intervals are taken among beats of the commonest shape alone. All of it is a pure function of the window.

Shapes are compared by normalised correlation (Pearson's, so that neither offset nor gain matters) of ±80 ms around the
QRS's centre, per lead, at the best of the shifts up to ±20 ms, and averaged over the leads by how well each repeats
itself: a noisy lead has no say. Groups are found by leaders (Hartigan 1975, Clustering Algorithms, ch. 3), each leader
the running mean of its group, as in Lagerholm et al. 2000 and the template matching of bedside arrhythmia analysis.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from ecg.leads import N_LEADS

FS = 500
THIN = 2  # 250 Hz: a QRS is below 40 Hz but for its notches; 4 ms places it well enough
SMOOTH = 5  # samples of the moving mean before thinning: its zero at 100 Hz takes what would alias from mains
HALF = 20  # 80 ms at 250 Hz on either side: a wide QRS, without P and most of T
SHIFT = 5  # 20 ms at 250 Hz: the detector's jitter between shapes
REACH = 35  # 140 ms at 250 Hz: a bundle branch block's width is judged inside it
ALIKE = 0.80  # of correlation; docs/atrial-features.md says what it parts
MOST_GROUPS = 8  # leaders that are compared with; in a window with more shapes nothing repeats
USABLE_LEAD = 0.8  # share of the window that must be real for a lead to be looked at
EARLY = 0.85  # of the median RR: the prematurity from which atrial ectopy is usually counted
LEAST_BEATS = 3
LEAST_RR = 3
EDGE = 0.12  # of the steepest slope: where QRS ends; above the T wave's slope, below that of a slurred end

FEATURE_NAMES = (
    "shape_dominant_share",
    "shape_groups",
    "shape_alike",
    "qrs_width_ms",
    "qrs_width_ratio",
    "dominant_rr_cv",
    "dominant_rr_rmssd",
    "dominant_rr_median_step",
    "dominant_rr_turning",
    "dominant_spacing_cv",
    "dominant_early_share",
    "other_prematurity",
    "other_pause",
)
N_FEATURES = len(FEATURE_NAMES)

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

# What numba may do to sums: order them for vector registers, never assume that NaN does not occur.
REORDER = {"reassoc", "contract"}


@dataclass(frozen=True)
class ShapeGroups:
    """Beats of a window by QRS shape.

    Attributes:
        r_peaks: (b,) int64 samples at 500 Hz in the window, moved so that beats of one group lie on each other.
        label: (b,) int64 group of each beat; −1 where it was cut by the window's edge or had no usable lead.
        dominant: the label of the largest group (the earlier of equals); −1 where there is none.
        thin: (12, n / 2) float32 µV at 250 Hz, smoothed over 10 ms, less each lead's first value; zero in unused leads.
        thin_real: (12, n / 2) bool, False where a sample of ``thin`` leans on a missing one.
        lead: (12,) bool leads looked at: real for most of the window, and not flat.
        height: (12,) float32 µV peak to peak of the dominant group's mean QRS; NaN where there is none.
        likeness: (b,) float32 correlation with the leader of its group when it joined; NaN where label is −1.
        width_ms: (b,) float32 QRS width of the beat's group; NaN where unknown.
    """

    r_peaks: Indices
    label: Indices
    dominant: int
    thin: Floats
    thin_real: Bools
    lead: Bools
    height: Floats
    likeness: Floats
    width_ms: Floats


def check_window(microvolts: Floats, mask: Bools, r_peaks: Indices) -> None:
    """Refuse what is no window.

    Raises:
        ValueError: shapes are not (12, n) twice, or ``r_peaks`` does not ascend within 0 … n − 1; quotes it.
    """
    if microvolts.ndim != 2 or microvolts.shape[0] != N_LEADS or mask.shape != microvolts.shape:
        raise ValueError(f"expected microvolts and mask ({N_LEADS}, n), got {microvolts.shape} and {mask.shape}")
    n = microvolts.shape[1]
    if r_peaks.ndim != 1 or (
        len(r_peaks) and (r_peaks[0] < 0 or r_peaks[-1] >= n or bool((np.diff(r_peaks) <= 0).any()))
    ):
        raise ValueError(f"r_peaks: expected ascending samples in 0 … {n - 1}, got {r_peaks!r}")


@njit(cache=True, nogil=True, fastmath=REORDER)
def _thin(x, real, y, y_real):  # type: ignore[no-untyped-def]
    """Moving mean of SMOOTH samples at every THIN-th: x (n,) → y (n // THIN,), real where all of them were.

    Missing samples hold the last real one (at the beginning, the first). False where nothing or too little is real.
    """
    n = x.shape[0]
    there = 0
    for t in range(n):
        there += 1 if real[t] else 0
    if there == 0 or there < USABLE_LEAD * n:
        return False
    first = 0
    while not real[first]:
        first += 1
    # Less its first real value: beside an offset of volts float32 would have few digits left.
    origin = x[first]
    before = SMOOTH // 2
    last = n - SMOOTH
    if there == n:
        for k in range(y.shape[0]):
            low = min(max(k * THIN - before, 0), last)
            total = np.float32(0.0)
            for t in range(SMOOTH):
                total += x[low + t] - origin
            y[k] = total / SMOOTH
            y_real[k] = True
        return True
    held = np.empty(n, dtype=np.float32)
    value = np.float32(0.0)
    for t in range(n):
        if real[t]:
            value = x[t] - origin
        held[t] = value
    for k in range(y.shape[0]):
        low = min(max(k * THIN - before, 0), last)
        total = np.float32(0.0)
        whole = True
        for t in range(low, low + SMOOTH):
            total += held[t]
            whole = whole and real[t]
        y[k] = total / SMOOTH
        y_real[k] = whole
    return True


@njit(cache=True, nogil=True)
def _flat(y):  # type: ignore[no-untyped-def]
    low, high = y[0], y[0]
    for value in y:
        low, high = min(low, value), max(high, value)
    return not high > low


@njit(cache=True, nogil=True, fastmath=REORDER)
def _likeness(y, good, center, shape, shape_norm, weight):  # type: ignore[no-untyped-def]
    """Weighted mean over leads of the correlation between the signal around ``center`` and ``shape`` (12, 2·HALF+1).

    ``shape`` has mean zero in each lead. Stops and returns −2 where no lead is good.
    """
    length = 2 * HALF + 1
    top, below = 0.0, 0.0
    for lead in range(y.shape[0]):
        if not good[lead] or shape_norm[lead] <= 0.0:
            continue
        cross, plain, square = np.float32(0.0), np.float32(0.0), np.float32(0.0)
        segment = y[lead, center - HALF : center + HALF + 1]
        row = shape[lead]
        for k in range(length):
            cross += segment[k] * row[k]
            plain += segment[k]
            square += segment[k] * segment[k]
        spread = square - plain * plain / length
        below += weight[lead]
        if spread > 0.0:
            top += weight[lead] * cross / np.sqrt(spread * shape_norm[lead])
    return top / below if below > 0.0 else -2.0


@njit(cache=True, nogil=True)
def _climb(y, good, center, shape, shape_norm, weight):  # type: ignore[no-untyped-def]
    """Likeness at the best shift near ``center``, and that shift: uphill from 0, as correlation has one hill there."""
    best, at = _likeness(y, good, center, shape, shape_norm, weight), 0
    for way in (1, -1):
        while abs(at + way) <= SHIFT:
            r = _likeness(y, good, center + at + way, shape, shape_norm, weight)
            if r <= best:
                break
            best, at = r, at + way
    return best, at


@njit(cache=True, nogil=True, fastmath=REORDER)
def _center(y, good, center, out):  # type: ignore[no-untyped-def]
    """The segment around ``center`` less its mean, per good lead; zero in the others."""
    length = 2 * HALF + 1
    for lead in range(y.shape[0]):
        if not good[lead]:
            out[lead, :] = 0.0
            continue
        mean = np.float32(0.0)
        for k in range(length):
            mean += y[lead, center - HALF + k]
        mean /= length
        for k in range(length):
            out[lead, k] = y[lead, center - HALF + k] - mean


@njit(cache=True, nogil=True)
def qrs_edges(mean, leads):  # type: ignore[no-untyped-def]
    """First and last sample of QRS in a mean beat (12, 2·REACH+1): where its slope over all leads stays above EDGE.

    Both are −1 where nothing moves in the leads (12,) that are True.
    """
    length = mean.shape[1]
    slope = np.zeros(length)
    for lead in range(mean.shape[0]):
        if not leads[lead]:
            continue
        high = np.float32(0.0)
        for k in range(1, length - 1):
            high = max(high, abs(mean[lead, k + 1] - mean[lead, k - 1]))
        if high > 0.0:
            for k in range(1, length - 1):
                slope[k] += abs(mean[lead, k + 1] - mean[lead, k - 1]) / high
    peak = 1
    for k in range(REACH - HALF, REACH + HALF + 1):
        if slope[k] > slope[peak]:
            peak = k
    limit = EDGE * slope[peak]
    if limit <= 0.0:
        return -1, -1
    # A turning point has no slope: an end counts only after 16 ms (4 samples) of rest.
    first, rest = peak, 0
    for k in range(peak, 0, -1):
        if slope[k] > limit:
            first, rest = k, 0
        else:
            rest += 1
            if rest >= 4:
                break
    last, rest = peak, 0
    for k in range(peak, length - 1):
        if slope[k] > limit:
            last, rest = k, 0
        else:
            rest += 1
            if rest >= 4:
                break
    return first, last


@njit(cache=True, nogil=True)
def _group(x, mask, r_peaks, y, real, r_out, label, lead_used, height, likeness, width):  # type: ignore[no-untyped-def]
    leads, n = y.shape
    beats = r_peaks.shape[0]
    length = 2 * HALF + 1
    for lead in range(leads):
        lead_used[lead] = _thin(x[lead], mask[lead], y[lead], real[lead]) and not _flat(y[lead])
    good = np.zeros((beats, leads), dtype=np.bool_)
    for b in range(beats):
        c = r_peaks[b] // THIN
        label[b] = -1
        if c - HALF - SHIFT < 0 or c + HALF + SHIFT >= n:
            continue
        for lead in range(leads):
            if lead_used[lead]:
                whole = True
                for k in range(c - HALF - SHIFT, c + HALF + SHIFT + 1):
                    whole = whole and real[lead, k]
                good[b, lead] = whole
                if whole:
                    label[b] = 0
    # How well each lead repeats itself: mean pairwise correlation, (|Σ u|² − b) / (b (b − 1)) for unit vectors u.
    weight = np.zeros(leads, dtype=np.float32)
    one = np.zeros((leads, length), dtype=np.float32)
    sums = np.zeros((leads, length), dtype=np.float32)
    count = np.zeros(leads, dtype=np.int64)
    for b in range(beats):
        if label[b] < 0:
            continue
        _center(y, good[b], r_peaks[b] // THIN, one)
        for lead in range(leads):
            norm = np.sqrt(np.sum(one[lead] * one[lead]))
            if norm > 0.0:
                sums[lead] += one[lead] / norm
                count[lead] += 1
    for lead in range(leads):
        m = count[lead]
        if m > 1:
            r = (np.sum(sums[lead] * sums[lead]) - m) / (m * (m - 1))
            weight[lead] = max(r, 0.02) ** 2  # never zero: a window in which no lead repeats has shapes all the same
        elif m == 1:
            weight[lead] = 1.0
    shape = np.zeros((MOST_GROUPS, leads, length), dtype=np.float32)
    norm2 = np.zeros((MOST_GROUPS, leads), dtype=np.float32)
    members = np.zeros((MOST_GROUPS, leads), dtype=np.int64)
    groups = 0
    for b in range(beats):
        r_out[b] = r_peaks[b]
        if label[b] < 0:
            continue
        c = r_peaks[b] // THIN
        best, best_group, best_shift = -2.0, -1, 0
        for g in range(min(groups, MOST_GROUPS)):
            r, shift = _climb(y, good[b], c, shape[g], norm2[g], weight)
            if r > best:
                best, best_group, best_shift = r, g, shift
        if best >= ALIKE:
            c += best_shift
            r_out[b] = r_peaks[b] + THIN * best_shift
            likeness[b] = best
            g = best_group
        else:
            g = groups
            groups += 1
            likeness[b] = 1.0
        label[b] = g
        if g < MOST_GROUPS:
            _center(y, good[b], c, one)
            for lead in range(leads):
                if good[b, lead]:
                    m = members[g, lead]
                    shape[g, lead] = (shape[g, lead] * m + one[lead]) / (m + 1)
                    members[g, lead] = m + 1
                    norm2[g, lead] = np.sum(shape[g, lead] * shape[g, lead])
    # The largest group; height of its mean QRS; width of each group's mean beat.
    size = np.zeros(groups + 1, dtype=np.int64)
    for b in range(beats):
        if label[b] >= 0:
            size[label[b]] += 1
    dominant = -1
    for g in range(groups):
        if dominant < 0 or size[g] > size[dominant]:
            dominant = g
    long = np.zeros((leads, 2 * REACH + 1), dtype=np.float32)
    for g in range(min(groups, MOST_GROUPS)):
        long[:] = 0.0
        some = 0
        for b in range(beats):
            c = r_out[b] // THIN
            if label[b] == g and c >= REACH and c + REACH < n:
                long += y[:, c - REACH : c + REACH + 1]
                some += 1
        if some:
            first, last = qrs_edges(long, lead_used)
            ms = float(last - first + 1) * 1000.0 * THIN / FS if first >= 0 else np.nan
            for b in range(beats):
                if label[b] == g:
                    width[b] = ms
    if 0 <= dominant < MOST_GROUPS:
        for lead in range(leads):
            if members[dominant, lead] > 0:
                height[lead] = np.max(shape[dominant, lead]) - np.min(shape[dominant, lead])
    return dominant


_run: Callable[..., int] = _group


def group_shapes(microvolts: Floats, mask: Bools, r_peaks: Indices) -> ShapeGroups:
    """Group the beats of a window by QRS shape.

    Args:
        microvolts: (12, n) float32 µV at 500 Hz; what stands where the mask is False is not looked at.
        mask: (12, n) bool, True where real.
        r_peaks: (b,) int64 R peaks, ascending samples in the window.

    Raises:
        ValueError: what ``check_window`` refuses.
    """
    check_window(microvolts, mask, r_peaks)
    b = len(r_peaks)
    thin = np.zeros((N_LEADS, microvolts.shape[1] // THIN), dtype=np.float32)
    thin_real = np.zeros(thin.shape, dtype=np.bool_)
    moved, label = np.empty(b, dtype=np.int64), np.empty(b, dtype=np.int64)
    lead = np.zeros(N_LEADS, dtype=np.bool_)
    height = np.full(N_LEADS, np.nan, dtype=np.float32)
    likeness, width = np.full(b, np.nan, dtype=np.float32), np.full(b, np.nan, dtype=np.float32)
    dominant = _run(
        np.ascontiguousarray(microvolts),
        np.ascontiguousarray(mask),
        np.ascontiguousarray(r_peaks),
        thin,
        thin_real,
        moved,
        label,
        lead,
        height,
        likeness,
        width,
    )
    return ShapeGroups(moved, label, dominant, thin, thin_real, lead, height, likeness, width)


def shape_features(groups: ShapeGroups) -> tuple[Floats, Bools]:
    """Features of the groups; ratios are free of gain, intervals relative to the median RR.

    Returns:
        (f,) float32 values in the order of ``FEATURE_NAMES`` (NaN where undefined) and (f,) bool, True where defined.
    """
    value = dict.fromkeys(FEATURE_NAMES, np.nan)
    known = groups.label >= 0
    total = int(known.sum())
    if total >= LEAST_BEATS:
        mine = groups.label == groups.dominant
        value["shape_dominant_share"] = float(mine.sum()) / total
        value["shape_groups"] = float(groups.label.max() + 1)
        value["shape_alike"] = float(groups.likeness[known].mean())
        value["qrs_width_ms"] = float(groups.width_ms[mine][0])
        other = known & ~mine & ~np.isnan(groups.width_ms)
        if other.any():
            value["qrs_width_ratio"] = float(groups.width_ms[other].mean()) / value["qrs_width_ms"]
        _rr_features(groups, mine, known & ~mine, value)
    values = np.array([value[name] for name in FEATURE_NAMES], dtype=np.float32)
    return values, ~np.isnan(values)


def _rr_features(groups: ShapeGroups, mine: Bools, other: Bools, value: dict[str, float]) -> None:
    """RR among neighbours that both have the commonest shape, and how early the other beats come."""
    rr = np.diff(groups.r_peaks).astype(np.float64)
    # A beat between two of them counts as one: bigeminy, and a premature beat with its full pause, stay regular.
    place = np.flatnonzero(mine)
    spacing = np.diff(groups.r_peaks[place]) / np.diff(place)
    if len(spacing) >= LEAST_RR:
        value["dominant_spacing_cv"] = float(spacing.std() / spacing.mean())
    pair = mine[1:] & mine[:-1]
    own = rr[pair]
    if len(own) < LEAST_RR:
        return
    mean, median = float(own.mean()), float(np.median(own))
    value["dominant_rr_cv"] = float(own.std()) / mean
    value["dominant_early_share"] = float((own < EARLY * median).mean())
    both = pair[1:] & pair[:-1]
    step = np.diff(rr)
    steps = step[both]
    if len(steps) >= LEAST_RR - 1:
        value["dominant_rr_rmssd"] = float(np.sqrt((steps**2).mean())) / mean
        value["dominant_rr_median_step"] = float(np.median(np.abs(steps))) / mean
    run = both[1:] & both[:-1]
    if run.any():
        value["dominant_rr_turning"] = float(((step[1:] * step[:-1])[run] < 0).mean())
    before, after = other[1:], other[:-1]
    if before.any():
        value["other_prematurity"] = float(rr[before].mean()) / median
    if after.any():
        value["other_pause"] = float(rr[after].mean()) / median
