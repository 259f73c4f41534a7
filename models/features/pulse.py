"""The pulse as a time series: what the RR intervals say at each tenth of a second of a window."""

import numpy as np
import numpy.typing as npt

from models.features.hrv import LONGEST_RR_MS
from models.inputs import N_PULSE, PULSE_NAMES, SECONDS, TOKENS
from windowing.spans import ANALYSIS_FS

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

STEP = ANALYSIS_FS * SECONDS // TOKENS  # samples
LONGEST = LONGEST_RR_MS * ANALYSIS_FS / 1000
_RR, _LOG_STEP, _LOG_TO_MEDIAN, _BEAT, _DOMINANT, _KNOWN = range(N_PULSE)
assert PULSE_NAMES[_DOMINANT] == "dominant_shape"


def pulse(r_peaks: Indices, end: int, dominant: Floats) -> Floats:
    """(100, 6) float32 ``PULSE_NAMES`` at the middle of each tenth of a second of the 10 s before ``end``.

    A moment belongs to the RR interval that it lies in; after the last beat nothing is known but that no beat came.

    Args:
        r_peaks: (b,) int64 R peaks known by now, analysis sample indices, ascending; older ones count for the
            interval that the window begins in.
        end: sample index at which the window ends.
        dominant: (b,) float32 1 where a beat has the window's commonest QRS shape, −1 where another, 0 where unknown.
    """
    out = np.zeros((TOKENS, N_PULSE), np.float32)
    start = end - SECONDS * ANALYSIS_FS
    inside = (r_peaks >= start) & (r_peaks < end)
    out[(r_peaks[inside] - start) // STEP, _BEAT] = 1.0
    if len(r_peaks) < 2:
        return out
    rr = np.diff(r_peaks).astype(np.float64)
    fit = rr <= LONGEST
    in_window = fit & (r_peaks[1:] > start)
    median = np.median(rr[in_window]) if in_window.any() else np.nan
    step = np.zeros(len(rr))
    step[1:] = np.where(fit[1:] & fit[:-1], np.log(rr[1:] / rr[:-1]), 0.0)
    middle = start + STEP // 2 + STEP * np.arange(TOKENS)
    of = np.searchsorted(r_peaks, middle, side="right") - 1  # the beat that begins the interval
    known = (of >= 0) & (of < len(rr))
    known[known] = fit[of[known]]
    at = of[known]
    out[known, _RR] = rr[at] / ANALYSIS_FS
    out[known, _LOG_STEP] = step[at]
    out[known, _LOG_TO_MEDIAN] = np.log(rr[at] / median)
    out[known, _DOMINANT] = dominant[at]
    out[known, _KNOWN] = 1.0
    return out
