"""How long atria and ventricles take: PR, and where the end of the QRS points, in the average beat of one window.

Read off the mean beat of the commonest shape, from ``models.features.qrs_shapes``. A pure function of the window.

- PR. AV block I is a PR interval above 200 ms (Kusumoto et al. 2019, J Am Coll Cardiol 74:e51: ACC/AHA/HRS guideline on
  bradycardia). P's onset is lost in noise on bedside leads; its peak is not. So the time is from the peak of P to the
  onset of QRS: about 50 ms less than PR. P is the last clear bump before QRS that repeats from beat to beat.
- The end of QRS. Surawicz et al. 2009, J Am Coll Cardiol 53:976 (AHA/ACCF/HRS): right bundle branch block is an R' in
  V1 and an S longer than R, or than 40 ms, in I and V6; left bundle branch block a broad R in I and V6, with no more
  than an r in V1. So the mean of the later half of QRS, from the level before it, over QRS peak to peak: −1 … 1. Half
  rather than 40 ms: a wide QRS fades into ST, and in left bundle branch block its last 40 ms hardly point anywhere.
- R peak time (intrinsicoid deflection), same source: from the onset of QRS to the latest high peak, above 50 ms in V1
  in right bundle branch block, above 60 ms in V6 in left bundle branch block.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numba import njit

from ecg.leads import LEAD_INDEX
from models.features.qrs_shapes import FS, LEAST_BEATS, REACH, THIN, ShapeGroups, qrs_edges

RATE = FS // THIN  # Hz of the mean beat
BEFORE = 105  # samples, 420 ms before R: a P wave of a PR interval of 360 ms, and what lies beside it
STEP = 2  # P is sought at 125 Hz: it is below 25 Hz
SMOOTH = 2  # samples on either side, 20 ms in all: zero at 50 Hz, little left of 60 Hz
SIDE = 5  # 40 ms at 125 Hz: near half of a P wave's duration, so that its peak stands out most from both sides
LEAST_PEAK = 3  # 24 ms at 125 Hz: the peak of P lies further than that before the slope of QRS
FOOT = 2  # 8 ms at 250 Hz before the onset of QRS: its foot is no wave of its own
GRID = BEFORE // STEP + 1
AROUND = 7  # 56 ms at 125 Hz on either side of the peak: the P wave whose repetition is judged
P_REPEATS = 0.5  # mean correlation from which on there is a P: ``models.reasons.P_PRESENT``
LAST_BUMP = 0.7  # of the clearest bump, by its square over its scatter: P comes after T, which may be as clear
T_END_S = 0.36  # at 60 /min, from R; with the square root of RR (Bazett): what ends before is no P
LEVEL = 5  # 20 ms at 250 Hz before QRS
LATE_R = 0.5  # of the highest R: the last peak above that counts
FLOOR = 1e-3  # of QRS peak to peak: scatter below that is no measure of noise

FEATURE_NAMES = (
    "p_peak_to_qrs_ms_best",
    "p_peak_to_qrs_ms_median",
    "qrs_later_half_V1",
    "qrs_later_half_I",
    "qrs_later_half_V6",
    "r_peak_time_ms_V1",
    "r_peak_time_ms_V6",
)
N_FEATURES = len(FEATURE_NAMES)

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@njit(cache=True, nogil=True)
def _mean_beat(thin, real, lead_used, r, label, dominant, mean, taken):  # type: ignore[no-untyped-def]
    """Mean beat (12, BEFORE + REACH + 1) of the dominant shape, and which beats (12, b) each lead's is of."""
    leads, n = thin.shape
    for lead in range(leads):
        count = 0
        if not lead_used[lead]:
            continue
        for b in range(r.shape[0]):
            c = r[b] // THIN
            if label[b] != dominant or c < BEFORE + SMOOTH or c + REACH >= n:
                continue
            whole = True
            for t in range(c - BEFORE - SMOOTH, c + REACH + 1):
                whole = whole and real[lead, t]
            if not whole:
                continue
            taken[lead, b] = True
            count += 1
            for k in range(BEFORE + REACH + 1):
                mean[lead, k] += thin[lead, c - BEFORE + k]
        if count < LEAST_BEATS:
            taken[lead, :] = False
            mean[lead, :] = 0.0
        else:
            mean[lead] /= count


@njit(cache=True, nogil=True)
def _grid(row, c, last, out):  # type: ignore[no-untyped-def]
    """The 420 ms before R at thinned sample ``c``, smoothed, at 125 Hz; from grid point ``last`` on it stays level."""
    for k in range(GRID):
        if k <= last:
            t = c - BEFORE + STEP * k
            total = 0.0
            for j in range(t - SMOOTH, t + SMOOTH + 1):
                total += row[j]
            out[k] = total / (2 * SMOOTH + 1)
        else:
            out[k] = out[last]


@njit(cache=True, nogil=True)
def _alike(parts, count, peak):  # type: ignore[no-untyped-def]
    """Mean pairwise correlation of (count, GRID) signals around a grid point, each less its least-squares line."""
    length = 2 * AROUND + 1
    unit = np.zeros(length)
    one = np.empty(length)
    for i in range(count):
        mean, tilt = 0.0, 0.0
        for k in range(length):
            value = parts[i, min(max(peak - AROUND + k, 0), GRID - 1)]
            one[k] = value
            mean += value
            tilt += value * (k - AROUND)
        mean /= length
        tilt /= length * (length * length - 1) / 12
        square = 0.0
        for k in range(length):
            one[k] -= mean + tilt * (k - AROUND)
            square += one[k] * one[k]
        if square > 0.0:
            unit += one / np.sqrt(square)
    return (np.sum(unit * unit) - count) / (count * (count - 1))


@njit(cache=True, nogil=True)
def _p_to_qrs(thin, r, taken, height, rr, first, out):  # type: ignore[no-untyped-def]
    """Milliseconds from the peak of P to the onset of QRS, sample ``first`` of the mean beat: best lead, median."""
    leads = thin.shape[0]
    beats = r.shape[0]
    last = (first - 1 - SMOOTH - FOOT) // STEP
    high = last - LEAST_PEAK
    low = SIDE
    if rr > 0.0:
        t_end = (BEFORE - rr * RATE + T_END_S * np.sqrt(rr) * RATE) / STEP
        low = max(low, int(np.ceil(t_end)))
    if high - low < 2:
        return
    bump = np.zeros((leads, GRID))
    clear = np.zeros(GRID)
    parts = np.empty((leads, beats, GRID))
    count = np.zeros(leads, dtype=np.int64)
    for lead in range(leads):
        for b in range(beats):
            if taken[lead, b]:
                _grid(thin[lead], r[b] // THIN, last, parts[lead, count[lead]])
                count[lead] += 1
        m = count[lead]
        if m == 0:
            continue
        floor = (FLOOR * height[lead]) ** 2
        for k in range(low - 1, high + 2):
            total, squares = 0.0, 0.0
            for i in range(m):
                row = parts[lead, i]
                value = row[k] - 0.5 * (row[max(k - SIDE, 0)] + row[min(k + SIDE, GRID - 1)])
                total += value
                squares += value * value
            mean = total / m
            bump[lead, k] = mean
            scatter = max(squares / m - mean * mean, 0.0) * m / (m - 1)
            if floor > 0.0:
                clear[k] += mean * mean / (scatter / m + floor)
    # The last bump of those that stand out.
    top = 0.0
    for k in range(low, high + 1):
        top = max(top, clear[k])
    peak = -1
    for k in range(low, high + 1):
        if clear[k] >= LAST_BUMP * top and clear[k] >= clear[k - 1] and clear[k] > clear[k + 1]:
            peak = k
    if peak < 0:
        return
    each = np.empty(leads)
    found = 0
    best = P_REPEATS
    for lead in range(leads):
        if count[lead] == 0:
            continue
        alike = _alike(parts[lead], count[lead], peak)
        if alike < P_REPEATS:
            continue
        at = peak
        for k in range(max(peak - SIDE // 2, low), min(peak + SIDE // 2, high) + 1):
            if abs(bump[lead, k]) > abs(bump[lead, at]):
                at = k
        each[found] = (first - STEP * at) * 1000.0 / RATE
        if alike >= best:
            best = alike
            out[0] = each[found]
        found += 1
    if found > 0:
        out[1] = np.median(each[:found])


@njit(cache=True, nogil=True)
def _end(beat, first, last):  # type: ignore[no-untyped-def]
    """Mean of the later half of QRS over its peak to peak, and R peak time in ms, of one lead's mean beat."""
    level = 0.0
    for k in range(first - LEVEL, first):
        level += beat[k] / LEVEL
    low, high = beat[first], beat[first]
    for k in range(first, last + 1):
        low, high = min(low, beat[k]), max(high, beat[k])
    if not high > low:
        return np.nan, np.nan
    total = 0.0
    half = (last - first + 2) // 2
    for k in range(last + 1 - half, last + 1):
        total += (beat[k] - level) / half
    limit = level + LATE_R * (high - level)
    at = first
    for k in range(first + 1, last):
        if beat[k] >= limit and beat[k] >= beat[k - 1] and beat[k] > beat[k + 1]:
            at = k
    time = (at - first) * 1000.0 / RATE if at > first else np.nan
    return total / (high - low), time


@njit(cache=True, nogil=True)
def _conduction(thin, real, lead_used, height, r, label, dominant, v1, i, v6, out):  # type: ignore[no-untyped-def]
    leads = thin.shape[0]
    mean = np.zeros((leads, BEFORE + REACH + 1), dtype=np.float32)
    taken = np.zeros((leads, r.shape[0]), dtype=np.bool_)
    _mean_beat(thin, real, lead_used, r, label, dominant, mean, taken)
    known = np.zeros(leads, dtype=np.bool_)
    some = False
    for lead in range(leads):
        known[lead] = np.any(taken[lead])
        some = some or known[lead]
    if not some:
        return
    first, last = qrs_edges(mean[:, BEFORE - REACH :], known)
    if first < 0:
        return
    first += BEFORE - REACH
    last += BEFORE - REACH
    intervals = np.empty(r.shape[0])
    m = 0
    for b in range(1, r.shape[0]):
        if label[b] == dominant:
            intervals[m] = (r[b] - r[b - 1]) / FS
            m += 1
    _p_to_qrs(thin, r, taken, height, np.median(intervals[:m]) if m else 0.0, first, out)
    if known[v1]:
        out[2], out[5] = _end(mean[v1], first, last)
    if known[i]:
        out[3], _ = _end(mean[i], first, last)
    if known[v6]:
        out[4], out[6] = _end(mean[v6], first, last)


_run: Callable[..., None] = _conduction
_LEADS = tuple(LEAD_INDEX[name] for name in ("V1", "I", "V6"))


def conduction_features(groups: ShapeGroups) -> tuple[Floats, Bools]:
    """Conduction times of the window whose beats ``models.features.qrs_shapes.group_shapes`` grouped.

    Returns:
        (f,) float32 values in the order of ``FEATURE_NAMES`` and (f,) bool, True where defined. NaN with fewer than
        three whole beats of the commonest shape; times from P where no P repeats; what is read in a lead that is not
        there; the R peak time of a QRS without R.
    """
    values = np.full(N_FEATURES, np.nan, dtype=np.float32)
    if groups.dominant >= 0:
        _run(
            groups.thin,
            groups.thin_real,
            groups.lead,
            groups.height,
            groups.r_peaks,
            groups.label,
            groups.dominant,
            *_LEADS,
            values,
        )
    return values, ~np.isnan(values)
