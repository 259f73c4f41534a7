"""Lead states on real signals: noise that hides beats is told, clean and stopped hearts are not noise."""

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ecg.leads import LEAD_INDEX
from ecg.quality import LeadQuality, LeadState, usable
from ecg.readers import read_recording
from windowing.assembler import Assembler
from windowing.spans import Span


def states(path: Path, end_s: float = 1e9) -> npt.NDArray[np.object_]:
    """(marks, leads) states of a record until ``end_s``, as the ward would see them, one each 0.5 s from 2 s on."""
    recording = read_recording(path)
    assembler, quality, marks = Assembler(), LeadQuality(), []
    for chunk in recording.chunks("bed"):
        if chunk.end / chunk.fs <= end_s:
            for item in [*assembler.push(chunk), *(assembler.end() if chunk.final else [])]:
                if isinstance(item, Span):
                    marks += quality.push(item.microvolts, item.mask)
    return np.array([[mark.states[LEAD_INDEX[lead]] for lead in recording.leads] for mark in marks[3:]], dtype=object)


def paths(data: Path, dataset: str, label: str) -> list[Path]:
    """Records of a data set that bear a label."""
    with (data / "index.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["dataset"] == dataset and label in r["labels"].split(";")]
    return [data / row["path"] for row in rows]


def test_acceptable_and_unacceptable_records_are_told_apart(data: Path) -> None:
    """cinc2011: people's verdict is followed (measured on all of it: sensitivity .84, specificity .95)."""
    bad = {
        label: [
            (states(path) != LeadState.GOOD).mean(axis=0).max() > 0.5 for path in paths(data, "cinc2011", label)[::4]
        ]
        for label in ("ACCEPTABLE", "UNACCEPTABLE")
    }
    assert np.mean(bad["UNACCEPTABLE"]) > 0.7
    assert np.mean(bad["ACCEPTABLE"]) < 0.15


@pytest.mark.parametrize("label", ["ASYS-TRUE", "VFIB-TRUE", "VTACH-TRUE"])
def test_the_deadly_rhythms_are_never_called_unusable(data: Path, label: str) -> None:
    """In true asystole, VF and VT of bedside monitors, some lead stays usable: they are not taken for noise."""
    for path in paths(data, "cinc2015", label)[:13]:
        last = states(path)[-20:]
        assert np.mean([usable(tuple(row)) for row in last]) > 0.9, path.name


def test_electrode_motion_is_told(data: Path) -> None:
    """nstdb: at -6 dB no lead is good; in the clean minutes before, both are."""
    found = states(data / "nstdb_118" / "118e_6", 415) == LeadState.GOOD
    assert np.mean(found[-2 * 110 :]) < 0.05  # noise begins at 300 s
    assert np.mean(found[: 2 * 290]) > 0.95
