"""What electrodes pick up besides the heart: sensor noise, muscle, mains and baseline wander, each at its electrode.

Noise arises at nine electrodes and reaches the leads as differences, so that the leads stay consistent (Einthoven).
Random numbers come from Philox, a counter-based generator (Salmon et al., SC 2011), keyed by seed and counted by block:
any block can be drawn again at any time.
"""

import numpy as np
import numpy.typing as npt

from ecg.synthetic.traits import Traits

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

# I, II, V1 … V6 from the electrodes RA, LA, LL, V1 … V6; the chest leads against Wilson's terminal.
ELECTRODES = np.zeros((8, 9))
ELECTRODES[0, :3] = (-1, 1, 0)
ELECTRODES[1, :3] = (-1, 0, 1)
ELECTRODES[2:, :3] = -1 / 3
ELECTRODES[2:, 3:] = np.eye(6)

SENSOR_UV = 2.0  # rms in a limb lead: white noise of a good amplifier
RESTING_MUSCLE_UV = 4.0  # rms in a limb lead of somebody who lies still
RESTING_WANDER_UV = 30.0
_MUSCLE_BAND_HZ = (20.0, 150.0)
_MUSCLE_TAP_S = 0.03
_WANDER_HZ = (0.06, 0.13, 0.37)  # besides respiration; AAMI EC11 puts wander below 0.8 Hz
_THIRD_HARMONIC = 0.08  # of mains


class Noise:
    """The noise of one patient, computed a block of one second at a time."""

    def __init__(self, key: npt.NDArray[np.uint64], traits: Traits, rng: np.random.Generator, fs: int) -> None:
        self._key = key
        self._fs = fs
        self._kernel = _muscle_kernel(fs)
        self._wander_hz = np.array([traits.respiration_hz, *_WANDER_HZ])
        self._wander = _unit_in_worst_lead(rng.standard_normal((9, 2 * len(self._wander_hz))))
        self._mains = _unit_in_worst_lead(rng.standard_normal((9, 2)))
        self._swell = rng.uniform(0, 2 * np.pi, 2)

    def electrodes(
        self, block: int, *, muscle_uv: Floats, wander_uv: Floats, mains: tuple[tuple[float, Floats], ...]
    ) -> Singles:
        """(9, fs) float32 µV of block ``block``: the samples ``[block · fs, (block + 1) · fs)``.

        Args:
            block: number of the second.
            muscle_uv: (fs,) rms in a limb lead.
            wander_uv: (fs,) amplitude in the lead that has most of it.
            mains: frequency in Hz and (fs,) amplitude in the lead that has most of it.
        """
        n = self._fs
        t = 2 * np.pi / n * (block * n + np.arange(n))
        random = np.random.Generator(np.random.Philox(key=self._key, counter=[0, 0, 0, block]))
        white = random.standard_normal((9, n + len(self._kernel) - 1), dtype=np.float32)
        muscle = np.zeros((9, n), dtype=np.float32)
        for i, tap in enumerate(self._kernel):
            muscle += tap * white[:, i : i + n]
        bursts = 1 + 0.5 * np.sin(0.21 * t + self._swell[0]) * np.sin(0.57 * t + self._swell[1])
        # a limb lead is the difference of two electrodes: √2 of their noise
        muscle *= (muscle_uv * bursts * np.sqrt(0.5)).astype(np.float32)
        muscle += np.float32(SENSOR_UV * np.sqrt(0.5)) * white[::-1, :n]
        phases = self._wander_hz[:, None] * t
        slow = np.concatenate([np.sin(phases), np.cos(phases)]) * wander_uv  # (2k, fs)
        for frequency, microvolts in mains:
            hum = frequency * t
            waves = np.stack([np.sin(hum) + _THIRD_HARMONIC * np.sin(3 * hum), np.cos(hum)])
            muscle += (self._mains @ (waves * microvolts)).astype(np.float32)
        return np.asarray(muscle + (self._wander @ slow).astype(np.float32))


def _unit_in_worst_lead(gains: Floats) -> Floats:
    """(9, 2k) gains of sines and cosines, scaled so that the lead that has most gets an amplitude of 1."""
    return np.asarray(gains / np.linalg.norm(ELECTRODES @ gains, axis=1).max())


def _muscle_kernel(fs: int) -> Singles:
    """Windowed-sinc band-pass over the band of surface electromyograms; unit rms out for unit rms in."""
    half = round(_MUSCLE_TAP_S * fs / 2)
    t = np.arange(-half, half + 1) / fs
    low, high = _MUSCLE_BAND_HZ[0], min(_MUSCLE_BAND_HZ[1], 0.45 * fs)
    kernel = (2 * high * np.sinc(2 * high * t) - 2 * low * np.sinc(2 * low * t)) * np.hamming(len(t))
    return np.asarray(kernel / np.linalg.norm(kernel), dtype=np.float32)
