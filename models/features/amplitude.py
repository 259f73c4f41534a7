"""Slow memory of each lead's amplitude: signals of any gain come to one scale, and a single window does not set it."""

import numpy as np
import numpy.typing as npt

from ecg.leads import N_LEADS

QUANTILE = 0.98  # of the absolute signal: inside QRS, which takes about a tenth of the time, and above most T waves
MEMORY_S = 60.0  # the median of a minute: what lasts less than half of it does not count, at its beginning neither
LEAST_UV = 20.0  # a dead lead's noise is not blown up to the size of an ECG
STEPS_PER_OCTAVE = 8
STAY = 1.5  # steps, before the gain moves: a gain that hovers would have every window computed anew

Floats = npt.NDArray[np.float32]


class Amplitude:
    """Gain of each of twelve leads, in eighths of an octave.

    Attributes:
        levels: (12, n) float32 log2 of the amplitude in eighths, of the last minute's windows, newest last; NaN where
            the lead was not known.
        step: (12,) float64 the step that the gain stands at; NaN for a lead that was never known.
    """

    def __init__(self, hop_s: float) -> None:
        """Know no lead; windows come every ``hop_s`` seconds."""
        self.levels = np.full((N_LEADS, max(1, round(MEMORY_S / hop_s))), np.nan, np.float32)
        self.step = np.full(N_LEADS, np.nan)

    def update(self, microvolts: Floats, real: npt.NDArray[np.bool_], leads: npt.NDArray[np.bool_]) -> bool:
        """Take the next window; True where a gain changed.

        Args:
            microvolts: (12, n) filtered µV.
            real: (12, n) bool, True where measured.
            leads: (12,) bool, the leads to be looked at.
        """
        self.levels[:, :-1] = self.levels[:, 1:]
        self.levels[:, -1] = np.nan
        for lead in np.flatnonzero(leads):
            values = np.abs(microvolts[lead, real[lead]])
            rank = int(QUANTILE * (len(values) - 1))
            amplitude = max(float(np.partition(values, rank)[rank]), LEAST_UV)
            self.levels[lead, -1] = STEPS_PER_OCTAVE * np.log2(amplitude)
        ordered = np.sort(self.levels[leads], axis=1)  # NaN comes last
        middle = (np.isfinite(ordered).sum(axis=1) - 1) // 2  # of an even number the lower: bursts are large
        memory = np.full(N_LEADS, np.nan)
        memory[leads] = ordered[np.arange(len(ordered)), middle]
        moved = leads & ~(np.abs(memory - self.step) <= STAY)
        self.step[moved] = np.round(memory[moved])
        return bool(moved.any())

    def per_microvolt(self, scale: float) -> Floats:
        """(12,) factor that brings each lead's amplitude near ``scale``; zero for leads never known."""
        factor = scale * np.exp2(-self.step / STEPS_PER_OCTAVE)
        return np.nan_to_num(factor, nan=0.0).astype(np.float32)

    def snapshot(self) -> tuple[bytes, bytes]:
        """The levels and the steps."""
        return self.levels.tobytes(), self.step.tobytes()

    def restore(self, levels: bytes, step: bytes) -> None:
        """Go on where ``snapshot`` was taken.

        Raises:
            ValueError: they are of another hop or version.
        """
        values = np.frombuffer(levels, np.float32)
        if values.size != self.levels.size:
            raise ValueError(
                f"expected {self.levels.size} levels of amplitude, got {values.size}: of another hop or version"
            )
        self.levels = values.reshape(self.levels.shape).copy()
        self.step = np.frombuffer(step, np.float64).copy()
