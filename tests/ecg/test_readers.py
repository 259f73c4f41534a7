"""Record files come in as standard leads in µV, whatever their names and units; what cannot be read says why."""

from pathlib import Path

import numpy as np
import pytest

from ecg.leads import LEADS
from ecg.readers import RecordError, find_records, read_beats, read_recording
from ecg.readers.channels import NORMALISED_UV, Channel, place, to_recording
from ecg.recording import Recording, Rhythm
from ecg.writer import write_record


def wave(n: int = 1000, fs: int = 500, peak_uv: float = 1000.0) -> np.ndarray:
    """(n,) float32 µV: one sharp bump a second, whole microvolts."""
    t = np.arange(n) / fs % 1.0
    return np.rint(peak_uv * np.exp(-(((t - 0.3) / 0.02) ** 2))).astype(np.float32)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """A WFDB record of leads II and V1 with beats and a rhythm."""
    recording = Recording(
        name="r1",
        fs=500,
        leads=("II", "V1"),
        microvolts=np.stack([wave(), -wave()]),
        beats=np.array([150, 650]),
        beat_symbols=("N", "V"),
        rhythms=(Rhythm("(AFIB", 100, 1000),),
    )
    return write_record(recording, tmp_path / "r1")


@pytest.mark.parametrize("suffix", ["", ".hea", ".dat"])
def test_wfdb_path_with_or_without_extension(record: Path, suffix: str) -> None:
    """All ways in which people name a WFDB record lead to it."""
    found = read_recording(record.with_suffix(suffix))
    assert found.leads == ("II", "V1")
    assert found.fs == 500
    assert found.microvolts.dtype == np.float32
    np.testing.assert_array_equal(found.microvolts[0], wave())
    assert found.beats is not None
    assert found.beats.tolist() == [150, 650]
    assert found.rhythms == (Rhythm("(AFIB", 100, 1000),)


def test_beats_without_waveform(record: Path) -> None:
    """A record whose samples were never published gives its beats; asked for samples it says what is missing."""
    record.with_suffix(".dat").unlink()
    beats = read_beats(record)
    assert (beats.beats.tolist(), beats.fs, beats.n_samples, beats.symbols) == ([150, 650], 500, 1000, ("N", "V"))
    with pytest.raises(RecordError, match=r"r1\.hea: has no waveform"):
        read_recording(record)
    with pytest.raises(RecordError, match=r"no annotation file r1\.qrs"):
        read_beats(record, "qrs")


def test_find_records_leaves_out_what_is_none(record: Path) -> None:
    """A folder expands to its recordings: no annotations, no other tables, no header whose samples are gone."""
    folder = record.parent
    (folder / "a.csv").write_text("I (mV),II (mV)\n0,0\n")
    (folder / "index.csv").write_text("path,label\nr1,AF\n")
    (folder / "lost.hea").write_text("lost 1 250 1000\nlost.dat 16 200/mV 16 0 0 0 0 II\n")
    assert find_records([folder]) == [folder / "a.csv", folder / "r1.hea"]
    assert find_records([folder / "r1"]) == [folder / "r1"]
    with pytest.raises(RecordError, match="nowhere"):
        find_records([folder / "nowhere"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("r 1 360.5 10\nr.dat 16 200/mV 16 0 0 0 0 II\n", "whole Hz, got 360.5"),
        ("r 1 50 10\nr.dat 16 200/mV 16 0 0 0 0 II\n", "whole Hz, got 50"),
        ("r 1 250 10\nr.dat 16 200/mmHg 16 0 0 0 0 ABP\n", "expected an ECG lead, got 'ABP' in 'mmHg'"),
        ("r 1 250 4000\nr.dat 16 200/mV 16 0 0 0 0 II\n", r"r\.hea: "),
        ("nonsense\n", r"r\.hea: "),
        ("", r"r\.hea: "),
    ],
)
def test_a_broken_wfdb_record_says_why(tmp_path: Path, text: str, reason: str) -> None:
    """Whatever is wrong with a record, its reader gets one RecordError with path and reason, never a library's own."""
    (tmp_path / "r.hea").write_text(text)
    (tmp_path / "r.dat").write_bytes(bytes(20))
    with pytest.raises(RecordError, match=reason):
        read_recording(tmp_path / "r")


def test_units_and_names_as_they_come(tmp_path: Path) -> None:
    """mV in any spelling, volts and z-scores become µV; pressure is left out; a lead that stands twice is kept once."""
    ones = np.ones(10)
    names_units = [
        ("i", "mv"),
        ("MLII", "uV"),
        ("AVR", "V"),
        ("V", "NU"),
        ("II", "mV"),
        ("ABP", "mmHg"),
        ("PLETH", "NU"),
    ]
    recording = to_recording(tmp_path / "x", 250, [Channel(name, unit, ones) for name, unit in names_units])
    assert recording.leads == ("I", "II", "aVR", "V1")
    np.testing.assert_allclose(recording.microvolts[:, 0], [1e3, 1.0, 1e6, NORMALISED_UV])


def test_leads_without_names_take_free_slots() -> None:
    """Unnamed channels go to the rhythm leads first, never onto a lead that is there; twelve are the standard set."""
    assert place(["ECG0", "ECG1"]) == ["II", "V1"]
    assert place(["ECG", "MLII"]) == ["V1", "II"]
    assert place([f"ch{i}" for i in range(12)]) == list(LEADS)
    assert place([f"ch{i}" for i in range(13)])[12] is None


def test_csv_with_units_times_and_holes(tmp_path: Path) -> None:
    """Units stand in the header, the rate follows from the times, empty fields and missing rows are NaN."""
    path = tmp_path / "a.csv"
    path.write_text("time (ms),I (mV),II_uV\n0,0.5,100\n4,,200\n8,1.5,300\n20,2.5,\n")
    recording = read_recording(path)
    assert (recording.fs, recording.leads) == (250, ("I", "II"))
    nan = np.nan
    np.testing.assert_array_equal(recording.microvolts[0], [500, nan, 1500, nan, nan, 2500])
    np.testing.assert_array_equal(recording.microvolts[1], [100, 200, 300, nan, nan, nan])


def test_csv_rates(tmp_path: Path) -> None:
    """The rate may stand in a comment or be given; without one, or with two that contradict, the file is refused."""
    path = tmp_path / "a.csv"
    path.write_text("# fs=500\nI,II\n0.1,0.2\n0.3,0.4\n")
    assert read_recording(path).fs == 500
    with pytest.raises(RecordError, match="sampled at 500 Hz, got fs=250"):
        read_recording(path, fs=250)
    path.write_text("I;II\n0,1;0,2\n0,3;0,4\n")
    recording = read_recording(path, fs=250)
    assert recording.fs == 250
    np.testing.assert_allclose(recording.microvolts, [[100, 300], [200, 400]], rtol=1e-6)
    with pytest.raises(RecordError, match="says no sampling rate"):
        read_recording(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I,II\n0.1,x\n", "'x'"),
        ("1,2\n3,4\n", "header row of lead names"),
        ("", "empty file"),
        ("time,I\n0,1\n0,2\n", "ascending times, got 0 after 0 in row 2"),
        ("pressure,flow\n1,2\n", "expected an ECG lead"),
        ("I\n0\n3000\n0\n", "cannot be mV"),
    ],
)
def test_a_csv_that_cannot_be_read_says_why(tmp_path: Path, text: str, reason: str) -> None:
    """A wrong CSV is refused with what was wrong in it, and a unit is never guessed against the figures."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(RecordError, match=reason) as caught:
        read_recording(path, fs=None if "time" in text else 250)
    assert str(path) in str(caught.value)


def test_csv_of_beats(tmp_path: Path) -> None:
    """VitalDB's beat tables become beats and rhythms on their 360 Hz grid; about 110 of them name some beats twice."""
    path = tmp_path / "b.csv"
    path.write_text(
        "time_second,beat_type,rhythm_label,bad_signal_quality\n"
        "10,N,N,False\n11,V,AFIB/AFL,False\n11,S,AFIB/AFL,False\n12,U,AFIB/AFL,True\n"
    )
    beats = read_beats(path)
    assert beats.beats.tolist() == [0, 360, 720]
    assert beats.symbols == ("N", "V", "?")
    assert beats.rhythms == (Rhythm("N", 0, 360), Rhythm("AFIB/AFL", 360, 721))


def test_edf(tmp_path: Path) -> None:
    """An EDF file's ECG comes in in µV; its breathing channel at another rate does not disturb it."""
    import pyedflib

    path = tmp_path / "a.edf"
    ecg = wave(2000) / 1000.0
    with pyedflib.EdfWriter(str(path), 3, file_type=pyedflib.FILETYPE_EDFPLUS) as file:
        for index, (label, unit, fs) in enumerate([("ECG II", "mV", 500), ("ECG V5", "mV", 500), ("Resp", "mV", 25)]):
            file.setSignalHeader(
                index,
                {
                    "label": label,
                    "dimension": unit,
                    "sample_frequency": fs,
                    "physical_max": 5.0,
                    "physical_min": -5.0,
                    "digital_max": 32767,
                    "digital_min": -32768,
                    "prefilter": "",
                    "transducer": "",
                },
            )
        file.writeSamples([ecg, -ecg, np.zeros(100)])
    recording = read_recording(path)
    assert (recording.fs, recording.leads) == (500, ("II", "V5"))
    np.testing.assert_allclose(recording.microvolts[0, :2000], wave(2000), atol=0.2)
    path.write_bytes(b"0" * 100)
    with pytest.raises(RecordError, match=r"a\.edf"):
        read_recording(path)


def test_mat_layouts(tmp_path: Path) -> None:
    """A matrix beside fs, a matrix in a struct, time along either side; without rate or matrix it is refused."""
    from scipy.io import savemat

    path = tmp_path / "a.mat"
    rows = np.tile(wave(), (12, 1))
    savemat(path, {"val": rows, "fs": 500.0, "units": "uV"})
    assert read_recording(path).leads == LEADS
    savemat(path, {"ECG": {"data": rows[:2].T, "Fs": 250, "leads": ["I", "MLII"], "units": ["uV", "uV"]}})
    recording = read_recording(path)
    assert (recording.fs, recording.leads) == (250, ("I", "II"))
    np.testing.assert_array_equal(recording.microvolts[1], wave())
    savemat(path, {"val": rows / 1000.0})
    assert read_recording(path, fs=500).fs == 500
    with pytest.raises(RecordError, match="says no sampling rate"):
        read_recording(path)
    savemat(path, {"words": "none"})
    with pytest.raises(RecordError, match="got words"):
        read_recording(path, fs=500)
    path.write_bytes(b"MATLAB 7.3 MAT-file" + bytes(600))
    with pytest.raises(RecordError, match=r"a\.mat"):
        read_recording(path, fs=500)


def test_dicom(tmp_path: Path) -> None:
    """pydicom's own 12-lead example: the long group is chosen, in µV as pydicom itself scales it, Einthoven holding."""
    import pydicom.data

    source = Path(pydicom.__file__).parent / "data" / "test_files" / "waveform_ecg.dcm"
    recording = read_recording(source)
    assert recording.leads == LEADS
    assert recording.fs == 1000
    assert recording.seconds == 10.0
    expected = pydicom.dcmread(source).waveform_array(0).T
    np.testing.assert_allclose(recording.microvolts, expected, atol=0.01)
    one, two, three = recording.microvolts[:3]
    assert np.abs(two - one - three).max() < 20
    unnamed = tmp_path / "waveform"
    unnamed.write_bytes(source.read_bytes())
    assert read_recording(unnamed).leads == LEADS
    unnamed.with_suffix(".dcm").write_bytes(b"DICM")
    with pytest.raises(RecordError, match=r"waveform\.dcm"):
        read_recording(unnamed.with_suffix(".dcm"))


def test_unknown_files_are_refused(tmp_path: Path) -> None:
    """A missing file and one of another kind are told apart."""
    with pytest.raises(RecordError, match="no such file"):
        read_recording(tmp_path / "missing.edf")
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(RecordError, match=r"suffix '\.docx'"):
        read_recording(tmp_path / "a.docx")
