"""Real records of every data set are read as their index says."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from ecg.readers import read_beats, read_recording

# The index counts every annotation of these sets as a beat, also "|" (artefact), "~" (noise) and "T" (T wave); of
# VitalDB every row of a table, also the second one of a beat.
COUNTS_MARKS = {"ltafdb_rr", "nsrdb_rr", "vitaldb_arrdb_rr"}
DATASETS = (
    "afdb_rr", "afpdb_n", "afpdb_p", "chapman_ningbo", "cinc2011", "cinc2015", "cinc2017", "cpsc2018", "cpsc2018_extra",
    "cpsc2019_qrs", "cpsc2021", "ltafdb_rr", "mitdb", "nsrdb_rr", "nstdb_118", "ptbxl_native100", "ptbxl_native500",
    "ptbxl_z500", "vitaldb_arrdb_rr",
)  # fmt: skip


@pytest.fixture(scope="module")
def rows(data: Path) -> dict[str, list[dict[str, str]]]:
    """Rows of the index by data set."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (data / "index.csv").open() as file:
        for row in csv.DictReader(file):
            found[row["dataset"]].append(row)
    return found


@pytest.mark.parametrize("dataset", DATASETS)
def test_records_are_read_as_the_index_says(data: Path, rows: dict[str, list[dict[str, str]]], dataset: str) -> None:
    """Rate, length, number of leads and of beats agree with the index, whatever the set's names, units and formats."""
    records = rows[dataset]
    for row in (records[0], records[len(records) // 2], records[-1]):
        path = data / row["path"]
        if row["n_leads"] == "0":
            beats = read_beats(path, "qrs" if dataset in ("afdb_rr", "ltafdb_rr") else "atr").beats
        else:
            recording = read_recording(path)
            assert recording.fs == float(row["fs"])
            assert recording.seconds == pytest.approx(float(row["seconds"]), abs=0.02)
            assert len(recording.leads) == int(row["n_leads"])
            assert np.isnan(recording.microvolts).mean() == pytest.approx(float(row["nan_frac"] or 0), abs=0.01)
            assert recording.beats is not None or not row["beats"]
            beats = recording.beats if recording.beats is not None else np.empty(0, dtype=np.int64)
        expected = int(row["beats"] or len(beats))
        assert 0.8 * expected < len(beats) <= expected if dataset in COUNTS_MARKS else len(beats) == expected
        assert np.all(np.diff(beats) >= 0)


@pytest.mark.parametrize("dataset", ["cinc2017", "cpsc2018", "mitdb", "ptbxl_native100", "ptbxl_z500"])
def test_amplitudes_are_those_of_hearts(data: Path, rows: dict[str, list[dict[str, str]]], dataset: str) -> None:
    """Units are right: the median swing of a lead is 0.4 to 3 mV, also where the file had lost its amplitude."""
    swings = []
    for row in rows[dataset][:: max(1, len(rows[dataset]) // 10)][:10]:
        microvolts = read_recording(data / row["path"]).microvolts
        swings += list(np.subtract(*np.nanpercentile(microvolts, [99.5, 0.5], axis=1)))
    assert 400 < np.median(swings) < 3000
