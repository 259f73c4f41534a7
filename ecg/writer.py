"""Recordings out as WFDB records: 16-bit samples, and beats, rhythms and lead-off intervals as annotations."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg.readers.wfdb_records import LEAD_OFF, LEAD_ON, NO_RHYTHM, wfdb_library
from ecg.recording import Recording

_MISSING = -32768  # WFDB's invalid sample of format 16
_TOP = 32767
_NAME = re.compile(r"[A-Za-z0-9_-]+")  # what WFDB allows in a record's name


def write_record(
    recording: Recording,
    path: str | Path,
    *,
    lead_offs: Iterable[tuple[str, int, int]] = (),
    uv_per_bit: float = 1.0,
) -> Path:
    """Write ``path``.hea, ``path``.dat and, where anything is annotated, ``path``.atr.

    Args:
        recording: what to write. NaN becomes WFDB's invalid sample; a rhythm's name gets WFDB's opening bracket if it
            has none.
        path: record to write, without extension (``.hea`` is taken off); its folder must exist.
        lead_offs: intervals ``(lead, first, end)`` in samples, written as notes at "~" (signal quality).
        uv_per_bit: step of the samples in µV. A lead that would not fit into 16 bits is written coarser by the power of
            two that makes it fit, never clipped.

    Returns:
        The header's path.

    Raises:
        ValueError: WFDB does not allow the name, or a beat, rhythm or lead-off interval lies outside the recording.
    """
    path = Path(path)
    name = path.stem if path.suffix == ".hea" else path.name
    if not _NAME.fullmatch(name):
        raise ValueError(f"record name: expected letters, digits, '-' and '_', got {name!r}")
    gains, counts = [], np.empty(recording.microvolts.T.shape, dtype=np.int64)
    for row, microvolts in enumerate(recording.microvolts):
        step = uv_per_bit * _coarser(microvolts, uv_per_bit)
        gains.append(1000.0 / step)
        counts[:, row] = np.where(np.isnan(microvolts), _MISSING, np.rint(np.nan_to_num(microvolts) / step))
    n_leads = len(recording.leads)
    notes = _notes(recording, lead_offs)
    annotation = path.parent / f"{name}.atr"
    annotation.unlink(missing_ok=True)  # of an earlier record under this name
    with wfdb_library() as wfdb:
        wfdb.wrsamp(
            name,
            fs=recording.fs,
            units=["mV"] * n_leads,
            sig_name=list(recording.leads),
            d_signal=counts,
            fmt=["16"] * n_leads,
            adc_gain=gains,
            baseline=[0] * n_leads,
            write_dir=str(path.parent),
        )
        if notes:
            wfdb.wrann(
                name,
                "atr",
                sample=np.array([sample for sample, _, _ in notes], dtype=np.int64),
                symbol=[symbol for _, symbol, _ in notes],
                aux_note=[text for _, _, text in notes],
                fs=recording.fs,
                write_dir=str(path.parent),
            )
    return path.parent / f"{name}.hea"


def _coarser(microvolts: npt.NDArray[np.float32], uv_per_bit: float) -> int:
    """The power of two by which the step must grow for the lead to fit into 16 bits."""
    largest = float(np.max(np.abs(microvolts), initial=0.0, where=~np.isnan(microvolts))) / uv_per_bit
    factor = 1
    while largest / factor > _TOP:
        factor *= 2
    return factor


def _notes(recording: Recording, lead_offs: Iterable[tuple[str, int, int]]) -> list[tuple[int, str, str]]:
    """(sample, symbol, text) of every annotation, ascending."""
    n = recording.microvolts.shape[1]
    notes: list[tuple[int, str, str]] = []
    until = None
    for rhythm in sorted(recording.rhythms, key=lambda rhythm: rhythm.onset):
        if not 0 <= rhythm.onset < rhythm.offset <= n:
            raise ValueError(f"rhythm: expected [onset, offset) within [0, {n}), got {rhythm!r}")
        if until is not None and until < rhythm.onset:
            notes.append((until, "+", NO_RHYTHM))
        notes.append((rhythm.onset, "+", "(" + rhythm.name.removeprefix("(")))
        until = rhythm.offset
    if until is not None and until < n:
        notes.append((until, "+", NO_RHYTHM))
    beats = recording.beats if recording.beats is not None else np.empty(0, dtype=np.int64)
    for beat, symbol in zip(beats.tolist(), recording.beat_symbols or ("N",) * len(beats), strict=True):
        if not 0 <= beat < n:
            raise ValueError(f"beat: expected a sample index below {n}, got {beat}")
        notes.append((beat, symbol, ""))
    for lead, first, end in lead_offs:
        if not 0 <= first < end <= n:
            raise ValueError(f"lead off: expected [first, end) within [0, {n}), got {(lead, first, end)!r}")
        notes += [(first, "~", LEAD_OFF + lead), (end, "~", LEAD_ON + lead)]
    return sorted(notes, key=lambda note: note[0])
