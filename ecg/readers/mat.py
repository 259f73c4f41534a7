"""MATLAB files up to version 7, read by ``scipy.io``."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ecg.leads import N_LEADS
from ecg.readers.channels import Channel, RecordError, to_recording
from ecg.recording import Recording

_SIGNALS = ("val", "ecg", "signal", "signals", "data", "p_signal", "sig", "x")
_RATES = ("fs", "freq", "sfreq", "srate", "sampling_rate", "samplingrate", "sample_rate", "sampling_frequency")
_NAMES = ("leads", "lead_names", "sig_name", "labels", "channels", "names")
_UNITS = ("units", "unit")


def read(path: Path, fs: float | None) -> Recording:
    """Read a matrix of leads (``val``, ``ecg``, ``data``, …), alone or in a struct, with ``fs`` beside it or given.

    Names (``leads``) and ``units`` are taken if they stand beside it. The longer side of the matrix is time. Twelve or
    eight rows without names are in the standard order.

    Raises:
        RecordError: no such matrix, no sampling rate, or the file is damaged or of version 7.3 (HDF5).
    """
    from scipy.io import loadmat

    try:
        variables = loadmat(str(path), simplify_cells=True)
    except NotImplementedError as error:
        raise RecordError(f"{path}: is MATLAB 7.3 (HDF5); save it with -v7") from error
    except Exception as error:
        raise RecordError(f"{path}: {error or type(error).__name__}") from error
    tables = list(_structs(variables))
    matrix, table = next(
        ((found, table) for table in tables if (found := _find(table, _SIGNALS)) is not None and _is_matrix(found)),
        (None, variables),
    )
    if matrix is None:
        got = ", ".join(name for name in variables if not name.startswith("__")) or "nothing"
        raise RecordError(f"{path}: expected a matrix named one of {', '.join(_SIGNALS)}, got {got}")
    rows = np.atleast_2d(np.asarray(matrix, dtype=np.float64))
    if rows.shape[0] > rows.shape[1]:
        rows = rows.T
    beside = [table, variables]
    rate = next((found for t in beside if (found := _find(t, _RATES)) is not None), fs)
    if rate is None:
        raise RecordError(f"{path}: says no sampling rate; give fs")
    units = _texts(next((found for t in beside if (found := _find(t, _UNITS)) is not None), []))
    names = _texts(next((found for t in beside if (found := _find(t, _NAMES)) is not None), []))
    if len(names) != len(rows):
        if names or len(rows) > N_LEADS:
            raise RecordError(f"{path}: expected a name for each of {len(rows)} rows, got {names!r}")
        names = [f"ch{row + 1}" for row in range(len(rows))]
    if len(units) != len(rows):
        units = [units[0] if len(units) == 1 else ""] * len(rows)
    channels = [Channel(name, unit, row) for name, unit, row in zip(names, units, rows, strict=True)]
    try:
        frequency = float(rate)
    except (TypeError, ValueError) as error:
        raise RecordError(f"{path}: expected a sampling rate, got {rate!r}") from error
    return to_recording(path, frequency, channels)


def _structs(table: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The table itself and the structs in it, outermost first."""
    yield table
    for value in table.values():
        if isinstance(value, Mapping):
            yield from _structs(value)


def _find(table: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    lower = {key.lower(): value for key, value in table.items()}
    return next((lower[name] for name in names if name in lower and not isinstance(lower[name], Mapping)), None)


def _is_matrix(value: Any) -> bool:
    array = np.asarray(value)
    return array.dtype.kind in "iuf" and array.ndim in (1, 2) and array.size > 1


def _texts(value: Any) -> list[str]:
    return [str(text).strip() for text in np.atleast_1d(np.asarray(value, dtype=object)).ravel()]
