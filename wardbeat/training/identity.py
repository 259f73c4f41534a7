"""What cached windows were drawn by: windows of different making must not be trained on together."""

import hashlib
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from models.classes import FINDINGS, RHYTHMS
from models.features import atrial, hrv
from models.inputs import N_ATRIAL, N_RR, N_SHAPE, PPV_PER_LEAD, PULSE_NAMES, SAMPLES, SHAPE_NAMES

MINIROCKET = "minirocket.safetensors"  # not .npz: every .npz of the folder is a dataset
NOISE_BANK = "noise.safetensors"
_ROOT = Path(__file__).resolve().parents[2]
_TRAINING = ("augment", "drawing", "drowned", "labels", "noise", "patients", "records")
_CODE = (
    *("ecg/**/*.py", "windowing/*.py", "models/features/*.py", "models/inputs.py", "stream/offline.py"),
    *(f"wardbeat/training/{name}.py" for name in _TRAINING),
)


def drawn_by(folder: Path) -> dict[str, str]:
    """What a dataset that is drawn into ``folder`` now is drawn by.

    Returns:
        ``features``: their numbers, and a hash of all names; ``kernels`` and ``noise``: hashes of the folder's files,
        "none" where there is none; ``code``: a hash of what draws a window.
    """
    names = (hrv.FEATURE_NAMES, SHAPE_NAMES, atrial.FEATURE_NAMES, PULSE_NAMES, RHYTHMS, FINDINGS)
    return {
        "features": f"{N_RR} RR, {N_SHAPE} shape, {N_ATRIAL} atrial, {PPV_PER_LEAD} MiniRocket, {SAMPLES} samples, "
        f"names {_hash(msgspec.json.encode(names))}",
        "kernels": _of_file(folder / MINIROCKET),
        "noise": _of_file(folder / NOISE_BANK),
        "code": _code(),
    }


def stored(identity: dict[str, str]) -> npt.NDArray[np.str_]:
    """() array of an identity, as a dataset's file holds it."""
    return np.array(msgspec.json.encode(identity).decode())


def _of_file(path: Path) -> str:
    return _hash(path.read_bytes()) if path.is_file() else "none"


@cache
def _code() -> str:
    files = sorted(path for pattern in _CODE for path in _ROOT.glob(pattern))
    return _hash(b"\0".join(path.read_bytes() for path in files))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
