"""Runs: the stretches of a script over which something stays the same."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg.synthetic.script import Script, Segment


@dataclass(frozen=True)
class Run:
    """``[first, end)`` in samples; ``segment`` is the first of the segments that it spans."""

    segment: Segment
    first: int
    end: int

    def level(self, index: npt.NDArray[np.float64], ramp: float) -> npt.NDArray[np.float64]:
        """(n,) 1 inside, 0 outside, rising and falling over ``ramp`` samples inside its ends."""
        rising, falling = (index - self.first) / ramp, (self.end - 1 - index) / ramp
        return np.asarray(np.clip(np.minimum(rising, falling), 0.0, 1.0))


def bounds(script: Script, fs: int) -> npt.NDArray[np.int64]:
    """(segments + 1,) int64 sample indices at which segments begin and the last one ends."""
    seconds = np.cumsum([0.0, *(segment.seconds for segment in script.segments)])
    return np.asarray(np.rint(seconds * fs), dtype=np.int64)


def runs(
    segments: Sequence[Segment], at: npt.NDArray[np.int64], of: Callable[[Segment], Hashable | None]
) -> tuple[Run, ...]:
    """Runs of neighbouring segments for which ``of`` gives the same; none where it gives None."""
    found: list[Run] = []
    previous: Hashable | None = None
    for segment, first, end in zip(segments, at[:-1].tolist(), at[1:].tolist(), strict=True):
        this = of(segment)
        if this is not None:
            if found and this == previous:
                found[-1] = Run(found[-1].segment, found[-1].first, end)
            else:
                found.append(Run(segment, first, end))
        previous = this
    return tuple(found)
