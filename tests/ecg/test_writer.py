"""What is written as a WFDB record is read back as it was."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecg.leads import LEADS
from ecg.readers import read_recording
from ecg.readers.wfdb_records import read_lead_offs
from ecg.recording import Recording, Rhythm
from ecg.writer import write_record


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n_leads=st.integers(1, 12),
    n=st.integers(1, 700),
    fs=st.sampled_from([100, 128, 250, 360, 500, 1000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_round_trip(tmp_path: Path, n_leads: int, n: int, fs: int, seed: int) -> None:
    """Samples in whole microvolts, holes, beats and rhythms come back exactly, at any size and rate."""
    rng = np.random.default_rng(seed)
    microvolts = rng.integers(-32767, 32768, (n_leads, n)).astype(np.float32)
    microvolts[rng.random((n_leads, n)) < 0.1] = np.nan
    beats = np.unique(rng.integers(0, n, min(n, 9)))
    cuts = np.unique(rng.integers(0, n + 1, 4))
    rhythms = tuple(
        Rhythm(name, int(a), int(b)) for name, a, b in zip(["(N", "(AFIB", "(VT"], cuts[:-1], cuts[1:], strict=False)
    )
    symbols = tuple(rng.choice(["N", "V", "A"], len(beats)).tolist())
    recording = Recording("r", fs, LEADS[:n_leads], microvolts, beats, symbols, rhythms[::2])
    found = read_recording(write_record(recording, tmp_path / "r"))
    assert (found.name, found.fs, found.leads) == ("r", fs, recording.leads)
    np.testing.assert_array_equal(found.microvolts, microvolts)
    assert found.beats is not None
    assert found.beats.tolist() == beats.tolist()
    assert found.beat_symbols == symbols
    assert found.rhythms == recording.rhythms


def test_lead_offs_come_back(tmp_path: Path) -> None:
    """Lead-off intervals, two at once, from the first sample, to the last: all are kept, and disturb no beat."""
    recording = Recording("r", 500, ("I", "II"), np.zeros((2, 5000), dtype=np.float32), np.array([10, 500]), ("N", "N"))
    offs = (("I", 0, 2000), ("II", 1500, 1800), ("I", 4000, 5000))
    header = write_record(recording, tmp_path / "r", lead_offs=offs)
    assert read_lead_offs(header) == offs
    found = read_recording(header)
    assert found.beats is not None
    assert found.beats.tolist() == [10, 500]


def test_a_railed_lead_is_coarser_not_clipped(tmp_path: Path) -> None:
    """A lead at -80 mV is beyond 16 bits of a microvolt: it keeps its voltage, its neighbour its precision."""
    microvolts = np.array([[-80000.0] * 10, [1.0] * 10], dtype=np.float32)
    found = read_recording(write_record(Recording("r", 500, ("I", "II"), microvolts), tmp_path / "r"))
    np.testing.assert_array_equal(found.microvolts, microvolts)


def test_nothing_of_an_earlier_record_stays(tmp_path: Path) -> None:
    """Writing over an annotated record does not leave the new samples with the old beats."""
    samples = np.zeros((1, 100), dtype=np.float32)
    write_record(Recording("r", 500, ("I",), samples, np.array([5]), ("N",)), tmp_path / "r")
    assert read_recording(write_record(Recording("r", 500, ("I",), samples), tmp_path / "r")).beats is None


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Names that WFDB forbids and annotations outside the samples are refused, quoting them."""
    samples = np.zeros((1, 100), dtype=np.float32)
    with pytest.raises(ValueError, match="got 'a b'"):
        write_record(Recording("r", 500, ("I",), samples), tmp_path / "a b")
    with pytest.raises(ValueError, match="below 100, got 100"):
        write_record(Recording("r", 500, ("I",), samples, np.array([100]), ("N",)), tmp_path / "r")
    with pytest.raises(ValueError, match="lead off"):
        write_record(Recording("r", 500, ("I",), samples), tmp_path / "r", lead_offs=[("I", 50, 101)])
    assert not list(tmp_path.iterdir())
