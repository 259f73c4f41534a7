"""What makes one synthetic patient another than the next: drawn once from the seed, the same under every script."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_SPIKE_UV = (150.0, 2500.0)
_SPIKE_AXIS = np.array([0.55, 0.80, -0.25])  # from a can below the left clavicle to the right ventricle's apex


@dataclass(frozen=True)
class Traits:
    """One patient.

    Attributes:
        rate: resting sinus rate, per minute.
        respiration_hz: breaths per second; moves RR, amplitudes, axis and baseline alike.
        rsa: relative depth of respiratory sinus arrhythmia.
        low_frequency: relative depth of the 0.1 Hz part of heart rate variability.
        rotation: (3, 3) rotation of the heart in the chest.
        amplitude: factor of every wave.
        p_amplitude: factor of the P wave.
        t_amplitude: factor of the T wave.
        qrs_width: factor of the width of the QRS.
        pr_s: R peak minus peak of P at 60 /min, seconds.
        qtc_s: QT at 60 /min, seconds.
        left_ectopic: ventricular ectopy comes from the left ventricle (right bundle branch block pattern).
        coupling: coupling interval of a PVC as a share of RR.
        f_wave_hz: frequency of the fibrillatory waves.
        f_wave_uv: their amplitude in V1, µV.
        atrial_rate: rate of flutter waves, per minute.
        vf_hz: main frequency of ventricular fibrillation.
        spike_uv: (3,) µV dipole of a pacemaker's spike: tiny between two poles in the heart, large against the can.
    """

    rate: float
    respiration_hz: float
    rsa: float
    low_frequency: float
    rotation: npt.NDArray[np.float64]
    amplitude: float
    p_amplitude: float
    t_amplitude: float
    qrs_width: float
    pr_s: float
    qtc_s: float
    left_ectopic: bool
    coupling: float
    f_wave_hz: float
    f_wave_uv: float
    atrial_rate: float
    vf_hz: float
    spike_uv: npt.NDArray[np.float64]


def rotation(frontal: float, horizontal: float, sagittal: float) -> npt.NDArray[np.float64]:
    """(3, 3) rotation in the frontal (x left, y down), horizontal (x, z back) and sagittal (y, z) plane, radians."""
    planes = []
    for angle, (one, other) in ((frontal, (0, 1)), (horizontal, (0, 2)), (sagittal, (1, 2))):
        turn = np.eye(3)
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[other, one] = np.sin(angle)
        turn[one, other] = -np.sin(angle)
        planes.append(turn)
    return np.asarray(planes[0] @ planes[1] @ planes[2])


def draw_traits(rng: np.random.Generator) -> Traits:
    """A patient within what is common on a telemetry ward."""
    degrees = np.pi / 180
    return Traits(
        rate=rng.uniform(58, 88),
        respiration_hz=rng.uniform(0.20, 0.30),
        rsa=rng.uniform(0.015, 0.05),
        low_frequency=rng.uniform(0.01, 0.03),
        rotation=rotation(*(rng.uniform(-1, 1, 3) * np.array([25, 15, 12]) * degrees)),
        amplitude=rng.uniform(0.8, 1.25),
        p_amplitude=rng.uniform(0.8, 1.3),
        t_amplitude=rng.uniform(0.7, 1.3),
        qrs_width=rng.uniform(0.9, 1.12),
        pr_s=rng.uniform(0.14, 0.18),
        qtc_s=rng.uniform(0.38, 0.43),
        left_ectopic=bool(rng.random() < 0.5),
        coupling=rng.uniform(0.57, 0.70),
        f_wave_hz=rng.uniform(5.0, 7.5),
        f_wave_uv=rng.uniform(60, 140),
        atrial_rate=rng.uniform(280, 320),
        vf_hz=rng.uniform(4.2, 5.8),
        spike_uv=_spike(rng),  # drawn last: earlier patients stay who they were
    )


def _spike(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    size = np.exp(rng.uniform(*np.log(_SPIKE_UV)))
    return np.asarray(size * rotation(*rng.uniform(-0.4, 0.4, 3)) @ _SPIKE_AXIS)
