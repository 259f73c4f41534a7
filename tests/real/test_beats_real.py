"""Beats on real recordings: floors slightly under what benchmarks/beat_detection.py measured, on a few records each."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.beat_detection import (
    FS,
    annotated_beats,
    at_500_hz,
    detect,
    longest_silence_s,
    match,
)
from ecg.readers import read_recording
from ecg.recording import Recording

# records, seconds of each, floor of sensitivity and of positive predictivity in percent
FLOORS = [
    ("mitdb", "atr", ("101", "106", "119", "203", "207", "208", "223"), 600, 99.0, 99.4),
    ("afpdb_p", "qrs", ("p06j", "p27j"), 600, 99.7, 99.3),
    ("cpsc2021", "atr", ("data_0_1", "data_84_1"), 300, 99.0, 97.5),
    ("cpsc2019_qrs", "qrs", ("data_00014", "data_00147", "data_00513", "data_00719"), 10, 75.0, 80.0),
    ("nstdb_118", "atr", ("118e06",), 600, 99.5, 95.0),
    ("nstdb_118", "atr", ("118e_6",), 600, 84.0, 74.0),
]


def beginning(path: Path, beats: str, seconds: float) -> Recording:
    """The first seconds of an annotated record, or a skip that names what is missing."""
    if not path.with_suffix(".hea").exists():
        pytest.skip(f"real recording {path} is missing")
    whole = read_recording(path, beats=beats)
    n = round(seconds * whole.fs)
    assert whole.beats is not None
    return Recording(
        whole.name, whole.fs, whole.leads, whole.microvolts[:, :n], whole.beats[whole.beats < n], rhythms=whole.rhythms
    )


@pytest.mark.parametrize(("dataset", "extension", "records", "seconds", "sensitivity", "predictivity"), FLOORS)
def test_beats_of_annotated_records(
    data: Path,
    dataset: str,
    extension: str,
    records: tuple[str, ...],
    seconds: float,
    sensitivity: float,
    predictivity: float,
) -> None:
    """A change to the detector that costs beats on real hearts must not pass for a clean-up."""
    pairs = missed = false = 0
    for record in records:
        recording = beginning(data / dataset / record, extension, seconds)
        found = match(*annotated_beats(recording, detect(*at_500_hz(recording), step=5000)))
        pairs, missed, false = pairs + len(found[0]), missed + len(found[1]), false + len(found[2])
    assert 100 * pairs / (pairs + missed) >= sensitivity, f"missed {missed} of {pairs + missed}"
    assert 100 * pairs / (pairs + false) >= predictivity, f"{false} false beside {pairs}"


@pytest.mark.parametrize("record", ["a142s_60s", "a185l_60s", "a345l_60s", "a449l_60s", "a604s_60s"])
def test_true_asystole_is_silent(data: Path, record: str) -> None:
    """Asystole of real patients, annotated by experts: four seconds without a beat must remain four seconds."""
    if not (data / "cinc2015" / f"{record}.hea").exists():
        pytest.skip(f"real recording cinc2015/{record} is missing")
    assert longest_silence_s(data / "cinc2015" / record) >= 4


def test_twelve_leads_and_lead_one_agree(data: Path) -> None:
    """A patient moved from a cart to a one-lead patch keeps the rhythm: the same beats from lead I alone."""
    record = data / "cpsc2018" / "A0001"
    if not record.with_suffix(".hea").exists():
        pytest.skip(f"real recording {record} is missing")
    microvolts, mask = at_500_hz(read_recording(record))
    every = detect(microvolts, mask)
    mask[1:] = False
    alone = detect(microvolts, mask)
    _, missed, false = match(every[every > 2 * FS], alone[alone > 2 * FS])
    assert len(every) > 5
    assert (len(missed), len(false)) == (0, 0)


def test_cut_of_the_stream_does_not_matter_on_real_signals(data: Path) -> None:
    """Pushes of 0.1 s and of a minute give the same beats on a noisy record with ectopics."""
    recording = beginning(data / "mitdb" / "203", "atr", 60)
    microvolts, mask = at_500_hz(recording)
    np.testing.assert_array_equal(detect(microvolts, mask, step=50), detect(microvolts, mask, step=30_000))
