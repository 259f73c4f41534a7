"""What training fixes besides the network: frozen dataclasses of arrays, stored under the names of their fields."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class StoredArrays:
    """Base of such a class; every field is an array."""

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Name → array, to be stored beside the weights."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Self:
        """What :meth:`arrays` gave.

        Raises:
            ValueError: an array is missing, unknown or of another shape.
        """
        names = {each.name for each in fields(cls)}
        if set(arrays) != names:
            raise ValueError(f"arrays: expected {sorted(names)}, got {sorted(arrays)}")
        return cls(**{name: np.ascontiguousarray(array) for name, array in arrays.items()})
