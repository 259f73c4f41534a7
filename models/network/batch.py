"""Inputs of many windows side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.inputs import Floats, NetworkInput


@dataclass(frozen=True)
class Batch:
    """b windows; what each array holds is told in :class:`models.inputs.NetworkInput`.

    Attributes:
        signal: (b, 12, 1000) int16.
        leads: (b, 12) bool.
        ppv: (b, 12, 504) float32.
        rr: (b, 111) float32.
        shape: (b, 13) float32.
        atrial: (b, 57) float32.
        pulse: (b, 100, 6) float32.
        context: (b, 5, 107) float32.
        context_age_s: (b, 5) float32.
    """

    signal: npt.NDArray[np.int16]
    leads: npt.NDArray[np.bool_]
    ppv: Floats
    rr: Floats
    shape: Floats
    atrial: Floats
    pulse: Floats
    context: Floats
    context_age_s: Floats

    def __len__(self) -> int:
        return len(self.leads)


def stack(inputs: Sequence[NetworkInput]) -> Batch:
    """One batch of the windows, in their order; ValueError for none."""
    if not inputs:
        raise ValueError("a batch needs one window at least, got 0")
    return Batch(
        signal=np.stack([i.signal for i in inputs]),
        leads=np.stack([i.leads for i in inputs]),
        ppv=np.stack([i.ppv for i in inputs]),
        rr=np.stack([i.rr for i in inputs]),
        shape=np.stack([i.shape for i in inputs]),
        atrial=np.stack([i.atrial for i in inputs]),
        pulse=np.stack([i.pulse for i in inputs]),
        context=np.stack([i.context for i in inputs]),
        context_age_s=np.stack([i.context_age_s for i in inputs]),
    )
