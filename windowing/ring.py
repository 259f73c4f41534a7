"""The mirrored ring: the latest samples of one bed, any stretch of which is one contiguous view."""

import numpy as np
import numpy.typing as npt

from ecg.leads import N_LEADS


class Ring:
    """The latest ``capacity`` samples of twelve leads at the analysis rate.

    Sample ``i`` stands in columns ``i % capacity`` and ``i % capacity + capacity``, so that every stretch of at most
    ``capacity`` samples is one slice and a window is never copied.

    Attributes:
        capacity: samples that are kept.
        microvolts: (12, 2 × capacity) float32 µV, zero where missing.
        mask: (12, 2 × capacity) bool, True where real.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.microvolts: npt.NDArray[np.float32] = np.zeros((N_LEADS, 2 * capacity), dtype=np.float32)
        self.mask: npt.NDArray[np.bool_] = np.zeros((N_LEADS, 2 * capacity), dtype=np.bool_)

    def view(self, first: int, end: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Views (12, end − first) of µV and mask; they show other samples once the ring has come round."""
        at = first % self.capacity
        columns = slice(at, at + end - first)
        return self.microvolts[:, columns], self.mask[:, columns]

    def write(self, first: int, microvolts: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> None:
        """Put back (12, n) samples that were taken from :meth:`view`, n at most ``capacity``."""
        columns = np.arange(first, first + microvolts.shape[1]) % self.capacity
        for at in (columns, columns + self.capacity):
            self.microvolts[:, at] = microvolts
            self.mask[:, at] = mask

    def blank(self, first: int, end: int) -> None:
        """Make ``[first, end)`` samples that were never measured."""
        n = end - first
        self.write(first, np.zeros((N_LEADS, n), dtype=np.float32), np.zeros((N_LEADS, n), dtype=np.bool_))
