"""In words, what speaks for the rhythm that was found: measurements that a nurse can check on the strip.

The network weighs more than these. A word stands here only where its measurement lies beyond a limit that parts the
rhythms on the development recordings.
"""

import numpy as np
import numpy.typing as npt

from models.features import atrial, hrv
from models.inputs import NetworkInput

COSEN_AF = -1.4  # Lake & Moorman 2011, Am J Physiol Heart 300:H319: above it the pulse is that of AF
P_ABSENT = 0.2  # mean correlation of the segments before QRS; nine tenths of AF lie below, a twentieth of sinus rhythm
P_PRESENT = 0.5
F_HZ = (4.0, 9.0)  # rate of fibrillatory waves
F_BAND_LOG = 0.3  # log10 of the f band over its neighbours: two thirds of AF lie above, a fifth of sinus rhythm
FLUTTER_PROMINENCE = 0.8  # log10 of the peak between 3.3 and 6 Hz over its neighbours; a twentieth of AF lies above

UNUSUAL = "unlike any rhythm it knows well"  # a prediction set of one would otherwise read as certain

Floats = npt.NDArray[np.float32]
_ATRIAL = {name: at for at, name in enumerate(atrial.FEATURE_NAMES)}
_RR = {name: at for at, name in enumerate(hrv.FEATURE_NAMES)}


def reason(rhythm: str, inputs: NetworkInput, *, unusual: bool) -> str:
    """What speaks for ``rhythm``, comma separated; empty where none of the measurements does.

    Args:
        rhythm: one of ``models.classes.RHYTHMS``.
        inputs: of the window.
        unusual: no rhythm reached its threshold of the prediction set; that is said last.
    """
    found = {"af": _of_af, "flutter": _of_flutter, "sinus": _of_sinus}.get(rhythm, lambda _: [])(inputs)
    return ", ".join([*found, UNUSUAL] if unusual else found)


def _of_af(inputs: NetworkInput) -> list[str]:
    said = []
    if _cosen(inputs) > COSEN_AF:
        said.append("irregular RR")
    if _atrial(inputs, "p_alike_pooled") < P_ABSENT:
        said.append("no repeating P wave")
    hz = _atrial(inputs, "f_hz_best")
    if F_HZ[0] <= hz <= F_HZ[1] and _atrial(inputs, "f_band_log_best") > F_BAND_LOG:
        said.append(f"f waves {60 * hz:.0f} /min")
    return said


def _of_flutter(inputs: NetworkInput) -> list[str]:
    said = []
    if _atrial(inputs, "flutter_prominence_log_best") > FLUTTER_PROMINENCE:
        said.append(f"atrial waves {60 * _atrial(inputs, 'flutter_hz_best'):.0f} /min")
    if _cosen(inputs) < COSEN_AF:
        said.append("regular RR")
    return said


def _of_sinus(inputs: NetworkInput) -> list[str]:
    said = []
    if _atrial(inputs, "p_alike_pooled") > P_PRESENT:
        said.append("P wave before each QRS")
    if _cosen(inputs) < COSEN_AF:
        said.append("regular RR")
    return said


def _cosen(inputs: NetworkInput) -> float:
    """Of the shortest span in which it is defined, the nearest to the window; NaN where it is in none."""
    values = [float(inputs.rr[_RR[f"rr_cosen_{span}s"]]) for span in hrv.SPANS_S]
    return next((value for value in values if not np.isnan(value)), float("nan"))


def _atrial(inputs: NetworkInput, name: str) -> float:
    return float(inputs.atrial[_ATRIAL[name]])
