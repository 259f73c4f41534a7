"""The arithmetic of ``models.features.hrv``: a series of RR intervals in, its features and which of them are defined.

A series may have breaks (a beat that is not trusted, a silence). ``joined[i]`` says that interval ``i`` begins at the
beat where interval ``i - 1`` ends; no difference, pair or template reaches over a break.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

NAMES = (
    "rr_count",
    "rr_mean_ms",
    "rr_median_ms",
    "rr_min_ms",
    "rr_max_ms",
    "rr_sdnn_ms",
    "rr_cv",
    "rr_rmssd_ms",
    "rr_cvsd",
    "rr_pnn20",
    "rr_pnn50",
    "rr_sd1_ms",
    "rr_sd2_ms",
    "rr_sd_ratio",
    "rr_median_step",
    "rr_median_step2",
    "rr_turning",
    "rr_sampen",
    "rr_cosen",
    "rr_shannon16",
    "rr_shannon25ms",
    "rr_lorenz_cells",
    "rr_lorenz_origin",
    "rr_map_cells",
    "rr_step_corr",
    "rr_step_0_2",
    "rr_step_2_5",
    "rr_step_5_10",
    "rr_step_10_20",
    "rr_step_over_20",
    "rr_below_80",
    "rr_80_93",
    "rr_93_107",
    "rr_107_120",
    "rr_above_120",
    "rr_early",
    "rr_early_pause",
    "rr_early_compensated",
)
N_NAMES = len(NAMES)

LEAST_RR = 3  # two intervals have a single difference: no spread can be told from it
LEAST_SERIES = (
    8  # intervals for entropies, histograms of pairs and turning points: Lake & Moorman's 12 beats less a few
)
COSEN_R_MS = 30.0  # the tolerance at which Lake & Moorman 2011 begin
COSEN_MATCHES = 5  # their least number of matches: below it the tolerance grows
SAMPEN_R = 0.2  # of the SD, Richman & Moorman 2000
DASH_BINS = 16  # Dash et al. 2009
CELL_MS = 25.0  # Sarkar et al. 2008 and Lian et al. 2011 both draw their maps in cells of 25 ms
REACH_MS = 600.0  # Sarkar's map ends there; what lies beyond counts in its outermost cell
ORIGIN_MS = 80.0  # half the side of Sarkar's square of regular beats
SIDE = 49  # cells of the ΔRR axis, 24 on either side of the one at zero
LONGEST_CELL = 120  # 3 s, above which models.features.hrv lets no interval in
STEP_EDGES = np.array([0.02, 0.05, 0.10, 0.20])  # of the mean RR: respiration, ectopy and AF lie one after another
LEVEL_EDGES = np.array([0.80, 0.93, 1.07, 1.20])  # of the median RR
EARLY = 0.85  # of the median RR, as in models.features.qrs_shapes
PAUSE = 1.10  # of the median RR: longer than what respiration makes of most beats
COMPENSATED = 0.05  # of two medians: the next beat came where it would have come without the early one

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@njit(cache=True, nogil=True)
def features(rr: Floats, joined: Bools, beats: int, values: npt.NDArray[np.float32], mask: Bools) -> None:
    """Fill ``values`` (float32) and ``mask``, both (N_NAMES,), from RR intervals (n,) in ms; NaN where undefined."""
    values[:] = np.nan
    out = np.full(N_NAMES, np.nan)
    out[0] = beats
    n = len(rr)
    if n >= LEAST_RR:
        ordered = _sorted(rr)
        median = _median_of_sorted(ordered)
        out[1] = rr.mean()
        out[2], out[3], out[4] = median, ordered[0], ordered[-1]
        out[5] = _sd(rr)
        out[6] = out[5] / out[1]
        _differences(rr, joined, out[1], median, out[7:16])
        if n >= LEAST_SERIES:
            out[16] = _turning(rr, joined)
            out[17], out[18] = _entropies(rr, joined, SAMPEN_R * out[5], out[1])
            out[19] = _shannon(rr, ordered[0], (ordered[-1] - ordered[0]) / DASH_BINS, DASH_BINS, DASH_BINS)
            out[20] = _shannon(rr, 0.0, CELL_MS, LONGEST_CELL, n)
            _maps(rr, joined, out[21:24])
            out[24] = _step_correlation(rr, joined)
            _step_shares(rr, joined, out[1], out[25:30])
            _level_shares(rr, median, out[30:35])
        _ectopy(rr, joined, median, out[35:38])
    for k in range(N_NAMES):
        mask[k] = np.isfinite(out[k])
        if mask[k]:
            values[k] = out[k]


@njit(cache=True, nogil=True)
def _sorted(x: Floats) -> Floats:
    """Insertion sort: for a minute of beats faster than numba's own, which also takes seconds to compile."""
    out = x.copy()
    for i in range(1, len(out)):
        value, k = out[i], i
        while k > 0 and out[k - 1] > value:
            out[k] = out[k - 1]
            k -= 1
        out[k] = value
    return out


@njit(cache=True, nogil=True)
def _median_of_sorted(x: Floats) -> float:
    n = len(x)
    return float(0.5 * (x[(n - 1) // 2] + x[n // 2]))


@njit(cache=True, nogil=True)
def _sd(x: Floats) -> float:
    """Standard deviation with n − 1, as the Task Force 1996 and neurokit2."""
    mean, total = x.mean(), 0.0
    for value in x:
        total += (value - mean) ** 2
    return float(np.sqrt(total / (len(x) - 1)))


@njit(cache=True, nogil=True)
def _differences(rr: Floats, joined: Bools, mean: float, median: float, out: Floats) -> None:
    """rmssd, cvsd, pnn20, pnn50, sd1, sd2, their ratio, median step, median step over two intervals."""
    n = len(rr)
    step, total, step2 = np.empty(n), np.empty(n), np.empty(n)
    n_step = n_step2 = 0
    for i in range(1, n):
        if not joined[i]:
            continue
        step[n_step] = rr[i] - rr[i - 1]
        total[n_step] = rr[i] + rr[i - 1]
        n_step += 1
        if i > 1 and joined[i - 1]:
            step2[n_step2] = abs(rr[i] - rr[i - 2])
            n_step2 += 1
    if n_step < LEAST_RR - 1:
        return
    d = step[:n_step]
    out[0] = np.sqrt(np.mean(d * d))
    out[1] = out[0] / mean
    size = _sorted(np.abs(d))
    out[2] = np.mean(size > 20.0)
    out[3] = np.mean(size > 50.0)
    out[4] = _sd(d) / np.sqrt(2.0)
    out[5] = _sd(total[:n_step]) / np.sqrt(2.0)
    if out[5] > 0.0:
        out[6] = out[4] / out[5]
    out[7] = _median_of_sorted(size) / median
    if n_step2 >= LEAST_RR - 1:
        out[8] = _median_of_sorted(_sorted(step2[:n_step2])) / median


@njit(cache=True, nogil=True)
def _turning(rr: Floats, joined: Bools) -> float:
    """Share of inner intervals longer or shorter than both neighbours (Dash et al. 2009; 2/3 of a random series)."""
    turns = inner = 0
    for i in range(1, len(rr) - 1):
        if joined[i] and joined[i + 1]:
            inner += 1
            turns += (rr[i] - rr[i - 1]) * (rr[i] - rr[i + 1]) > 0.0
    return turns / inner if inner >= LEAST_SERIES - 2 else np.nan


@njit(cache=True, nogil=True)
def _entropies(rr: Floats, joined: Bools, r: float, mean: float) -> tuple[float, float]:
    """Sample entropy with m = 1 (Richman & Moorman 2000) and coefficient of sample entropy (Lake & Moorman 2011).

    Templates are the n − 1 intervals that have a successor, so that those of length 1 and 2 are the same in number.
    """
    n = len(rr)
    near = np.full(COSEN_MATCHES, np.inf)  # the shortest distances between templates of two intervals, ascending
    pairs = one = two = one_fixed = two_fixed = 0
    for i in range(n - 2):
        if not joined[i + 1]:
            continue
        for j in range(i + 1, n - 1):
            if not joined[j + 1]:
                continue
            d1 = abs(rr[i] - rr[j])
            d2 = max(d1, abs(rr[i + 1] - rr[j + 1]))
            pairs += 1
            one += d1 <= r
            two += d2 <= r
            one_fixed += d1 <= COSEN_R_MS
            two_fixed += d2 <= COSEN_R_MS
            if d2 < near[-1]:
                k = COSEN_MATCHES - 1
                while k > 0 and near[k - 1] > d2:
                    near[k] = near[k - 1]
                    k -= 1
                near[k] = d2
    sampen = cosen = np.nan
    if r > 0.0 and two > 0:
        sampen = np.log(one / two)
    if pairs >= COSEN_MATCHES:
        tolerance = max(COSEN_R_MS, near[-1])
        if tolerance > COSEN_R_MS:
            one_fixed = two_fixed = 0
            for i in range(n - 2):
                for j in range(i + 1, n - 1):
                    if joined[i + 1] and joined[j + 1]:
                        d1 = abs(rr[i] - rr[j])
                        one_fixed += d1 <= tolerance
                        two_fixed += max(d1, abs(rr[i + 1] - rr[j + 1])) <= tolerance
        cosen = np.log(one_fixed / two_fixed) + np.log(2.0 * tolerance) - np.log(mean)
    return sampen, cosen


@njit(cache=True, nogil=True)
def _shannon(rr: Floats, low: float, width: float, bins: int, alike: int) -> float:
    """Shannon entropy of a histogram of ``bins`` from ``low``, over that of ``alike`` equal bins: 0 to 1."""
    counts = np.zeros(bins)
    for x in rr:
        counts[min(int((x - low) / width), bins - 1) if width > 0.0 else 0] += 1
    entropy = np.log(len(rr))
    for c in counts:
        if c > 1.0:
            entropy -= c / len(rr) * np.log(c)
    return float(entropy / np.log(alike))


@njit(cache=True, nogil=True)
def _cell(step: float) -> int:
    clipped = min(max(step, -REACH_MS), REACH_MS)
    return int(np.floor(clipped / CELL_MS + 0.5)) + SIDE // 2


@njit(cache=True, nogil=True)
def _maps(rr: Floats, joined: Bools, out: Floats) -> None:
    """Lorenz plot of ΔRR: occupied cells a point, share near the origin; map of RR against ΔRR: occupied cells a point.

    After Sarkar et al. 2008 (Lorenz plot) and Lian et al. 2011 (the count of nonempty cells).
    """
    lorenz = np.zeros((SIDE, SIDE), np.bool_)
    rr_map = np.zeros((LONGEST_CELL, SIDE), np.bool_)
    points = mapped = occupied = cells = origin = 0
    for i in range(1, len(rr)):
        if not joined[i]:
            continue
        step = rr[i] - rr[i - 1]
        level, column = min(int(rr[i] / CELL_MS), LONGEST_CELL - 1), _cell(step)
        mapped += 1
        cells += not rr_map[level, column]
        rr_map[level, column] = True
        if i > 1 and joined[i - 1]:
            before = rr[i - 1] - rr[i - 2]
            row = _cell(before)
            points += 1
            origin += max(abs(step), abs(before)) <= ORIGIN_MS
            occupied += not lorenz[row, column]
            lorenz[row, column] = True
    if points >= LEAST_SERIES - 2:
        out[0] = occupied / points
        out[1] = origin / points
        out[2] = cells / mapped


@njit(cache=True, nogil=True)
def _step_correlation(rr: Floats, joined: Bools) -> float:
    """Correlation about 0 of each ΔRR with the next: how the points of the Lorenz plot lie along its diagonals.

    A random series, as RR in AF, takes half of each step back: −1/2. Respiration goes on as it went, near 0 or above;
    bigeminy takes back all of it, −1.
    """
    together = alone = 0.0
    points = 0
    for i in range(2, len(rr)):
        if joined[i] and joined[i - 1]:
            before, step = rr[i - 1] - rr[i - 2], rr[i] - rr[i - 1]
            together += before * step
            alone += (before * before + step * step) / 2.0
            points += 1
    return together / alone if points >= LEAST_SERIES - 2 and alone > 0.0 else np.nan


@njit(cache=True, nogil=True)
def _bin(edges: Floats, x: float) -> int:
    k = 0
    while k < len(edges) and x >= edges[k]:
        k += 1
    return k


@njit(cache=True, nogil=True)
def _step_shares(rr: Floats, joined: Bools, mean: float, out: Floats) -> None:
    """Histogram of |ΔRR| over the mean RR, in shares."""
    counts = np.zeros(len(STEP_EDGES) + 1)
    for i in range(1, len(rr)):
        if joined[i]:
            counts[_bin(STEP_EDGES, abs(rr[i] - rr[i - 1]) / mean)] += 1
    if counts.sum() >= LEAST_SERIES - 1:
        out[:] = counts / counts.sum()


@njit(cache=True, nogil=True)
def _level_shares(rr: Floats, median: float, out: Floats) -> None:
    """Histogram of RR over the median RR, in shares."""
    out[:] = 0.0
    for x in rr:
        out[_bin(LEVEL_EDGES, x / median)] += 1.0 / len(rr)


@njit(cache=True, nogil=True)
def _ectopy(rr: Floats, joined: Bools, median: float, out: Floats) -> None:
    """Shares of intervals that are early, early with a pause after it, early with a fully compensatory pause."""
    n = len(rr)
    early = pause = compensated = 0
    for i in range(n):
        if rr[i] < EARLY * median:
            early += 1
            if i + 1 < n and joined[i + 1] and rr[i + 1] > PAUSE * median:
                pause += 1
                compensated += abs(rr[i] + rr[i + 1] - 2.0 * median) <= COMPENSATED * 2.0 * median
    out[0], out[1], out[2] = early / n, pause / n, compensated / n
