"""Damaged files of every kind are read, or refused with a RecordError that names the file; nothing else comes out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecg.readers import RecordError, read_recording
from ecg.recording import Recording, Rhythm
from ecg.writer import write_record

SAMPLES = np.tile(np.arange(400, dtype=np.float32), (2, 1))


def wfdb_files(folder: Path) -> list[Path]:
    """A record with annotations; the first path is the one to read."""
    recording = Recording("r", 500, ("I", "II"), SAMPLES, np.array([5, 300]), ("N", "V"), (Rhythm("(AFIB", 10, 400),))
    header = write_record(recording, folder / "r")
    return [header, header.with_suffix(".dat"), header.with_suffix(".atr")]


def edf_files(folder: Path) -> list[Path]:
    """An EDF+ file of one second."""
    import pyedflib

    path = folder / "a.edf"
    with pyedflib.EdfWriter(str(path), 1, file_type=pyedflib.FILETYPE_EDFPLUS) as file:
        file.setSignalHeader(
            0,
            {
                "label": "ECG II",
                "dimension": "uV",
                "sample_frequency": 400,
                "physical_max": 5000.0,
                "physical_min": -5000.0,
                "digital_max": 32767,
                "digital_min": -32768,
                "prefilter": "",
                "transducer": "",
            },
        )
        file.writeSamples([SAMPLES[0].astype(np.float64)])
    return [path]


def mat_files(folder: Path) -> list[Path]:
    """A MATLAB file with names, units and a rate."""
    from scipy.io import savemat

    path = folder / "a.mat"
    savemat(path, {"val": SAMPLES, "fs": 500, "units": "uV", "leads": ["I", "II"]})
    return [path]


def csv_files(folder: Path) -> list[Path]:
    """A table with times."""
    path = folder / "a.csv"
    rows = "\n".join(f"{k * 4},{k / 10},{-k}" for k in range(50))
    path.write_text(f"time (ms),I (mV),II_uV\n{rows}\n")
    return [path]


def dicom_files(folder: Path) -> list[Path]:
    """The head of pydicom's own example, enough for all of its structure."""
    import pydicom

    path = folder / "a.dcm"
    path.write_bytes((Path(pydicom.__file__).parent / "data/test_files/waveform_ecg.dcm").read_bytes())
    return [path]


@pytest.mark.filterwarnings("ignore")  # libraries warn of what they find odd; here everything is odd
@pytest.mark.parametrize("make", [wfdb_files, edf_files, mat_files, csv_files, dicom_files])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_read_or_refused(tmp_path: Path, make: Callable[[Path], list[Path]], data: st.DataObject) -> None:
    """Bytes changed in one place, or an end cut off: a Recording or a RecordError with the path in it."""
    files = make(tmp_path)
    victim = data.draw(st.sampled_from(files))
    content = bytearray(victim.read_bytes())
    at = data.draw(st.integers(0, min(len(content), 6000) - 1))  # headers stand in front, where damage does most
    if data.draw(st.booleans()):
        del content[at:]
    else:
        patch = data.draw(st.binary(min_size=1, max_size=8))
        content[at : at + len(patch)] = patch
    victim.write_bytes(content)
    refused = ""
    try:
        recording = read_recording(files[0])
    except RecordError as error:
        refused = str(error)
    else:
        assert recording.microvolts.dtype == np.float32
        assert recording.microvolts.shape[0] == len(recording.leads) == len(set(recording.leads))
    assert not refused or str(tmp_path) in refused


def test_a_damaged_definition_is_refused_not_read_for_ever(tmp_path: Path) -> None:
    """wfdb 4.3 never returns from an annotation file whose time resolution is no number (found by the test above)."""
    header, _, annotations = wfdb_files(tmp_path)
    annotations.write_bytes(annotations.read_bytes().replace(b"resolution: 5", b"resolution: x"))
    with pytest.raises(RecordError, match=r"r\.atr: expected WFDB's definitions"):
        read_recording(header)
