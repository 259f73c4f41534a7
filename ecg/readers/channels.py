"""From the channels of a file, with names and units as they came, to the standard leads of a Recording in µV."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecg.chunk import MAX_FS, MIN_FS
from ecg.leads import LEADS, N_LEADS, standard_lead
from ecg.recording import Recording, Rhythm


class RecordError(ValueError):
    """A recording cannot be read; the message quotes its path and the reason."""


# A z-scored lead (unit NU: PTB-XL as re-published after 0.5–40 Hz band-pass) has lost its amplitude. One SD stands for
# 150 µV: the median SD of 181 native PTB-XL records after the same filter is 145 µV over all leads, 124 µV in lead II.
NORMALISED_UV = 150.0
MICROVOLTS = {"uv": 1.0, "mv": 1e3, "v": 1e6, "nv": 1e-3, "nu": NORMALISED_UV}
# Without a unit, millivolts are meant (WFDB's own rule) unless that would be a heart of more than this between the 1st
# and 99th percentile: an ECG of a body's surface stays under 10 mV, and the same ECG in µV or raw counts is far above.
UNITLESS_MV = 20.0

# Leads that the file does not name ("ECG1", "ch1") go to the first free slots in this order: the rhythm leads first.
FREE_SLOTS = ("II", "V1", "V5", "I", "V2", "V3", "V4", "V6", "III", "aVF", "aVL", "aVR")
_UNNAMED = re.compile(r"(ECG|EKG|CH|CHANNEL|LEAD|SIG|SIGNAL|COL|COLUMN|VAL|VALUE)?[\s_#-]*\d*")
EIGHT_LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")  # what a 12-lead machine measures and stores


@dataclass(frozen=True)
class Channel:
    """One channel as it stands in a file: samples (n,) in ``unit``, NaN where nothing was measured."""

    name: str
    unit: str
    samples: npt.NDArray[Any]


def is_ecg(name: str, unit: str) -> bool:
    """Whether a channel is an ECG lead: a lead's name or none at all, in volts, normalised, or without a unit."""
    known = standard_lead(name) is not None or _UNNAMED.fullmatch(name.strip().upper()) is not None
    return known and (_plain_unit(unit) in MICROVOLTS or not unit.strip())


def whole_hz(path: Path, fs: float) -> int:
    """The sampling rate as a whole number.

    Raises:
        RecordError: it is none, or not within 100 to 1000 Hz.
    """
    if not np.isfinite(fs) or abs(fs - round(fs)) > 1e-6 or not MIN_FS <= fs <= MAX_FS:
        raise RecordError(f"{path}: expected a sampling rate of {MIN_FS} to {MAX_FS} whole Hz, got {fs:g}")
    return round(fs)


def place(names: Sequence[str]) -> list[str | None]:
    """The standard lead of each ECG channel; None for one that repeats a lead, or for which no slot is left.

    Twelve, or eight, channels that are all without a name stand in the standard order.
    """
    standard = [standard_lead(name) for name in names]
    if not any(standard) and len(names) in (N_LEADS, len(EIGHT_LEADS)):
        return list(LEADS if len(names) == N_LEADS else EIGHT_LEADS)
    free = [slot for slot in FREE_SLOTS if slot not in standard]
    placed: list[str | None] = []
    for lead in standard:
        slot = lead if lead is not None else (free.pop(0) if free else None)
        placed.append(None if slot in placed else slot)
    return placed


def to_recording(
    path: Path,
    fs: float,
    channels: Sequence[Channel],
    *,
    beats: npt.NDArray[np.int64] | None = None,
    beat_symbols: tuple[str, ...] = (),
    rhythms: tuple[Rhythm, ...] = (),
) -> Recording:
    """The ECG among ``channels`` as a Recording: standard names, float32 µV.

    Raises:
        RecordError: no channel is an ECG lead, the rate is not a whole 100 to 1000 Hz, or there are no samples.
    """
    ecg = [channel for channel in channels if is_ecg(channel.name, channel.unit)]
    if not ecg:
        seen = ", ".join(f"{channel.name!r} in {channel.unit!r}" for channel in channels)
        raise RecordError(f"{path}: expected an ECG lead, got {seen or 'no channel'}")
    rate = whole_hz(path, fs)
    placed = [(lead, channel) for lead, channel in zip(place([c.name for c in ecg]), ecg, strict=True) if lead]
    n = len(placed[0][1].samples)
    if n == 0:
        raise RecordError(f"{path}: expected samples, got none")
    microvolts = np.empty((len(placed), n), dtype=np.float32)
    for row, (_, channel) in enumerate(placed):
        microvolts[row] = np.asarray(channel.samples, dtype=np.float64) * _uv_per_unit(path, channel)
    microvolts[~np.isfinite(microvolts)] = np.nan
    return Recording(
        name=path.with_suffix("").name if path.suffix else path.name,
        fs=rate,
        leads=tuple(lead for lead, _ in placed),
        microvolts=microvolts,
        beats=beats,
        beat_symbols=beat_symbols,
        rhythms=rhythms,
    )


def _plain_unit(unit: str) -> str:
    return (
        unit.strip().lower().replace("µ", "u").replace("μ", "u").replace("microvolt", "uv").replace("millivolt", "mv")
    )


def _uv_per_unit(path: Path, channel: Channel) -> float:
    unit = _plain_unit(channel.unit)
    if unit:
        return MICROVOLTS[unit]
    finite = channel.samples[np.isfinite(channel.samples)]
    swing = float(np.subtract(*np.percentile(finite, [99, 1]))) if len(finite) else 0.0
    if swing > UNITLESS_MV:
        raise RecordError(
            f"{path}: {channel.name!r} has no unit and swings by {swing:g}, which cannot be mV: "
            f"name the unit, as in '{channel.name} (uV)'"
        )
    return MICROVOLTS["mv"]
