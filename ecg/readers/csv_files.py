"""CSV files of samples (one column a lead), and CSV files of beat times."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg.leads import standard_lead
from ecg.readers.channels import Channel, RecordError, is_ecg, to_recording
from ecg.readers.wfdb_records import BEAT_SYMBOLS, BeatAnnotations
from ecg.recording import Recording, Rhythm

SUFFIXES = {".csv", ".tsv", ".txt"}
BEATS_FS = 360  # Hz; VitalDB's beat times all lie on this grid (measured: to 1e-9 of a sample)
MAX_GAP_S = 3600.0  # a longer hole in the time column is a broken clock, and would be filled with NaN in memory
FS_TOLERANCE = 1e-3  # a time column printed in whole milliseconds is off by this much over a second

_TIME = re.compile(
    r"(time|t|elapsed|seconds?|sec|ms)(?:\W+|_)?(s|sec|seconds?|ms|milliseconds?|us|microseconds?)?\W*", re.I
)
_SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0} | dict.fromkeys(("m", "millisecond"), 1e-3)
_SECONDS |= dict.fromkeys(("u", "microsecond"), 1e-6)
_INDEX = re.compile(r"(|sample|samples|index|sample_index|n|#|unnamed: 0)", re.I)
_WITH_UNIT = re.compile(r"(.*?)[\s_]*[(\[_\s]\s*([munµμ]?v|nu)\s*[)\]]?", re.I)


def read(path: Path, fs: float | None) -> Recording:
    """Read a table: a header row of lead names, a row a sample, fields empty or ``nan`` where nothing was measured.

    A header names the unit, ``I (mV)``, ``II_uV``, or a comment line does: ``# unit=mV``. The rate comes from a column
    of times (seconds unless its header says ``ms`` or ``us``; holes in it become NaN), from a comment ``# fs=500``, or
    from ``fs``.

    Raises:
        RecordError: no header, no rate, a field that is no number, or times that do not ascend.
    """
    names, said, body = _split(path)
    if not names:
        raise RecordError(f"{path}: expected a header row of lead names, got an empty file")
    try:
        values = np.loadtxt(io.StringIO(body), delimiter=",", ndmin=2, dtype=np.float64)
    except ValueError as error:
        raise RecordError(f"{path}: {error}") from error
    if values.size == 0 or values.shape[1] != len(names):
        raise RecordError(f"{path}: expected {len(names)} numbers a row under {names!r}, got {values.shape[1:]}")
    channels, times = [], None
    for column, header in enumerate(names):
        time = _TIME.fullmatch(header)
        if time and times is None and standard_lead(header) is None:
            unit = time[2] or ("ms" if time[1].lower() == "ms" else "s")
            times = values[:, column] * _SECONDS[unit.lower().rstrip("s") or "s"]
        elif not _INDEX.fullmatch(header):
            name, unit = _name_and_unit(header, said.get("unit", ""))
            channels.append(Channel(name, unit, values[:, column]))
    rate = _number(path, "fs", said["fs"]) if "fs" in said else fs
    if times is not None and len(times) > 1:
        clock, index = _from_times(path, times)
        if rate is not None and abs(clock - rate) > FS_TOLERANCE * clock:
            raise RecordError(f"{path}: its time column runs at {clock:g} Hz, got fs={rate:g}")
        rate = rate if rate is not None else clock
        channels = [Channel(c.name, c.unit, _spread(c.samples, index)) for c in channels]
    if rate is None:
        raise RecordError(f"{path}: says no sampling rate: add a time column or a line '# fs=500', or give fs")
    return to_recording(path, rate, channels)


def is_recording(path: Path) -> bool:
    """Whether the header row names a lead."""
    try:
        names, said, _ = _split(path, header_only=True)
    except RecordError:
        return False
    named = [_name_and_unit(name, said.get("unit", "")) for name in names]
    return any(is_ecg(name, unit) and name and not _number_like(name) for name, unit in named)


def holds_beats(path: Path) -> bool:
    """Whether the table's header is one of beat times."""
    try:
        return {"time_second", "beat_type", "rhythm_label"} <= set(_split(path, header_only=True)[0])
    except RecordError:
        return False


def read_beats(path: Path) -> BeatAnnotations:
    """Read VitalDB's columns ``time_second``, ``beat_type``, ``rhythm_label``; indices at 360 Hz from the first beat.

    A rhythm lasts from its first beat to the first beat of the next one. Of two rows of one time, as some tables have
    them, the first is the beat.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        times = np.array([float(row["time_second"]) for row in rows])
        symbols = tuple(row["beat_type"].strip() or "?" for row in rows)
        labels = [row["rhythm_label"].strip() for row in rows]
    except (KeyError, ValueError, UnicodeDecodeError, csv.Error) as error:
        raise RecordError(f"{path}: expected columns time_second, beat_type, rhythm_label ({error})") from error
    if not len(times) or np.any(np.diff(times) < 0):
        raise RecordError(f"{path}: expected ascending beat times, got {len(times)} rows")
    beats = np.rint((times - times[0]) * BEATS_FS).astype(np.int64)
    n = int(beats[-1]) + 1
    changes = [i for i, label in enumerate(labels) if i == 0 or label != labels[i - 1]]
    ends = [int(beats[i]) for i in changes[1:]] + [n]
    rhythms = tuple(Rhythm(labels[i], int(beats[i]), end) for i, end in zip(changes, ends, strict=True) if labels[i])
    beats, first = np.unique(beats, return_index=True)
    plain = tuple(
        symbols[i] if symbols[i] in BEAT_SYMBOLS else "?" for i in first
    )  # VitalDB's "U" is an unclassified beat
    return BeatAnnotations(beats, BEATS_FS, n, plain, rhythms)


def _split(path: Path, *, header_only: bool = False) -> tuple[list[str], dict[str, str], str]:
    """Header names, what comment lines say (``key=value``), and the rows as text with ``nan`` in empty fields."""
    try:
        text = path.read_text(encoding="utf-8-sig") if not header_only else _head(path)
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: {error}") from error
    lines = [line for line in text.splitlines() if line.strip()]
    comments = [line.lstrip("# ") for line in lines if line.startswith("#")]
    said = {m[1].lower(): m[2] for line in comments if (m := re.match(r"\s*(\w+)\s*[=:]\s*([^\s,]+)", line))}
    rows = [line for line in lines if not line.startswith("#")]
    if not rows:
        return [], said, ""
    delimiter = max(",;\t", key=rows[0].count)
    names = [name.strip().strip("\"'") for name in rows[0].split(delimiter)]
    if all(_number_like(name) for name in names):
        raise RecordError(f"{path}: expected a header row of lead names, got numbers {names[:3]!r}")
    if header_only:
        return names, said, ""
    plain = "\n".join(rows[1:])
    if delimiter == ";":
        plain = plain.replace(",", ".")  # where the semicolon separates, the comma is the decimal point
    plain = plain.replace(delimiter, ",")
    if ",," in plain or re.search(r"(?m)^,|,\s*$", plain):
        plain = re.sub(r"(?m)(?<=,)(?=,|[ \r]*$)|^(?=,)", "nan", plain)
    return names, {("unit" if key == "units" else key): value for key, value in said.items()}, plain


def _head(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as file:
        return "".join(
            line for line, _ in zip(file, range(20), strict=False)
        )  # comments and header stand in the first lines


def _name_and_unit(header: str, unit: str) -> tuple[str, str]:
    match = _WITH_UNIT.fullmatch(header.strip())
    # "aV" alone is no unit: a name that is a lead as it stands keeps all of its letters
    if match and match[1] and standard_lead(header) is None:
        return match[1].strip(), match[2]
    other = re.fullmatch(r"(.*?)\s*[(\[]\s*([^)\]]+)\s*[)\]]", header.strip())
    return (other[1], other[2]) if other else (header.strip(), unit)


def _number_like(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(path: Path, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise RecordError(f"{path}: expected {name} to be a number, got {text!r}") from error


def _from_times(path: Path, times: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.int64]]:
    """Sampling rate in Hz and the sample index of each row; a hole in the times is a step of more than one."""
    steps = np.diff(times)
    if not np.all(steps > 0):
        row = int(np.argmin(steps > 0)) + 1
        raise RecordError(
            f"{path}: expected ascending times, got {times[row]:g} after {times[row - 1]:g} in row {row + 1}"
        )
    if steps.max() > MAX_GAP_S:
        raise RecordError(f"{path}: expected no hole above {MAX_GAP_S:g} s in the times, got {steps.max():g} s")
    fs = 1.0 / float(np.mean(steps[steps < 1.5 * np.median(steps)]))
    if abs(fs - round(fs)) <= FS_TOLERANCE * fs:
        fs = float(round(fs))
    return fs, np.concatenate(([0], np.cumsum(np.maximum(1, np.rint(steps * fs)).astype(np.int64))))


def _spread(samples: npt.NDArray[np.float64], index: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    spread = np.full(int(index[-1]) + 1, np.nan)
    spread[index] = samples
    return spread
