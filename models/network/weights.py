"""The shipped model: one file of tensors, read as it was written or not at all.

``weights/model.safetensors`` holds four groups of tensors (``network.``, ``minirocket.``, ``calibration.``,
``conformal.``) and, as JSON under ``wardbeat`` in its header, what the code has to agree with. ``weights/model.sha256``
beside it holds its hash in the format of sha256sum. Findings and alarms carry the beginning of that hash.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ecg.leads import N_LEADS
from models.classes import OUTPUTS
from models.features import atrial, hrv
from models.features.minirocket_parameters import MiniRocketParameters
from models.inputs import PPV_PER_LEAD, PULSE_NAMES, SHAPE_NAMES
from models.network.config import NetworkConfig
from models.network.shapes import tensor_shapes
from models.uncertainty.calibration import Calibration
from models.uncertainty.conformal import Conformal

VERSION = 2  # of the file; another means that tensors or their meaning have changed
FILE = "model.safetensors"
FOLDER = "WARDBEAT_WEIGHTS"  # environment: a folder in place of the shipped one
MOST_BYTES = 10_000_000  # the network is small by intent: more is a mistake
SHOWN = 16  # hex digits of the hash in the model's name
HEADER = "wardbeat"
GROUPS = ("network", "minirocket", "calibration", "conformal")

Arrays = Mapping[str, npt.NDArray[np.generic]]


class WeightsError(Exception):
    """The file of weights is missing, altered or not for this code."""


@dataclass(frozen=True)
class Model:
    """All that training fixes.

    Attributes:
        network: name → float32 tensor, names and shapes of ``models.network.shapes.tensor_shapes(config)``.
        config: what shapes the network.
        minirocket: kernels and biases.
        calibration: of the probabilities.
        conformal: of the prediction sets.
        training: how it came about; plain JSON values.
        sha256: of the file, 64 hex digits.
    """

    network: Mapping[str, npt.NDArray[np.float32]]
    config: NetworkConfig
    minirocket: MiniRocketParameters
    calibration: Calibration
    conformal: Conformal
    training: Mapping[str, Any]
    sha256: str

    @property
    def name(self) -> str:
        """What findings carry: ``rhythm-2-`` and the first 16 digits of the hash."""
        return f"rhythm-{VERSION}-{self.sha256[:SHOWN]}"


def default_path() -> Path:
    """In the folder that ``WARDBEAT_WEIGHTS`` names, else in ``weights/`` beside this package."""
    folder = os.environ.get(FOLDER)
    return (Path(folder) if folder else Path(__file__).resolve().parents[2] / "weights") / FILE


def load_model(path: Path | None = None) -> Model:
    """Read the model and check all of it.

    Args:
        path: of the ``.safetensors`` file; :func:`default_path` without.

    Raises:
        WeightsError: a file is missing, a byte differs from the hash, or the content does not fit this code.
    """
    path = default_path() if path is None else path
    data = _read(path)
    digest = hashlib.sha256(data).hexdigest()
    expected = _expected_hash(path)
    if digest != expected:
        raise WeightsError(f"{path}: expected sha256 {expected}, as {_hash_path(path).name} says, got {digest}")
    try:
        arrays = load(data)
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a safetensors file: {error}") from error
    header = _header(path, data)
    groups = _groups(path, arrays)
    try:
        config = _config(header)
        _check_network(path, config, groups["network"])
        model = Model(
            network={name: np.asarray(array, np.float32) for name, array in groups["network"].items()},
            config=config,
            minirocket=MiniRocketParameters.from_arrays(groups["minirocket"]),
            calibration=Calibration.from_arrays(groups["calibration"]),
            conformal=Conformal.from_arrays(groups["conformal"]),
            training=header["training"],
            sha256=digest,
        )
    except ValueError as error:
        raise WeightsError(f"{path}: {error}") from error
    _check_minirocket(path, model.minirocket)
    return model


def save_model(
    path: Path,
    network: Arrays,
    config: NetworkConfig,
    minirocket: MiniRocketParameters,
    calibration: Calibration,
    conformal: Conformal,
    training: Mapping[str, Any],
) -> Model:
    """Write the file and its hash, and read them back.

    The same content always makes the same bytes, so the hash names what was trained, not when it was written.

    Args:
        path: of the ``.safetensors`` file; its folder must exist.
        network: name → float32 tensor, without the ``network.`` in front.
        config: of the network.
        minirocket: kernels and biases.
        calibration: of the probabilities.
        conformal: of the prediction sets.
        training: plain JSON values: what was trained on what, how long, with which seed.

    Raises:
        WeightsError: tensors do not fit the configuration, are not finite, or the file would exceed 10 MB; or the
            training names a place on this machine.
    """
    parts: tuple[Arrays, ...] = (network, minirocket.arrays(), calibration.arrays(), conformal.arrays())
    named = {f"{group}.{name}": part[name] for group, part in zip(GROUPS, parts, strict=True) for name in sorted(part)}
    _check_finite(path, named)
    _check_network(path, config, network)
    _check_minirocket(path, minirocket)
    _refuse_places(path, training)
    header = {"version": VERSION, "agreed": _agreed(), "config": config.as_dict(), "training": dict(training)}
    # One entry: safetensors would write several in an order of its own, and the hash with them.
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    data = save({name: np.ascontiguousarray(array) for name, array in named.items()}, {HEADER: text})
    if len(data) > MOST_BYTES:
        raise WeightsError(f"{path}: expected at most {MOST_BYTES} bytes, got {len(data)}")
    _replace(path, data)
    _replace(_hash_path(path), f"{hashlib.sha256(data).hexdigest()}  {path.name}\n".encode())
    return load_model(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error


def _hash_path(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _expected_hash(path: Path) -> str:
    line = _read(_hash_path(path)).decode(errors="replace")
    digest, _, name = line.rstrip("\n").partition("  ")
    if len(digest) != 64 or set(digest) - set("0123456789abcdef") or name != path.name:
        raise WeightsError(f"{_hash_path(path)}: expected '<64 hex digits>  {path.name}', got {line[:100]!r}")
    return digest


def _header(path: Path, data: bytes) -> dict[str, Any]:
    """What was written beside the tensors, if this code may read it."""
    size = int.from_bytes(data[:8], "little")  # safetensors: length of the JSON header, then the header
    text = json.loads(data[8 : 8 + size]).get("__metadata__", {}).get(HEADER)
    if text is None:
        raise WeightsError(f"{path}: expected {HEADER!r} in the header, got none: these are not weights of Wardbeat")
    header: dict[str, Any] = json.loads(text)
    if header.get("version") != VERSION:
        raise WeightsError(f"{path}: expected version {VERSION}, got {header.get('version')!r}")
    if set(header) != {"version", "agreed", "config", "training"}:
        raise WeightsError(f"{path}: expected version, agreed, config and training in the header, got {sorted(header)}")
    for name, expected in _agreed().items():
        got = header["agreed"].get(name)
        if got != expected:
            raise WeightsError(f"{path}: trained with other {name} than this code has: {_difference(expected, got)}")
    return header


def _agreed() -> dict[str, list[str]]:
    """Names whose order gives the tensors their meaning."""
    return {
        "outputs": list(OUTPUTS),
        "rr": list(hrv.FEATURE_NAMES),
        "shape": list(SHAPE_NAMES),
        "atrial": list(atrial.FEATURE_NAMES),
        "pulse": list(PULSE_NAMES),
    }


def _difference(expected: list[str], got: list[str] | None) -> str:
    if got is None or len(got) != len(expected):
        return f"expected {len(expected)} names, got {0 if got is None else len(got)}"
    at = next(i for i, (mine, theirs) in enumerate(zip(expected, got, strict=True)) if mine != theirs)
    return f"expected {expected[at]!r} at {at}, got {got[at]!r}"


def _config(header: Mapping[str, Any]) -> NetworkConfig:
    names, given = {each.name for each in fields(NetworkConfig)}, header["config"]
    if set(given) != names:
        raise ValueError(f"config: expected {sorted(names)}, got {sorted(given)}")
    return NetworkConfig(**given)


def _groups(path: Path, arrays: Arrays) -> dict[str, dict[str, npt.NDArray[np.generic]]]:
    groups: dict[str, dict[str, npt.NDArray[np.generic]]] = {group: {} for group in GROUPS}
    for name, array in arrays.items():
        group, _, rest = name.partition(".")
        if group not in groups:
            raise WeightsError(f"{path}: unknown tensor {name!r}")
        groups[group][rest] = array.copy()  # writeable, as the kernels' compiled forms expect
    _check_finite(path, arrays)
    return groups


def _check_finite(path: Path, arrays: Arrays) -> None:
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise WeightsError(f"{path}: {int((~np.isfinite(array)).sum())} of {array.size} in {name!r} are not finite")


def _check_minirocket(path: Path, minirocket: MiniRocketParameters) -> None:
    if minirocket.features != N_LEADS * PPV_PER_LEAD:
        expected = f"{N_LEADS} leads of {PPV_PER_LEAD} MiniRocket features"
        raise WeightsError(f"{path}: expected {expected}, got {minirocket.features} in all")


def _check_network(path: Path, config: NetworkConfig, network: Arrays) -> None:
    expected = tensor_shapes(config)
    missing, unknown = sorted(expected.keys() - network.keys()), sorted(network.keys() - expected.keys())
    if missing or unknown:
        raise WeightsError(f"{path}: the network lacks {missing} and has unknown {unknown}")
    for name, shape in expected.items():
        if network[name].shape != shape or network[name].dtype != np.float32:
            got = f"{network[name].shape} {network[name].dtype}"
            raise WeightsError(f"{path}: expected network.{name} {shape} float32, got {got}")


def _refuse_places(path: Path, values: Mapping[str, Any]) -> None:
    """The same training on another machine must get the same hash."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            _refuse_places(path, value)
        elif isinstance(value, str) and Path(value).is_absolute():
            raise WeightsError(f"{path}: training must not name places on this machine, got {name} {value!r}")


def _replace(path: Path, data: bytes) -> None:
    """Write beside and rename: a reader sees the old file or the new one."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)
