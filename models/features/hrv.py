"""Rhythm features of RR intervals over the latest 10, 30 and 60 s: what the pulse alone says.

All of it is a pure function of the beats. What a span is too short for is NaN and masked, never made up.

| name (``_10s``, ``_30s``, ``_60s``) | what it is, unit | source |
|---|---|---|
| rr_count | beats in the span | |
| rr_mean_ms, rr_median_ms, rr_min_ms, rr_max_ms | of the RR intervals, ms | |
| rr_sdnn_ms | standard deviation of RR (n − 1), ms | Task Force 1996 |
| rr_cv | SDNN / mean RR | |
| rr_rmssd_ms, rr_cvsd | √mean(ΔRR²), ms; over the mean RR | Task Force 1996 |
| rr_pnn20, rr_pnn50 | share 0–1 of ΔRR beyond 20 and 50 ms | Mietus et al. 2002 |
| rr_sd1_ms, rr_sd2_ms, rr_sd_ratio | Poincaré: SD of (RRᵢ₊₁ ∓ RRᵢ)/√2, ms; SD1/SD2 | Brennan et al. 2001 |
| rr_median_step, rr_median_step2 | median of abs(RRᵢ − RRᵢ₋₁), abs(RRᵢ − RRᵢ₋₂) over the median RR | |
| rr_turning | turning-point ratio | Dash et al. 2009 |
| rr_sampen | sample entropy, m = 1, r = 0.2 SDNN, nats | Richman & Moorman 2000 |
| rr_cosen | its coefficient: ln(B/A) + ln(2r) − ln(mean RR), m = 1, r ≥ 30 ms | Lake & Moorman 2011 |
| rr_shannon16 | Shannon entropy 0–1 in 16 bins from shortest to longest RR (none left out) | Dash et al. 2009 |
| rr_shannon25ms | the same in bins of 25 ms, over ln(number of RR) | |
| rr_lorenz_cells | occupied 25 ms cells of (ΔRRᵢ₋₁, ΔRRᵢ) a point | after Sarkar et al. 2008 |
| rr_lorenz_origin | share of its points within ±80 ms | after Sarkar et al. 2008 |
| rr_map_cells | occupied 25 ms cells of (RRᵢ, ΔRRᵢ) a point | Lian et al. 2011 |
| rr_step_corr | correlation about 0 of ΔRRᵢ₋₁ and ΔRRᵢ: −1/2 in a random series | after Sarkar et al. 2008 |
| rr_step_0_2 … rr_step_over_20 | shares of abs(ΔRR) in % of the mean RR | after Dash et al. 2009, Sarkar et al. 2008 |
| rr_below_80 … rr_above_120 | shares of RR in % of the median RR | |
| rr_early | share of RR below 85 % of the median | |
| rr_early_pause | share of RR that are early and followed by one above 110 % of the median | |
| rr_early_compensated | the same where the two make two medians, to 5 % | |

Mean, spread and ΔRR need three intervals, entropies and histograms eight. neurokit2 divides the count of pNN50 by the
number of RR, here it is that of ΔRR; its default of sample entropy is m = 2, here m = 1, since a minute is short.

Task Force of ESC and NASPE 1996, Circulation 93:1043. Mietus, Heart 88:378. Brennan, IEEE TBME 48:1342. Dash, Ann
Biomed Eng 37:1701. Richman & Moorman, Am J Physiol Heart 278:H2039. Lake & Moorman, Am J Physiol Heart 300:H319.
Sarkar, IEEE TBME 55:1219. Lian, Am J Cardiol 107:1494.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.features import hrv_kernels

FS = 500
SPANS_S = (10, 30, 60)
LONGEST_RR_MS = 3000.0  # 20 /min: longer is a pause that the rules alarm on, or a signal that was not there
LEAST_SEEN = 0.5  # of a span: a minute of which 20 s were seen would repeat what the span of 30 s says
FEATURE_NAMES = tuple(f"{name}_{span}s" for span in SPANS_S for name in hrv_kernels.NAMES)
N_FEATURES = len(FEATURE_NAMES)

Indices = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class RRFeatures(NamedTuple):
    """Features in the order of ``FEATURE_NAMES``.

    Attributes:
        values: (f,) float32, NaN where undefined.
        mask: (f,) bool, where a value is defined.
    """

    values: npt.NDArray[np.float32]
    mask: Bools

    def named(self) -> dict[str, float]:
        """The defined features by name."""
        return {name: float(v) for name, v, ok in zip(FEATURE_NAMES, self.values, self.mask, strict=True) if ok}


def rr_features(r_peaks: Indices, now: int, *, since: int = 0) -> RRFeatures:
    """RR features of the 10, 30 and 60 s that end at ``now``.

    A span holds the beats in ``(now - span, now]`` and the intervals between them. An interval above 3 s is
    left out, and no difference is taken across it. A span of which less than half lies after ``since`` is masked as a
    whole; a silence in it is not: after 45 s without a beat, a minute says what its last 15 s say.

    Args:
        r_peaks: (b,) int64 analysis sample indices (500 Hz) of R peaks, ascending; older and later ones are not used.
        now: sample index at which the spans end.
        since: sample index from which the signal was watched; the epoch's start by default.

    Raises:
        ValueError: R peaks do not ascend or are not int64.
    """
    if r_peaks.dtype != np.int64 or r_peaks.ndim != 1:
        raise ValueError(f"r_peaks: expected (b,) int64, got {r_peaks.shape} {r_peaks.dtype}")
    first, end = np.searchsorted(r_peaks, [now - SPANS_S[-1] * FS, now], side="right")
    peaks = r_peaks[first:end]
    samples = np.diff(peaks)
    if np.any(samples <= 0):
        at = int(np.argmax(samples <= 0))
        raise ValueError(f"r_peaks: expected ascending, got {peaks[at + 1]} after {peaks[at]}")
    rr_ms = samples * (1000.0 / FS)
    good = rr_ms <= LONGEST_RR_MS
    values = np.full(N_FEATURES, np.nan, np.float32)
    mask = np.zeros(N_FEATURES, np.bool_)
    for k, span in enumerate(SPANS_S):
        if now - since < LEAST_SEEN * span * FS:
            continue
        at = int(np.searchsorted(peaks, now - span * FS, side="right"))
        part = slice(k * hrv_kernels.N_NAMES, (k + 1) * hrv_kernels.N_NAMES)
        kept = good[at:]
        joined = np.zeros(len(kept), np.bool_)
        joined[1:] = kept[:-1]
        hrv_kernels.features(rr_ms[at:][kept], joined[kept], len(peaks) - at, values[part], mask[part])
    return RRFeatures(values, mask)
