"""WFDB records (.hea with .dat or .mat) and their annotations, read by ``wfdb``."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ecg.readers.channels import Channel, RecordError, is_ecg, to_recording
from ecg.recording import Recording, Rhythm

# The codes that PhysioNet's table of annotations lists as beats; "!" (a wave of ventricular flutter) is none.
BEAT_SYMBOLS = frozenset("NLRBAaJSVrFejnE/fQ?")
_AUX = 63  # code of the byte pair (length, code × 4) before a note's text
_DEFINITION = re.compile(rb"## (time resolution: \d+\.?\d*\0?|annotation type definitions|end of definitions)")
# A "+" note with this rhythm ends the one before it without naming another; the writer sets it where rhythms have gaps.
NO_RHYTHM = "(?"
# How notes of ours begin. They stand at "~" (change of signal quality): wfdb drops a comment annotation at sample 0.
LEAD_OFF, LEAD_ON = "lead off ", "lead on "


class BeatAnnotations(NamedTuple):
    """Beats of one record without its waveform.

    Attributes:
        beats: (b,) int64 sample indices of R peaks at ``fs``, ascending.
        fs: samples per second, Hz.
        n_samples: length of the record as its header says; it may outlast the beats.
        symbols: one beat symbol per beat.
        rhythms: annotated rhythms in order.
    """

    beats: npt.NDArray[np.int64]
    fs: int
    n_samples: int
    symbols: tuple[str, ...]
    rhythms: tuple[Rhythm, ...]


@contextmanager
def wfdb_library() -> Iterator[Any]:
    """The module ``wfdb``, imported when first needed, without the warnings that wfdb 4.3 causes on pandas 3."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        import wfdb

        yield wfdb


def header_of(path: Path) -> Path | None:
    """The WFDB header that ``path`` (record name, ``.hea``, ``.dat`` or ``.mat``) belongs to, or None."""
    names = [path] if path.suffix == ".hea" else [path.with_name(path.name + ".hea")]
    if path.suffix.lower() in {".dat", ".mat"}:
        names.append(path.with_suffix(".hea"))
    return next((name for name in names if name.is_file()), None)


def segments(header: Path) -> list[Path]:
    """Headers of the segments that a multi-segment header joins; empty for any other."""
    lines = _lines(header)
    if not lines or "/" not in lines[0].split()[0]:
        return []
    return [header.parent / (line.split()[0] + ".hea") for line in lines[1:]]


def has_waveform(header: Path) -> bool:
    """Whether the files that the header names are there."""
    lines = _lines(header)
    parts = segments(header)
    if parts:
        return any(part.is_file() for part in parts)
    return len(lines) > 1 and all((header.parent / line.split()[0]).is_file() for line in lines[1:])


def read(header: Path, beats: str | None) -> Recording:
    """Read the ECG leads, the beats (``beats``, else ``atr``, else ``qrs``) and the rhythms of a record."""
    if not has_waveform(header):
        raise RecordError(f"{header}: has no waveform beside it; its beats can be read alone")
    record_name = str(header.resolve().with_suffix(""))
    try:
        with wfdb_library() as wfdb:
            signals = wfdb.rdrecord(record_name, smooth_frames=bool(segments(header)))
    except Exception as error:
        raise RecordError(f"{header}: {error or type(error).__name__}") from error
    if signals.p_signal is None:
        columns = list(signals.e_p_signal)
        rates = [signals.fs * per_frame for per_frame in signals.samps_per_frame]
    else:
        columns = list(signals.p_signal.T)
        rates = [signals.fs] * signals.n_sig
    named = zip(signals.sig_name, signals.units, columns, strict=True)
    channels = [Channel(name or f"ch{k + 1}", unit or "", column) for k, (name, unit, column) in enumerate(named)]
    ecg_rates = {rate for rate, channel in zip(rates, channels, strict=True) if is_ecg(channel.name, channel.unit)}
    if len(ecg_rates) > 1:
        raise RecordError(f"{header}: expected one sampling rate for all leads, got {sorted(ecg_rates)}")
    fs = ecg_rates.pop() if ecg_rates else signals.fs
    recording = to_recording(header, fs, channels)
    n = recording.microvolts.shape[1]
    indices, symbols, rhythms = _annotations(header, beats, recording.fs / signals.fs, n)
    return Recording(
        name=recording.name,
        fs=recording.fs,
        leads=recording.leads,
        microvolts=recording.microvolts,
        beats=indices,
        beat_symbols=symbols,
        rhythms=rhythms,
    )


def read_beats(header: Path, ext: str) -> BeatAnnotations:
    """Read beats from ``ext`` and rhythms from it or from ``atr``, at the rate of the header."""
    try:
        with wfdb_library() as wfdb:
            head = wfdb.rdheader(str(header.resolve().with_suffix("")))
    except Exception as error:
        raise RecordError(f"{header}: {error or type(error).__name__}") from error
    fs = float(head.fs)
    if fs != round(fs) or fs <= 0:
        raise RecordError(f"{header}: expected a sampling rate in whole Hz, got {fs:g}")
    n = int(head.sig_len) if head.sig_len else int(_notes(header, ext).sample.max(initial=-1)) + 1
    beats, symbols, rhythms = _annotations(header, ext, 1.0, n)
    assert beats is not None
    return BeatAnnotations(beats, round(fs), n, symbols, rhythms)


def read_lead_offs(path: str | Path) -> tuple[tuple[str, int, int], ...]:
    """Lead-off intervals (lead, first, end) in samples that ``ecg.writer`` noted in a record's ``.atr``.

    Raises:
        RecordError: the record has no readable ``.atr``.
    """
    header = header_of(Path(path))
    if header is None:
        raise RecordError(f"{path}: no WFDB header {path}.hea")
    notes = _notes(header, "atr")
    began: dict[str, int] = {}
    intervals: list[tuple[str, int, int]] = []
    for sample, text in zip(notes.sample, notes.aux_note, strict=True):
        note = text.strip("\0 ")
        if note.startswith(LEAD_OFF):
            began[note.removeprefix(LEAD_OFF)] = int(sample)
        elif note.startswith(LEAD_ON) and note.removeprefix(LEAD_ON) in began:
            lead = note.removeprefix(LEAD_ON)
            intervals.append((lead, began.pop(lead), int(sample)))
    return tuple(sorted(intervals, key=lambda interval: interval[1:]))


def _annotations(
    header: Path, ext: str | None, scale: float, n: int
) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...], tuple[Rhythm, ...]]:
    """Beats, symbols and rhythms in samples within ``[0, n)``; an annotation's index × ``scale`` is a sample's."""
    if ext is None:
        there = [e for e in ("atr", "qrs") if header.with_suffix("." + e).is_file()]
    else:
        there = [ext] + [e for e in ("atr",) if e != ext and header.with_suffix(".atr").is_file()]
    beats: npt.NDArray[np.int64] | None = None
    symbols: tuple[str, ...] = ()
    rhythms: tuple[Rhythm, ...] = ()
    for extension in there:
        notes = _notes(header, extension)
        at = np.rint(np.asarray(notes.sample) * scale).astype(np.int64)
        if beats is None or (ext is None and len(beats) == 0):
            kept = [i for i, symbol in enumerate(notes.symbol) if symbol in BEAT_SYMBOLS and 0 <= at[i] < n]
            beats = at[kept]
            symbols = tuple(notes.symbol[i] for i in kept)
        rhythms = rhythms or _rhythms(at, notes.aux_note, n)
    if ext is None and beats is not None and len(beats) == 0 and not rhythms:
        beats = None
    return beats, symbols, rhythms


def _rhythms(at: npt.NDArray[np.int64], notes: list[str], n: int) -> tuple[Rhythm, ...]:
    """Each rhythm note, its name with WFDB's bracket (``(AFIB``), lasts until the next one, the last until ``n``."""
    named = [(min(max(int(s), 0), n), t.strip("\0 ")) for s, t in zip(at, notes, strict=True) if t.startswith("(")]
    ends = [*[onset for onset, _ in named], n][1:]
    return tuple(
        Rhythm(name, onset, end)
        for (onset, name), end in zip(named, ends, strict=True)
        if name != NO_RHYTHM and end > onset
    )


def _notes(header: Path, ext: str) -> Any:
    file = header.with_suffix("." + ext)
    if not file.is_file():
        raise RecordError(f"{header}: no annotation file {file.name}")
    _check_definitions(file)
    try:
        with wfdb_library() as wfdb:
            return wfdb.rdann(str(header.resolve().with_suffix("")), ext)
    except Exception as error:
        raise RecordError(f"{file}: {error or type(error).__name__}") from error


def _check_definitions(file: Path) -> None:
    """Refuse a ``##`` note that wfdb 4.3 does not know, or a second time resolution: it would read them for ever."""
    content = file.read_bytes()
    resolutions = 0
    for match in re.finditer(rb"## ", content):
        at = match.start()
        if at < 2 or content[at - 1] >> 2 != _AUX:
            continue
        text = content[at : at + content[at - 2]]
        resolutions += text.startswith(b"## time resolution")
        if resolutions > 1 or not _DEFINITION.fullmatch(text):
            raise RecordError(f"{file}: expected WFDB's definitions after '##', got {text!r}")


def _lines(header: Path) -> list[str]:
    try:
        text = header.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise RecordError(f"{header}: {error.strerror}") from error
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
