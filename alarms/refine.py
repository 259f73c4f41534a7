"""The beat at which a rhythm changed, by maximum likelihood between a regular and an irregular stretch.

Each beat has a step: how much its RR interval differs from the one before, as a share of their mean. In a regular
rhythm steps are small, but for a premature beat or a missed one now and then; in AF they are large, and small only by
chance. The change is put where the likelihood of one stretch before it and the other after it is greatest (the
maximum-likelihood change point of two known densities: Page 1954, Hinkley 1970). Evidence that somebody else has of
each half second weighs as a prior.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from windowing.spans import ANALYSIS_FS

BEATS_NEEDED = 4  # two steps; with fewer the rhythm cannot be told from beats
# Steps of a regular rhythm: respiration, the detector's jitter of some ms, and one in ten from ectopy or a detector's
# error. Those of AF: RR varies by about a fifth of its mean around it, so that steps are about 1.1 times that.
REGULAR_SCALE = 0.03
STRAY_SHARE = 0.10
IRREGULAR_SCALE = 0.22
# One stray beat must not outvote a run of beats that say the opposite.
BEAT_WEIGHS_AT_MOST = 3.0
# A half second of sure evidence weighs about as much as a beat: premature beats after AF look like AF to the beats, and
# the network knows better. Neighbouring seconds come from the same windows: more than this would count them twice.
EVIDENCE_WEIGHT = 1.0
EVIDENCE_WEIGHS_AT_MOST = 2.0
# Paced AF is regular, and ectopy before AF is not: then the beats are no better judge than the coarse change. Twenty
# times likelier than without a change is what a reader would call seen.
CHANGE_WINS = 3.0

Peaks = npt.NDArray[np.int64]


def rr_steps(beats: Peaks) -> npt.NDArray[np.float64]:
    """(b,) how much the RR that ends at each beat differs from the one before, 0 … 2; NaN for the first two beats."""
    steps = np.full(len(beats), np.nan)
    rr = np.diff(beats).astype(np.float64)
    if len(rr) >= 2:
        steps[2:] = np.abs(np.diff(rr)) / ((rr[1:] + rr[:-1]) / 2)
    return steps


def irregularity(beats: Peaks) -> npt.NDArray[np.float64]:
    """(b,) log likelihood of each beat's step in AF less that in a regular rhythm, bounded; 0 for the first two.

    Both densities are of |x| of a centred normal distribution; that of the regular rhythm is mixed with strays that
    are spread as in AF.
    """
    steps = rr_steps(beats)
    irregular = _half_normal(steps, IRREGULAR_SCALE)
    regular = (1 - STRAY_SHARE) * _half_normal(steps, REGULAR_SCALE) + STRAY_SHARE * irregular
    ratio = np.clip(np.log(irregular) - np.log(regular), -BEAT_WEIGHS_AT_MOST, BEAT_WEIGHS_AT_MOST)
    return np.where(np.isnan(steps), 0.0, ratio)


def refine_change(
    beats: Peaks,
    coarse: int,
    *,
    into_irregular: bool,
    reach_s: float,
    evidence: Sequence[tuple[int, float]] = (),
) -> int:
    """The first beat of the new rhythm.

    Args:
        beats: (b,) int64 R peaks around the change, analysis sample indices, ascending.
        coarse: sample near which the rhythm changed.
        into_irregular: the new rhythm is the irregular one (an onset of AF), not the regular one (its offset).
        reach_s: seconds before and after ``coarse`` in which the change is looked for.
        evidence: (sample index, probability 0 … 1 of the irregular rhythm), ascending, about the same stretch.

    Returns:
        The sample index of a beat: the nearest to ``coarse`` where the beats show no change, and ``coarse`` itself
        where too few are known.
    """
    reach = round(reach_s * ANALYSIS_FS)
    near = np.flatnonzero(np.abs(beats - coarse) <= reach)
    if len(near) < BEATS_NEEDED:
        return coarse
    weights = irregularity(beats)
    if not into_irregular:
        # The step at a beat compares the interval that ends in it with the one before. The first beat of a regular
        # rhythm ends an interval that began in AF, and the next one's step still compares with that: both look
        # irregular though the rhythm is back. So the steps tell of the beat two before.
        weights = np.concatenate((weights[2:], np.zeros(min(2, len(weights)))))
    if len(evidence):
        at, probability = np.array(evidence, dtype=np.float64).T
        inside = np.clip(np.interp(beats, at, probability), 1e-3, 1 - 1e-3)
        logit = np.log(inside) - np.log1p(-inside)
        weights = weights + EVIDENCE_WEIGHT * np.clip(logit, -EVIDENCE_WEIGHS_AT_MOST, EVIDENCE_WEIGHS_AT_MOST)
    sign = 1 if into_irregular else -1
    # after[k]: what is won by giving beat k and all later ones to the new rhythm
    after = np.cumsum((sign * weights[near])[::-1])[::-1]
    best = int(np.argmax(after))
    # The change must be likelier than none, on either side, or the beats contradict what called for it.
    if min(after[best], after[best] - after[0]) < CHANGE_WINS:
        best = int(np.argmin(np.abs(beats[near] - coarse)))
    return int(beats[near[best]])


def change_point(levels: Sequence[tuple[int, float]], bar: float, *, rising: bool) -> int:
    """Index from which on levels lie above ``bar`` (``rising``) or below it, and before which they do not, at best.

    Args:
        levels: (index, level) in order of index, one at least.
        bar: the level that speaks for neither.
        rising: look for a rise, not a fall.

    Returns:
        One of the indices, or the one after the last where levels never change.
    """
    best, at, won = 0.0, levels[-1][0] + 1, 0.0
    for index, level in reversed(levels):
        won += level - bar if rising else bar - level
        if won > best:
            best, at = won, index
    return at


def _half_normal(x: npt.NDArray[np.float64], scale: float) -> npt.NDArray[np.float64]:
    density: npt.NDArray[np.float64] = math.sqrt(2 / math.pi) / scale * np.exp(-0.5 * (x / scale) ** 2) + 1e-12
    return density
