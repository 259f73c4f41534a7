"""The judgement of one window by what beats and signal alone can tell; ``models.rhythm_network`` has the network's."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ecg.leads import LEADS
from ecg.quality import LeadState, QualityMark, usable
from ecg.rate import heart_rate_bpm
from models.finding import Finding
from windowing.spans import Window

USABLE_SHARE = 0.5  # a window that could be judged for less than half of its time yields an INOP finding, not a guess


def judge(
    bed: str, window: Window, beats: npt.NDArray[np.int64], marks: Sequence[QualityMark], sent_at: float
) -> Finding:
    """The finding of one window.

    Args:
        bed: the bed.
        window: what is judged.
        beats: (b,) R peaks known by now, analysis sample indices, ascending; older ones count for the rate.
        marks: quality marks known by now, ascending.
        sent_at: Unix milliseconds at which the monitor sent the samples that completed the window.
    """
    first = window.end - window.microvolts.shape[1]
    inside = [mark.states for mark in marks if first < mark.at <= window.end]
    judged = sum(usable(states) for states in inside) >= USABLE_SHARE * max(1, len(inside))
    return Finding(
        bed=bed,
        epoch=window.epoch,
        end=window.end,
        usable=judged,
        hr_bpm=heart_rate_bpm(beats, window.end) if judged else None,
        beats=tuple(beats[(beats >= first) & (beats < window.end)].tolist()),
        quality=quality_by_lead([_commonest(states) for states in zip(*inside, strict=True)]) if inside else {},
        sent_at=sent_at,
    )


def quality_by_lead(states: Sequence[LeadState]) -> dict[str, str]:
    """Twelve states in standard order as lead → state, without the leads that are not part of the stream."""
    return {lead: str(state) for lead, state in zip(LEADS, states, strict=True) if state is not LeadState.MISSING}


def _commonest(states: tuple[LeadState, ...]) -> LeadState:
    return max(LeadState, key=states.count)
