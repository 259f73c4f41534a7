"""What goes on without beats: f waves, flutter, ventricular fibrillation. Closed forms of the sample index."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ecg.synthetic.script import Segment, flutter_rates
from ecg.synthetic.timeline import Run
from ecg.synthetic.traits import Traits

Floats = npt.NDArray[np.float64]

RAMP_S = 0.25  # a wave swells and fades over this time instead of stepping
_F_HARMONICS = 4
_FLUTTER_HARMONICS = np.array([1.0, 0.5, 0.28, 0.13])  # of a sawtooth, damped so that its edge takes about 40 ms
_FLUTTER_UV = 130.0
_VF_WAVES = 8  # sinusoids per axis: enough that no beating pattern is seen
_VF_BAND_HZ = (3.0, 8.0)
_VF_UV = 330.0  # coarse fibrillation: about 1 mV from peak to peak in the leads that see it best
# The first source is seen by V1 above all, the second by the lower leads.
_F_AXES = np.array([[-0.55, 0.10, -0.60], [0.10, 0.55, 0.10]])
_FLUTTER_AXIS = np.array([0.25, 0.80, -0.25])


class Wave(Protocol):
    """A dipole over time."""

    def dipole(self, index: Floats) -> Floats:
        """(3, n) µV at sample indices ``index`` (n,) of the script."""


@dataclass(frozen=True)
class Fibrillatory:
    """f waves of AF: two sources, each a sawtooth of wandering rate and size.

    Stridh, Sörnmo: Spatiotemporal QRST cancellation techniques for analysis of atrial fibrillation, IEEE Trans Biomed
    Eng 48 (2001): y = −Σ aᵢ(t) sin(iθ(t)), θ = 2πf₀t + (Δf/f_f) sin 2πf_f t, aᵢ = 2/(iπ) (a + Δa sin 2πf_a t).
    """

    fs: int
    frequency: Floats  # (2,) f₀, Hz
    deviation: Floats  # (2,) Δf, Hz
    deviation_rate: Floats  # (2,) f_f, Hz
    swell_rate: Floats  # (2,) f_a, Hz
    phase: Floats  # (2,)
    microvolts: float

    def dipole(self, index: Floats) -> Floats:
        t = 2 * np.pi / self.fs * index
        field = np.zeros((3, len(index)))
        for k in range(2):
            wobble = self.deviation[k] / self.deviation_rate[k] * np.sin(self.deviation_rate[k] * t)
            theta = self.frequency[k] * t + wobble + self.phase[k]
            swell = self.microvolts * (1 + 0.35 * np.sin(self.swell_rate[k] * t + 2 * self.phase[k]))
            wave = sum(2 / (i * np.pi) * np.sin(i * theta) for i in range(1, _F_HARMONICS + 1))
            field -= _F_AXES[k][:, None] * (swell * wave)
        return field


@dataclass(frozen=True)
class Flutter:
    """Typical flutter: a sawtooth, its slow limb falling in the lower leads; its steep limb passes 0 at the onset."""

    fs: int
    first: int
    atrial_hz: float
    axis: Floats  # (3,) µV

    def dipole(self, index: Floats) -> Floats:
        theta = 2 * np.pi * self.atrial_hz / self.fs * (index - self.first)
        wave = sum(size * np.sin((i + 1) * theta) for i, size in enumerate(_FLUTTER_HARMONICS))
        return np.asarray(self.axis[:, None] * wave)


@dataclass(frozen=True)
class Fibrillation:
    """Ventricular fibrillation: on each axis sinusoids of changing size and frequency, 3 to 8 Hz, without pattern."""

    fs: int
    frequency: Floats  # (3, k) Hz
    wobble: Floats  # (3, k) Hz, how fast the frequency wanders
    phase: Floats  # (3, k)
    microvolts: Floats  # (3, k)

    def dipole(self, index: Floats) -> Floats:
        t = 2 * np.pi / self.fs * index
        phase = self.phase[..., None]
        wander = np.sin(self.wobble[..., None] * t + 3 * phase)
        swell = 1 + 0.5 * np.sin(0.31 * self.wobble[..., None] * t + 5 * phase)
        wave = self.microvolts[..., None] * swell * np.sin(self.frequency[..., None] * t + 1.2 * wander + phase)
        return np.asarray(wave.sum(axis=1))


def wave_of(run: Run, traits: Traits, rng: np.random.Generator, fs: int) -> Wave:
    """The wave that goes on during ``run``, a run of AF, flutter or VF segments."""
    segment = run.segment
    if segment.fibrillates:
        return Fibrillatory(
            fs=fs,
            frequency=np.clip(traits.f_wave_hz * np.array([1.0, rng.uniform(0.9, 1.1)]), 4.0, 9.0),
            deviation=rng.uniform(0.15, 0.4, 2),
            deviation_rate=rng.uniform(0.1, 0.35, 2),
            swell_rate=rng.uniform(0.1, 0.5, 2),
            phase=rng.uniform(0, 2 * np.pi, 2),
            microvolts=traits.f_wave_uv,
        )
    if segment.rhythm == "flutter":
        atrial = flutter_rates(segment, traits.atrial_rate)[0]
        axis = traits.rotation @ _FLUTTER_AXIS * _FLUTTER_UV * traits.p_amplitude
        return Flutter(fs=fs, first=run.first, atrial_hz=atrial / 60, axis=axis)
    rate = segment.value("rate")
    main = traits.vf_hz if rate is None else rate / 60
    shape = (3, _VF_WAVES)
    return Fibrillation(
        fs=fs,
        frequency=np.clip(main * (1 + 0.22 * rng.standard_normal(shape)), *_VF_BAND_HZ),
        wobble=rng.uniform(0.15, 0.6, shape),
        phase=rng.uniform(0, 2 * np.pi, shape),
        microvolts=_VF_UV * traits.amplitude / np.sqrt(_VF_WAVES) * rng.uniform(0.6, 1.4, shape),
    )


def wave_key(segment: Segment) -> Hashable | None:
    """What has to stay the same for one wave to go on from segment to segment; None where a rhythm has no wave."""
    if segment.fibrillates:
        return "af"
    return (segment.rhythm, segment.values) if segment.rhythm in ("flutter", "vf") else None
