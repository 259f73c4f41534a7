"""Heart rate as a bedside monitor shows it: a mean over the latest RR intervals.

IEC 60601-2-27 leaves the averaging to the maker and asks that it be disclosed; this is ours:

- The mean of the latest 8 RR intervals. With five or more of them the longest and the shortest are left out, so that
  one premature beat with its pause, or one beat missed or counted twice, does not move the rate.
- When the latest three RR intervals are all longer than 1200 ms, the mean of the latest four (the rule that several
  makers disclose): a bed that turns slow is seen after three beats instead of eight.
- The time since the last beat, once it is longer than the mean, counts as one more interval. So the rate falls before
  the next beat comes, and never shows what the silence already rules out.

A step 80 → 120 /min passes 100 after 5 beats (2.5 s), a step 80 → 40 /min passes 60 after 4.2 s, each plus the
detector's latency.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

BEAT_LATENCY_S = (
    0.5  # the detector decides a beat at most this long after its R peak; silence is only known up to there
)
RR_AVERAGED = 8
RR_TRIMMED_FROM = 5  # with fewer intervals, leaving two out would leave too little to average
SLOW_RR_S, SLOW_RR_RUN, SLOW_RR_AVERAGED = 1.2, 3, 4
RR_NEEDED = 2  # three beats: two beats alone may be one beat and one artefact
MEMORY_S = 15.0  # older intervals say nothing about now; two intervals fit down to 8 /min
STALE_S = 10.0  # no beat for so long is no rate but an asystole


def heart_rate_bpm(r_peaks: npt.NDArray[np.int64], now: int, fs: int = 500) -> float | None:
    """Heart rate at sample ``now``, in beats per minute.

    Args:
        r_peaks: (b,) int64 sample indices of the R peaks decided so far, ascending, none after ``now``.
        now: sample index up to which the signal has been seen.
        fs: samples per second.

    Returns:
        The rate, or None with fewer than three beats in the latest 15 s of beats, or none in the last 10 s.
    """
    peaks: list[int] = r_peaks[-(RR_AVERAGED + 1) :].tolist()
    return rate_of(recent(peaks, fs), now, fs)


def recent(peaks: Sequence[int], fs: int = 500) -> list[int]:
    """Those of ``peaks`` (ascending sample indices) that the rate is taken from: the latest nine within 15 s."""
    oldest = peaks[-1] - MEMORY_S * fs if peaks else 0
    return [peak for peak in peaks[-(RR_AVERAGED + 1) :] if peak >= oldest]


def mean_rr(peaks: Sequence[int], fs: int = 500, *, silence: float | None = None) -> float | None:
    """Mean RR in samples over ``peaks`` (what ``recent`` left); ``silence`` is one more, still open, interval."""
    rr = [later - earlier for earlier, later in pairwise(peaks)]
    if len(rr) < RR_NEEDED:
        return None
    every: list[float] = [*rr, silence] if silence is not None else [*rr]
    if len(every) >= SLOW_RR_RUN and min(every[-SLOW_RR_RUN:]) > SLOW_RR_S * fs:
        slow = every[-SLOW_RR_AVERAGED:]
        return sum(slow) / len(slow)
    # The open interval is never trimmed: it is the only sign of a rate that falls now. It weighs as one of eight.
    closed = sorted(rr if silence is None else rr[-(RR_AVERAGED - 1) :])
    weight = len(closed)
    if len(closed) >= RR_TRIMMED_FROM:
        closed = closed[1:-1]
    mean = sum(closed) / len(closed)
    return mean if silence is None else (mean * weight + silence) / (weight + 1)


def rate_of(peaks: Sequence[int], now: int, fs: int = 500) -> float | None:
    """As ``heart_rate_bpm``, over plain sample indices that ``recent`` left."""
    mean = mean_rr(peaks, fs)
    if mean is None:
        return None
    silence = now - BEAT_LATENCY_S * fs - peaks[-1]
    if silence > STALE_S * fs:
        return None
    if silence > mean:
        mean = max(mean, mean_rr(peaks, fs, silence=silence) or 0.0)
    return 60.0 * fs / mean
