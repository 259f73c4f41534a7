"""Inputs of many windows side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from models.inputs import InputArrays, NetworkInput


@dataclass(frozen=True)
class Batch(InputArrays):
    """b windows: every array has b in front of the shape that it has for one."""

    def __len__(self) -> int:
        return len(self.leads)

    def __getitem__(self, windows: slice) -> "Batch":
        """Some of them, without a copy."""
        return Batch(**{each.name: getattr(self, each.name)[windows] for each in fields(self)})


def stack(inputs: Sequence[NetworkInput]) -> Batch:
    """One batch of the windows, in their order; ValueError for none."""
    if not inputs:
        raise ValueError("a batch needs one window at least, got 0")
    return Batch(**{each.name: np.stack([getattr(i, each.name) for i in inputs]) for each in fields(Batch)})
