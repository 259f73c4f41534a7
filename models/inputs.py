"""What the network is given of one window: signal, morphology, rhythm and context.

Everything is what the ward knows at the window's end, of any subset of the twelve leads, down to none: then rhythm
alone speaks. What is undefined is NaN; what is missing is zero and its lead False.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg.leads import N_LEADS
from models.features import atrial, conduction, hrv, hrv_kernels, qrs_shapes

RATE = 100  # Hz of the network's signal: P and f waves lie below 25 Hz
SECONDS = 10
SAMPLES = RATE * SECONDS
TOKENS_PER_S = 10
TOKENS = TOKENS_PER_S * SECONDS
PPV_PER_LEAD = 504  # MiniRocket features: for each lead six of each of the 84 kernels, at dilations of 1, 2, 4, 7, 12

SHAPE_NAMES = (*qrs_shapes.FEATURE_NAMES, *conduction.FEATURE_NAMES)  # both are of the commonest shape
N_RR, N_SHAPE, N_ATRIAL = hrv.N_FEATURES, len(SHAPE_NAMES), atrial.N_FEATURES
N_RR_SPAN = hrv_kernels.N_NAMES  # of one span of 10, 30 or 60 s
PULSE_NAMES = ("rr_s", "rr_log_step", "rr_log_to_median", "beat", "dominant_shape", "known")
N_PULSE = len(PULSE_NAMES)
N_CONTEXT = N_RR_SPAN + N_SHAPE + N_ATRIAL  # what is remembered of a past window
CONTEXT_WINDOWS = 5

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class InputArrays:
    """What is given of a window, or of b side by side, b first; leads in the order of ``ecg.leads.LEADS``.

    Attributes:
        signal: (12, 1000) int16, 100 Hz, in steps of which 50 are about the lead's own slow amplitude; zero where not
            measured.
        leads: (12,) bool, the lead is known for at least half of the window.
        ppv: (12, 504) float32 MiniRocket's proportions of positive values, 0 … 1; zero where the lead is not known.
        rr: (114,) float32 ``models.features.hrv.FEATURE_NAMES``; NaN where undefined.
        shape: (20,) float32 ``SHAPE_NAMES``; NaN where undefined.
        atrial: (57,) float32 ``models.features.atrial.FEATURE_NAMES``; NaN where undefined.
        pulse: (100, 6) float32 ``PULSE_NAMES`` at the middle of each tenth of a second; zero where unknown.
        context: (5, 115) float32 RR features of 10 s, shape and atrial features of past windows, newest first; NaN
            where undefined.
        context_age_s: (5,) float32 seconds from the past window's end to this one's; NaN where there is none.
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


@dataclass(frozen=True)
class NetworkInput(InputArrays):
    """One window."""


def no_signal(rr: Floats, pulse: Floats, context: Floats, context_age_s: Floats) -> NetworkInput:
    """The input where beats alone are known."""
    return NetworkInput(
        signal=np.zeros((N_LEADS, SAMPLES), np.int16),
        leads=np.zeros(N_LEADS, np.bool_),
        ppv=np.zeros((N_LEADS, PPV_PER_LEAD), np.float32),
        rr=rr,
        shape=np.full(N_SHAPE, np.nan, np.float32),
        atrial=np.full(N_ATRIAL, np.nan, np.float32),
        pulse=pulse,
        context=context,
        context_age_s=context_age_s,
    )
