"""What the rules are told of a stretch of one bed's signal: its beats, its quality, and whether there was any."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from windowing.spans import BLOCK


class Mark(Protocol):
    """State of the twelve leads at a sample index; ``ecg.quality.QualityMark`` is one."""

    @property
    def at(self) -> int:
        """Analysis sample index at which the states hold: known once all samples before it have been seen."""

    @property
    def states(self) -> Sequence[str]:
        """Twelve of good, noisy, saturated, flat, off, missing, in the order of ``ecg.leads.LEADS``."""


@dataclass(frozen=True)
class Observation:
    """All that became known with the samples ``[first, end)`` of one bed.

    Attributes:
        first: analysis sample index of the first sample, a multiple of ``BLOCK``.
        end: analysis sample index after the last one, a multiple of ``BLOCK``.
        beat_samples: (b,) int64 R peaks that were decided in the stretch, ascending.
        beat_at: (b,) int64 index of the sample whose arrival decided each: ``first <= at <= end``, ascending, and
            ``at - sample`` at most 0.5 s.
        quality: the quality marks with ``first < at <= end``, ascending.
        covered: (blocks,) bool, one for each 0.1 s: some lead had a real sample in it.
        received: (blocks,) bool: the monitor sent the block, even if it measured nothing in it. None where that cannot
            be told: then what is not covered counts as not received.
        sent_at: Unix milliseconds at which the monitor sent the chunk that completed the stretch.
    """

    first: int
    end: int
    beat_samples: npt.NDArray[np.int64]
    beat_at: npt.NDArray[np.int64]
    quality: Sequence[Mark]
    covered: npt.NDArray[np.bool_]
    received: npt.NDArray[np.bool_] | None = None
    sent_at: float = 0.0

    def check(self) -> None:
        """Refuse what the rules could only misread.

        Raises:
            ValueError: says which field is wrong and quotes its value.
        """
        if self.first % BLOCK or self.end % BLOCK or self.end <= self.first:
            raise ValueError(f"first, end: expected rising multiples of {BLOCK}, got {self.first}, {self.end}")
        blocks = (self.end - self.first) // BLOCK
        if len(self.covered) != blocks:
            raise ValueError(f"covered: expected {blocks} blocks, got {len(self.covered)}")
        if self.received is not None and len(self.received) != blocks:
            raise ValueError(f"received: expected {blocks} blocks, got {len(self.received)}")
        if len(self.beat_samples) != len(self.beat_at):
            raise ValueError(f"beats: got {len(self.beat_samples)} samples but {len(self.beat_at)} decisions")
        if len(self.beat_at) and not self.first <= self.beat_at[0] <= self.beat_at[-1] <= self.end:
            raise ValueError(f"beat_at: expected {self.first} to {self.end}, got {self.beat_at.tolist()}")
        if self.quality and not self.first < self.quality[0].at <= self.quality[-1].at <= self.end:
            raise ValueError(
                f"quality: expected marks above {self.first} up to {self.end}, got {[mark.at for mark in self.quality]}"
            )
