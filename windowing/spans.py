"""What the assembler hands on: spans of new samples and windows, both at the analysis rate."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ANALYSIS_FS = 500  # Hz; everything behind the assembler runs at this rate
BLOCK = (
    50  # samples (0.1 s); spans begin and end on this grid, so that nothing downstream sees how the stream was chunked
)


@dataclass(frozen=True)
class Span:
    """New samples of one bed in order: ``[first, first + n)`` at 500 Hz, n a multiple of ``BLOCK``, never across a hop.

    Attributes:
        epoch: Unix milliseconds of sample 0.
        first: analysis sample index of the first column.
        microvolts: (12, n) float32 µV, zero where missing; a view into the ring, valid until the next push.
        mask: (12, n) bool, True where real (measured or derived from I and II).
        received: (n / ``BLOCK``,) bool, False for a block of which no sample came, not even as ``MISSING``.
        sent_at: Unix milliseconds at which the monitor sent the chunk that completed the span.
        window: the window that ends where this span ends, if one does.
    """

    epoch: int
    first: int
    microvolts: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    received: npt.NDArray[np.bool_]
    sent_at: float
    window: "Window | None" = None

    @property
    def end(self) -> int:
        """Analysis sample index after the last column."""
        return self.first + int(self.microvolts.shape[1])


@dataclass(frozen=True)
class Window:
    """10 s of all leads ending at ``end``.

    Attributes:
        epoch: Unix milliseconds of sample 0.
        end: analysis sample index after the last column.
        microvolts: (12, 5000) float32 µV, zero where missing; one contiguous view into the ring.
        mask: (12, 5000) bool, True where real.
    """

    epoch: int
    end: int
    microvolts: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EpochStart:
    """The samples that follow belong to a new epoch; whatever is remembered of the old one is void."""

    epoch: int


@dataclass(frozen=True)
class EpochEnd:
    """The epoch is over (a final chunk, or a later epoch began): its last sample index is ``end``."""

    epoch: int
    end: int
    sent_at: float
