"""Record files in, Recordings out: WFDB, EDF, CSV, MATLAB and DICOM, each read by its own library."""

from collections.abc import Iterable
from pathlib import Path

from ecg.readers import csv_files, dicom, edf, mat, wfdb_records
from ecg.readers.channels import RecordError
from ecg.readers.wfdb_records import BeatAnnotations
from ecg.recording import Recording

__all__ = ["BeatAnnotations", "RecordError", "find_beats", "find_records", "read_beats", "read_recording"]

_EDF = {".edf", ".bdf"}
_DICOM = {".dcm", ".dicom"}


def read_recording(path: str | Path, *, fs: float | None = None, beats: str | None = None) -> Recording:
    """Read the ECG leads of one recording.

    Args:
        path: a WFDB record (with or without ``.hea``, ``.dat`` or ``.mat``), or an EDF, CSV, MATLAB or DICOM file.
        fs: sampling rate in Hz for a CSV or MATLAB file that does not say it; refused where the file says another one.
        beats: extension of the WFDB annotation file that holds the beats; by default ``atr``, else ``qrs``.

    Returns:
        Standard lead names, float32 µV, NaN where nothing was measured.

    Raises:
        RecordError: the file is missing, damaged, holds no ECG, or its sampling rate is not a whole 100 to 1000 Hz.
    """
    path = Path(path)
    header = wfdb_records.header_of(path)
    if header is not None:
        recording = wfdb_records.read(header, beats)
    else:
        if not path.is_file():
            raise RecordError(f"{path}: no such file, and no WFDB header {path}.hea")
        suffix = path.suffix.lower()
        if suffix in _EDF:
            recording = edf.read(path)
        elif suffix in _DICOM or dicom.is_dicom(path):
            recording = dicom.read(path)
        elif suffix == ".mat":
            recording = mat.read(path, fs)
        elif suffix in csv_files.SUFFIXES:
            recording = csv_files.read(path, fs)
        else:
            raise RecordError(f"{path}: expected a WFDB, EDF, CSV, MATLAB or DICOM file, got suffix {path.suffix!r}")
    if fs is not None and recording.fs != fs:
        raise RecordError(f"{path}: is sampled at {recording.fs} Hz, got fs={fs:g}")
    return recording


def read_beats(path: str | Path, ext: str = "atr") -> BeatAnnotations:
    """Read beats and rhythms of a record that needs no waveform: a WFDB annotation, or a CSV of beat times.

    Args:
        path: a WFDB record, or a CSV with columns ``time_second``, ``beat_type`` and ``rhythm_label`` (VitalDB).
        ext: extension of the WFDB annotation file with the beats; rhythms come from it, else from ``atr``.

    Raises:
        RecordError: there is no such annotation, or it cannot be read.
    """
    path = Path(path)
    header = wfdb_records.header_of(path)
    if header is not None:
        return wfdb_records.read_beats(header, ext)
    if path.suffix.lower() == ".csv" and path.is_file():
        return csv_files.read_beats(path)
    raise RecordError(f"{path}: no WFDB header {path}.hea, and no CSV of beats")


def find_records(paths: Iterable[str | Path]) -> list[Path]:
    """Expand directories (and all below them) to the recordings in them, in order of name; files stay as they are.

    Headers without a waveform, segments of a longer record and tables that are no recordings are left out.

    Raises:
        RecordError: a path is neither a file, nor a directory, nor a WFDB record.
    """
    records: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            records += _records_below(path)
        elif path.is_file() or wfdb_records.header_of(path) is not None:
            records.append(path)
        else:
            raise RecordError(f"{path}: no such file or directory, and no WFDB header {path}.hea")
    return records


def find_beats(paths: Iterable[str | Path], ext: str) -> list[Path]:
    """Expand directories (and all below them) to the records that :func:`read_beats` can read; others stay as they are.

    Those are headers with an annotation file of extension ``ext`` beside them, and CSV files of beat times.
    """
    records: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found = [header for header in path.rglob("*.hea") if header.with_suffix(f".{ext}").is_file()]
            records += sorted(found + [table for table in path.rglob("*.csv") if csv_files.holds_beats(table)])
        else:
            records.append(path)
    return records


def _records_below(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    headers = [path for path in files if path.suffix == ".hea"]
    segments = {segment for header in headers for segment in wfdb_records.segments(header)}
    found = [path for path in headers if path not in segments and wfdb_records.has_waveform(path)]
    for path in files:
        suffix = path.suffix.lower()
        if (
            suffix in _EDF | _DICOM
            or (suffix == ".mat" and wfdb_records.header_of(path) is None)
            or (suffix in csv_files.SUFFIXES and csv_files.is_recording(path))
        ):
            found.append(path)
    return sorted(found)
