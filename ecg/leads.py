"""The twelve standard leads: their order, the spellings found in the wild, and the four that follow from I and II."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
N_LEADS = len(LEADS)
LEAD_INDEX = {name: index for index, name in enumerate(LEADS)}

# Monitors and databases spell leads freely. A modified limb lead sits closest to II, and a telemetry pack's single
# chest lead "V" and the bipolar "MCL1" are placed where V1 is.
_SPELLINGS = {name.upper(): name for name in LEADS} | {
    "ML2": "II",
    "MLII": "II",
    "MLI": "I",
    "MLIII": "III",
    "DI": "I",
    "DII": "II",
    "DIII": "III",
    "V": "V1",
    "MCL": "V1",
    "MCL1": "V1",
    "CM5": "V5",
    "MV1": "V1",
    "MV2": "V2",
    "MV5": "V5",
}


def standard_lead(name: str) -> str | None:
    """Standard name of a lead however it is spelled (``MLII`` → ``II``, ``avr`` → ``aVR``), or None if it is none."""
    text = name.strip().upper().replace(" ", "").replace("-", "").replace("_", "")
    return _SPELLINGS.get(text.removeprefix("LEAD").removeprefix("ECG") or text)


def lead_indices(names: Sequence[str]) -> npt.NDArray[np.intp]:
    """Rows of the twelve-lead array that ``names`` belong to: (len(names),).

    Raises:
        ValueError: a name is no standard lead, or one stands there twice.
    """
    rows = []
    for name in names:
        standard = standard_lead(name)
        if standard is None:
            raise ValueError(f"unknown lead {name!r}; expected one of {', '.join(LEADS)}")
        rows.append(LEAD_INDEX[standard])
    if len(set(rows)) != len(rows):
        raise ValueError(f"a lead stands twice in {list(names)!r}")
    return np.array(rows, dtype=np.intp)


def derive_limb_leads(samples: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> None:
    """Fill III, aVR, aVL and aVF in place wherever they are missing and both I and II are there.

    Einthoven: III = II − I. Goldberger: aVR = −(I + II)/2, aVL = I − II/2, aVF = II − I/2.

    Args:
        samples: (12, n) µV float32, zero where missing.
        mask: (12, n) True where the sample is real; derived samples are marked real.
    """
    one, two = samples[0], samples[1]
    both = mask[0] & mask[1]
    for row, derived in ((2, two - one), (3, (one + two) * -0.5), (4, one - two * 0.5), (5, two - one * 0.5)):
        fill = both & ~mask[row]
        samples[row, fill] = derived[fill]
        mask[row] |= fill
