"""Atrial features of one window: how alike the P waves are, and what is left of the signal without the beats.

Each quantity is taken per lead, then told for the best lead, for the median over leads, and for II and V1, where atria
show best. Ratios are free of gain. All of it is a pure function of the window. Undefined is NaN with its mask False.

- P waves: mean pairwise correlation of the segments before the QRS of the commonest shape (Slocum et al. 1992,
  J. Electrocardiol. 25:1: AF is the absence of a repeating P wave), their mean against their scatter, PR jitter.
- Fibrillation: the average beat of each shape is subtracted (Slocum 1992; refined by Stridh & Sörnmo 2001, IEEE TBME
  48:105; here over the whole cycle from one P to the next, with each sample averaged over the beats whose cycle reaches
  it), what remains of QRS is bridged, and the rest's spectrum (Welch) is read: 4–9 Hz against its neighbours, dominant
  atrial frequency and spectral concentration (Alcaraz & Rieta 2008; Petrėnas et al. 2012, IEEE TBME 59:2825).
- Flutter with a fixed ratio is locked to the beats and would be subtracted with them. So its rate, 3.3–6 Hz, is sought
  in the signal of which QRS alone is bridged: prominence of the peak, its second harmonic (the sawtooth), and the
  autocorrelation at the flutter's cycle length (inverse transform of the spectrum, Wiener & Khinchin).
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numba import njit

from ecg.leads import LEAD_INDEX, N_LEADS
from models.features.qrs_shapes import FS, REORDER, THIN, ShapeGroups

RATE = 125  # Hz; P and f waves are below 25 Hz
STEP = FS // THIN // RATE
MOST_BEATS = 64  # in a window: 320 /min for 12 s; the kernels' arrays are that long
BASELINE_HALF = 62  # samples at 125 Hz: two moving means of 1 s have zeros at each whole Hz, so 3 Hz and more is kept
P_FIRST, P_LAST = 31, 8  # samples before R, 248 … 64 ms: P wave of a PR interval of 110 to 240 ms, without QRS
P_LENGTH = P_FIRST - P_LAST + 1
LAG = 5  # 40 ms at 125 Hz: PR varies less than that from beat to beat, and P would leave its segment
CYCLE = 31 + 175  # samples: from P_FIRST before R to 1.4 s after it, RR at 43 /min; a longer diastole is left as it is
TAPER = 5  # 40 ms at either end of a subtracted cycle: no steps where one beat's cycle meets the next one's
QRS_BEFORE, QRS_AFTER = 7, 8  # 56 and 64 ms at 125 Hz: where subtraction leaves QRS slopes, bridged by a line
ALONE_BEFORE, ALONE_AFTER = 12, 50  # 96 and 400 ms: QRS and T of a shape seen too rarely to be averaged, bridged
LEAST_BEATS = 3
SEGMENT = 256  # samples of a Welch segment at 62.5 Hz: 4.1 s, bins of 0.244 Hz
HOP = 123  # samples: four segments in 625, the overlap near one half
BIN = RATE / 2 / SEGMENT

# (name, whether more is likelier where atria beat in order or flutter: the best lead is the one with most of it)
_PER_LEAD = (
    "p_alike",
    "p_to_scatter_log",
    "p_height_log",
    "pr_jitter_ms",
    "f_band_log",
    "f_concentration",
    "f_hz",
    "f_amplitude_log",
    "unlocked_share",
    "flutter_prominence_log",
    "flutter_over_lower_log",
    "flutter_repeat",
    "flutter_sawtooth_log",
    "flutter_hz",
)
# Which lead is the best one for each family: where P repeats most, where f waves, where flutter stand out most.
_P, _F, _FLUTTER = slice(0, 4), slice(4, 9), slice(9, 14)
_VIEWS = ("best", "median", "II", "V1")
FEATURE_NAMES = ("p_alike_pooled", *(f"{name}_{view}" for name in _PER_LEAD for view in _VIEWS))
N_FEATURES = len(FEATURE_NAMES)

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


@njit(cache=True, nogil=True)
def _mean_around(x, half, out):  # type: ignore[no-untyped-def]
    """Centred moving mean over ``2·half + 1`` samples, over what there is of them at the ends."""
    n = x.shape[0]
    total = np.empty(n + 1)
    total[0] = 0.0
    for t in range(n):
        total[t + 1] = total[t] + x[t]
    for t in range(n):
        low, high = max(t - half, 0), min(t + half + 1, n)
        out[t] = (total[high] - total[low]) / (high - low)


@njit(cache=True, nogil=True)
def _bridge(x, first, last):  # type: ignore[no-untyped-def]
    """Replace samples first … last by a line between their neighbours."""
    n = x.shape[0]
    first, last = max(first, 0), min(last, n - 1)
    if last < first:
        return
    left = x[first - 1] if first > 0 else (x[last + 1] if last + 1 < n else 0.0)
    right = x[last + 1] if last + 1 < n else left
    for t in range(first, last + 1):
        x[t] = left + (right - left) * (t - first + 1) / (last - first + 2)


@njit(cache=True, nogil=True, fastmath=REORDER)
def _level(x, first, out):  # type: ignore[no-untyped-def]
    """x[first : first + P_LENGTH] less its least-squares line, into ``out``; returns its sum of squares."""
    n = P_LENGTH
    mean = np.float32(0.0)
    tilt = np.float32(0.0)
    center = np.float32((n - 1) / 2)
    for k in range(n):
        mean += x[first + k]
        tilt += x[first + k] * (k - center)
    mean /= n
    tilt /= np.float32(n * (n * n - 1) / 12)
    square = np.float32(0.0)
    for k in range(n):
        out[k] = x[first + k] - mean - tilt * (k - center)
        square += out[k] * out[k]
    return square


@njit(cache=True, nogil=True, fastmath=REORDER)
def _fit(x, first, mean):  # type: ignore[no-untyped-def]
    """Correlation, less its constant factor, of ``mean`` with x from ``first``, less its line: ``mean`` has none."""
    n = P_LENGTH
    center = np.float32((n - 1) / 2)
    origin = x[first]
    plain, tilt, square, cross = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for k in range(n):
        value = x[first + k] - origin
        plain += value
        tilt += value * (k - center)
        square += value * value
        cross += value * mean[k]
    square -= plain * plain / n + tilt * tilt / np.float32(n * (n * n - 1) / 12)
    return cross / np.sqrt(square) if square > 0.0 else -np.inf


@njit(cache=True, nogil=True, fastmath=REORDER)
def _p_waves(x, real, r, label, dominant, height, per_lead, segments, norms):  # type: ignore[no-untyped-def]
    """P features of one lead; fills its unit segments (b, P_LENGTH) and their norms for the pooled ones."""
    n = x.shape[0]
    count = 0
    at = np.empty(MOST_BEATS, dtype=np.int64)
    mean = np.zeros(P_LENGTH, dtype=np.float32)
    unit = np.zeros(P_LENGTH, dtype=np.float32)
    for b in range(r.shape[0]):
        first = r[b] - P_FIRST
        if label[b] != dominant or first - LAG < 0 or r[b] >= n:
            continue
        whole = True
        for k in range(first, first + P_LENGTH):
            whole = whole and real[k]
        if not whole:
            continue
        square = _level(x, first, segments[b])
        if square <= 0.0:
            continue
        norms[b] = square
        at[count] = b
        count += 1
        mean += segments[b]
        unit += segments[b] / np.sqrt(square)
    if count < LEAST_BEATS:
        return
    per_lead[0] = (np.sum(unit * unit) - count) / (count * (count - 1))
    mean /= count
    power, scatter = 0.0, 0.0
    for k in range(P_LENGTH):
        power += mean[k] * mean[k]
    for i in range(count):
        for k in range(P_LENGTH):
            scatter += (segments[at[i], k] - mean[k]) ** 2
    scatter /= count - 1
    # The mean of pure scatter has 1/count of its power: taken off, so that few beats do not look alike.
    clean = max(power - scatter / count, 0.0)
    per_lead[1] = np.log10(clean / scatter + 0.01) if scatter > 0.0 else np.nan
    if height > 0.0:
        per_lead[2] = np.log10((np.max(mean) - np.min(mean)) / height + 1e-3)
    # PR jitter: where each segment fits the mean best.
    total, squares = 0.0, 0.0
    for i in range(count):
        best, best_lag = -np.inf, 0
        for lag in range(-LAG, LAG + 1):
            fit = _fit(x, r[at[i]] - P_FIRST + lag, mean)
            if fit > best:
                best, best_lag = fit, lag
        total += best_lag
        squares += best_lag * best_lag
    per_lead[3] = np.sqrt(max(squares / count - (total / count) ** 2, 0.0)) * 1000.0 / RATE


@njit(cache=True, nogil=True)
def _subtract(x, r, label, groups, rest):  # type: ignore[no-untyped-def]
    """x less the average cycle of each beat's shape, into ``rest``; QRS bridged."""
    n = x.shape[0]
    beats = r.shape[0]
    rest[:] = x
    mean = np.empty(CYCLE, dtype=np.float32)
    share = np.empty(CYCLE, dtype=np.int64)
    for g in range(groups):
        size = 0
        for b in range(beats):
            size += 1 if label[b] == g else 0
        if size < LEAST_BEATS:
            continue
        mean[:] = 0.0
        share[:] = 0
        for b in range(beats):
            if label[b] == g:
                first = r[b] - P_FIRST
                last = min((r[b + 1] - P_FIRST) if b + 1 < beats else n, n, first + CYCLE)
                for t in range(max(first, 0), last):
                    mean[t - first] += x[t]
                    share[t - first] += 1
        reach = 0  # the cycle as far as enough beats reach it
        while reach < CYCLE and share[reach] >= LEAST_BEATS:
            mean[reach] /= share[reach]
            reach += 1
        for b in range(beats):
            if label[b] == g:
                first = r[b] - P_FIRST
                length = min((r[b + 1] - P_FIRST) - first if b + 1 < beats else reach, reach)
                for k in range(max(-first, 0), min(length, n - first)):
                    fade = min(1.0, (k + 1) / (TAPER + 1), (length - k) / (TAPER + 1))
                    rest[first + k] -= fade * mean[k]
    for b in range(beats):
        _bridge(rest, r[b] - QRS_BEFORE, r[b] + QRS_AFTER)


@njit(cache=True, nogil=True)
def _time_domain(thin, thin_real, lead_used, r, label, dominant, groups, height, per_lead, pooled, rest, open_):  # type: ignore[no-untyped-def]
    """P features, and the two signals (12, n / 2 at 62.5 Hz) whose spectra are read."""
    leads = thin.shape[0]
    n = thin.shape[1] // STEP
    x = np.empty(n, dtype=np.float32)
    slow = np.empty(n, dtype=np.float32)
    slower = np.empty(n, dtype=np.float32)
    left = np.empty(n, dtype=np.float32)
    real = np.empty(n, dtype=np.bool_)
    beats = r.shape[0]
    rare = np.zeros(beats, dtype=np.bool_)
    for b in range(beats):
        rare[b] = label[b] < 0 or np.sum(label == label[b]) < LEAST_BEATS
    segments = np.zeros((leads, beats, P_LENGTH), dtype=np.float32)
    norms = np.zeros((leads, beats), dtype=np.float32)
    for lead in range(leads):
        if not lead_used[lead]:
            continue
        full = thin[lead]
        last = full.shape[0] - 1
        for t in range(n):
            c = STEP * t
            # 20 ms at 250 Hz: zero at 50 Hz, and little left of 60 Hz.
            x[t] = 0.2 * (full[max(c - 2, 0)] + full[max(c - 1, 0)] + full[c] + full[c + 1] + full[min(c + 2, last)])
            real[t] = thin_real[lead, c]
        # Before the baseline is taken: a wide beat of 2 mV would bend it by a tenth of that for a second.
        for b in range(beats):
            if rare[b]:
                _bridge(x, r[b] - ALONE_BEFORE, r[b] + ALONE_AFTER)
        _mean_around(x, BASELINE_HALF, slow)
        _mean_around(slow, BASELINE_HALF, slower)
        for t in range(n):
            x[t] -= slower[t]
        _p_waves(x, real, r, label, dominant, height[lead], per_lead[lead], segments[lead], norms[lead])
        _subtract(x, r, label, groups, left)
        for b in range(beats):
            _bridge(x, r[b] - QRS_BEFORE, r[b] + QRS_AFTER)
        for t in range(rest.shape[1]):
            rest[lead, t] = 0.5 * (left[2 * t] + left[2 * t + 1])
            open_[lead, t] = 0.5 * (x[2 * t] + x[2 * t + 1])
    # Over all leads as one vector, each lead by the reciprocal of its power.
    weight = np.zeros(leads)
    for lead in range(leads):
        total = np.sum(norms[lead])
        if not np.isnan(per_lead[lead, 0]) and total > 0.0:
            weight[lead] = 1.0 / total
    summed = np.zeros((leads, P_LENGTH))
    count = 0
    for b in range(beats):
        norm = np.sum(weight * norms[:, b])
        if norm > 0.0:
            count += 1
            for lead in range(leads):
                part = np.sqrt(weight[lead] / norm)
                for k in range(P_LENGTH):
                    summed[lead, k] += segments[lead, b, k] * part
    if count >= LEAST_BEATS:
        pooled[0] = (np.sum(summed * summed) - count) / (count * (count - 1))


_run: Callable[..., None] = _time_domain


def _hann() -> Floats:
    return (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(SEGMENT) + 0.5) / SEGMENT)).astype(np.float32)


_WINDOW = _hann()
_FREQUENCY = np.arange(SEGMENT // 2 + 1) * BIN


def _bins(low_hz: float, high_hz: float) -> slice:
    """The bins from ``low_hz`` to ``high_hz``."""
    return slice(math.ceil(low_hz / BIN), math.floor(high_hz / BIN) + 1)


_ALL, _BAND, _BELOW, _ABOVE = _bins(2.5, 15), _bins(4, 9), _bins(2.5, 3.5), _bins(10, 15)
_PEAK, _FLUTTER_PEAK = _bins(3.5, 9.5), _bins(3.3, 6.2)
_LOWER = _bins(1.5, 3.1)
_CYCLE_S = np.arange(0.160, 0.304, 0.008)  # seconds a flutter cycle may take: 200 to 375 /min
_COSINES = np.cos(2 * np.pi * np.outer(_CYCLE_S, _FREQUENCY[_ALL]))  # (lags, bins)


def _spectra(x: Floats) -> npt.NDArray[np.float64]:
    """Welch's estimate of (m, n) signals at 62.5 Hz: (m, bins) mean power of Hann-windowed segments."""
    starts = range(0, x.shape[1] - SEGMENT + 1, HOP)
    parts = np.stack([x[:, start : start + SEGMENT] for start in starts], axis=1) * _WINDOW
    spectrum = np.fft.rfft(parts, axis=2)
    power: npt.NDArray[np.float64] = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    return power


def _around(power: npt.NDArray[np.float64], bins: slice, *shifts: int) -> npt.NDArray[np.float64]:
    """Mean of (m, bins) power over the bins that lie ``shifts`` beside each bin of ``bins``."""
    mean: npt.NDArray[np.float64] = np.mean([power[:, bins.start + k : bins.stop + k] for k in shifts], axis=0)
    return mean


def _spectral(rest: Floats, open_: Floats, height: Floats, per_lead: Floats) -> None:
    """Features of the spectra of used leads: signals (m, n), ``height`` (m,) µV, into rows of ``per_lead`` (m, ·)."""
    m = len(rest)
    power = _spectra(np.concatenate([rest, open_]))
    left, whole = power[:m] + 1e-12, power[m:] + 1e-12
    rows = np.arange(m)
    total = left[:, _ALL].sum(axis=1)
    around = left[:, _BELOW].sum(axis=1) + left[:, _ABOVE].sum(axis=1)
    per_lead[:, 4] = np.log10(left[:, _BAND].sum(axis=1) / around)
    # Concentration: the power within ±0.6 Hz of the dominant frequency.
    near = 5 * _around(left, _PEAK, -2, -1, 0, 1, 2)
    peak = np.argmax(near, axis=1)
    per_lead[:, 5] = near[rows, peak] / total
    per_lead[:, 6] = _FREQUENCY[_PEAK.start + peak]
    # A Hann window keeps 3/8 of the power, and one side of the spectrum holds half of it.
    rms = np.sqrt(2 * total / (0.375 * SEGMENT**2))
    per_lead[:, 7] = np.log10(rms / height + 1e-4)
    per_lead[:, 8] = total / (total + whole[:, _ALL].sum(axis=1))
    # Flutter: a peak of three bins against what is 0.7 to 1.2 Hz beside it.
    three = _around(whole, _FLUTTER_PEAK, -1, 0, 1)
    beside = _around(whole, _FLUTTER_PEAK, -5, -4, -3, 3, 4, 5)
    peak = np.argmax(three / beside, axis=1)
    per_lead[:, 9] = np.log10(three[rows, peak] / beside[rows, peak])
    # The best ratio may lie on the peak's flank: its rate is that of the strongest bin near it.
    near_peak = (_FLUTTER_PEAK.start + peak)[:, None] + np.arange(-2, 3)
    at = near_peak[rows, np.argmax(whole[rows[:, None], near_peak], axis=1)]
    # A regular rhythm's harmonics fall with frequency; flutter at a whole multiple of the rate lifts one of them.
    per_lead[:, 10] = np.log10(three[rows, peak] / whole[:, _LOWER].max(axis=1))
    band = whole[:, _ALL]
    repeat = band @ _COSINES.T / band.sum(axis=1, keepdims=True)
    per_lead[:, 11] = repeat.max(axis=1)
    harmonic = whole[rows[:, None], 2 * at[:, None] + np.arange(-2, 3)].mean(axis=1)
    per_lead[:, 12] = np.log10(harmonic / three[rows, peak])
    per_lead[:, 13] = _FREQUENCY[at]


def atrial_features(groups: ShapeGroups) -> tuple[Floats, Bools]:
    """Atrial features of the window whose beats ``models.features.qrs_shapes.group_shapes`` grouped.

    Args:
        groups: the beats by shape, with the thinned signal of the leads; at least 8.3 s long.

    Returns:
        (f,) float32 values in the order of ``FEATURE_NAMES`` (NaN where undefined) and (f,) bool, True where defined:
        nothing is with fewer than three beats of one shape or without a usable lead.
    """
    n = groups.thin.shape[1] // STEP
    per_lead = np.full((N_LEADS, len(_PER_LEAD)), np.nan, dtype=np.float32)
    pooled = np.full(1, np.nan, dtype=np.float32)
    mine = int((groups.label == groups.dominant).sum()) if groups.dominant >= 0 else 0
    if mine >= LEAST_BEATS and len(groups.label) <= MOST_BEATS:
        rest = np.zeros((N_LEADS, n // 2), dtype=np.float32)
        open_ = np.zeros_like(rest)
        r = (groups.r_peaks + FS // RATE // 2) // (FS // RATE)
        most = int(groups.label.max()) + 1
        _run(
            groups.thin,
            groups.thin_real,
            groups.lead,
            r,
            groups.label,
            groups.dominant,
            most,
            groups.height,
            per_lead,
            pooled,
            rest,
            open_,
        )
        rows = np.flatnonzero(groups.lead & (groups.height > 0))
        if len(rows):
            some = per_lead[rows]
            _spectral(rest[rows], open_[rows], groups.height[rows], some)
            per_lead[rows] = some
    values = np.concatenate([pooled, _views(per_lead).ravel()])
    return values, ~np.isnan(values)


def _views(per_lead: Floats) -> Floats:
    """(12, q) → (q, 4): best lead of the family, median of the leads, II, V1."""
    views = np.full((per_lead.shape[1], len(_VIEWS)), np.nan, dtype=np.float32)
    for family, judge in ((_P, 0), (_F, 5), (_FLUTTER, 9)):
        seen = np.flatnonzero(~np.isnan(per_lead[:, judge]))
        if len(seen):
            best = seen[np.argmax(per_lead[seen, judge])]
            views[family, 0] = per_lead[best, family]
            views[family, 1] = np.median(per_lead[seen, family], axis=0)
    views[:, 2] = per_lead[LEAD_INDEX["II"]]
    views[:, 3] = per_lead[LEAD_INDEX["V1"]]
    return views
