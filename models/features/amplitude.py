"""Slow memory of each lead's amplitude: signals of any gain come to one scale, and a single window does not set it."""

import numpy as np
import numpy.typing as npt

from ecg.leads import N_LEADS

QUANTILE = 0.98  # of the absolute signal: inside QRS, which takes about a tenth of the time, and above most T waves
MEMORY_S = 60.0  # a burst of noise of some seconds hardly moves it
LEAST_UV = 20.0  # a dead lead's noise is not blown up to the size of an ECG
STEPS_PER_OCTAVE = 2
STAY = 0.75  # of a step, before the gain moves: a gain that hovers would have every window computed anew

Floats = npt.NDArray[np.float32]


class Amplitude:
    """Gain of each of twelve leads, in steps of √2.

    Attributes:
        memory: (12,) float64 log2 of the amplitude in half octaves; NaN for a lead that was never known.
        step: (12,) float64 the step that the gain stands at; NaN likewise.
    """

    def __init__(self) -> None:
        """Know no lead."""
        self.memory = np.full(N_LEADS, np.nan)
        self.step = np.full(N_LEADS, np.nan)

    def update(
        self, microvolts: Floats, real: npt.NDArray[np.bool_], leads: npt.NDArray[np.bool_], hop_s: float
    ) -> bool:
        """Take the window that is ``hop_s`` later than the last one; True where a gain changed.

        Args:
            microvolts: (12, n) filtered µV.
            real: (12, n) bool, True where measured.
            leads: (12,) bool, the leads to be looked at.
            hop_s: seconds since the last window.
        """
        for lead in np.flatnonzero(leads):
            values = np.abs(microvolts[lead, real[lead]])
            rank = int(QUANTILE * (len(values) - 1))
            amplitude = max(float(np.partition(values, rank)[rank]), LEAST_UV)
            now = STEPS_PER_OCTAVE * np.log2(amplitude)
            if np.isnan(self.memory[lead]):
                self.memory[lead] = now
            else:
                self.memory[lead] += (now - self.memory[lead]) * min(1.0, hop_s / MEMORY_S)
        moved = leads & ~(np.abs(self.memory - self.step) <= STAY)
        self.step[moved] = np.round(self.memory[moved])
        return bool(moved.any())

    def per_microvolt(self, scale: float) -> Floats:
        """(12,) factor that brings each lead's amplitude near ``scale``; zero for leads never known."""
        factor = scale * np.exp2(-self.step / STEPS_PER_OCTAVE)
        return np.nan_to_num(factor, nan=0.0).astype(np.float32)
