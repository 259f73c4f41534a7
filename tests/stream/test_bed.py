"""One bed, from chunks to alarms and findings."""

import msgspec
import numpy as np
import pytest

from alarms.alarm import Kind, Phase
from ecg.chunk import MISSING, Chunk
from ecg.synthetic import SyntheticPatient
from stream.bed import Bed, BedConfig, Step
from stream.offline import analyze_beats, analyze_recording

CONFIG = BedConfig(waves=False)


def chunks_of(script: str, seed: int = 2) -> list[Chunk]:
    return list(SyntheticPatient(script, seed).recording("r").chunks("b", uv_per_bit=2.5))


def run(chunks: list[Chunk], config: BedConfig = CONFIG) -> Step:
    bed, total = Bed("b", config), Step()
    for chunk in chunks:
        step = bed.push(chunk)
        total.findings += step.findings
        total.alarms += step.alarms
        total.beats += step.beats
    return total


def started(step: Step) -> list[Kind]:
    return [event.kind for event in step.alarms if event.phase is Phase.START]


def test_electrodes_off_and_chunks_missing_are_told_apart() -> None:
    """Protects the nurse from looking for the wrong fault: samples full of MISSING are leads off, a gap is no data."""
    chunks = chunks_of("sinus 40s")
    dead = np.full(100 * 12, MISSING, dtype="<i2").tobytes()
    off = [msgspec.structs.replace(c, samples=dead) if 75 <= n < 115 else c for n, c in enumerate(chunks)]
    gone = [c for n, c in enumerate(chunks) if not 75 <= n < 115]
    assert started(run(off)) == [Kind.LEADS_OFF]
    assert started(run(gone)) == [Kind.NO_DATA]


@pytest.mark.parametrize(
    ("script", "kind", "within_s"),
    [
        ("sinus(rate=75) 20s, asystole 12s", Kind.ASYSTOLE, 5.0),
        ("sinus 20s, sinus+leads_off(V1) 12s", Kind.LEADS_OFF, 3.0),
        ("sinus(rate=80) 20s, sinus(rate=135) 15s", Kind.TACHY, 10.0),
        ("sinus(rate=80) 20s, sinus(rate=40) 15s", Kind.BRADY, 10.0),
    ],
)
def test_alarms_come_within_their_time(script: str, kind: Kind, within_s: float) -> None:
    """Protects the delays that the issue asks for, in samples: no clock is involved."""
    patient = SyntheticPatient(script, 4)
    change = 20 * 500
    if kind is Kind.ASYSTOLE:
        change = int(patient.beats[patient.beats < change][-1])
    first = next(event for event in run(chunks_of(script, 4)).alarms if event.kind is kind)
    assert change < first.at <= change + within_s * 500


def test_a_short_record_is_one_masked_window() -> None:
    """Protects short recordings: six seconds give one finding, with the beats that are there."""
    patient = SyntheticPatient("sinus(rate=75) 6s", 3)
    analysis = analyze_recording(patient.recording("short"), CONFIG)
    assert [finding.end for finding in analysis.findings] == [5000]
    assert len(analysis.findings[0].beats) >= len(patient.beats) - 1
    assert analysis.seconds == 6


def test_findings_say_what_the_patient_is() -> None:
    """Protects the finding's meaning: rate and beats as in the patient's truth, every lead good, once a second."""
    patient = SyntheticPatient("sinus(rate=90) 30s", 5)
    analysis = analyze_recording(patient.recording("r"), CONFIG)
    assert [finding.end for finding in analysis.findings] == list(range(5000, 15001, 500))
    last = analysis.findings[-1]
    assert last.usable
    assert last.hr_bpm == pytest.approx(90, abs=4)
    assert set(last.quality.values()) == {"good"}
    assert set(last.quality) == set(patient.leads)
    truth = patient.beats[(patient.beats >= 10_000) & (patient.beats < 14_700)]
    found = np.array([beat for beat in last.beats if beat < 14_700])
    assert len(found) == len(truth)
    assert np.abs(found - truth).max() <= 25


def test_analysis_does_not_depend_on_the_chunks() -> None:
    """Protects `analyze` from the size of its chunks: it says what the live ward says of 200 ms chunks."""
    recording = SyntheticPatient("sinus 12s, asystole 8s, sinus 12s", 6).recording("r")
    analysis = analyze_recording(recording, CONFIG, bed="b")
    live = run(list(recording.chunks("b")))
    ids = [(event.event, event.text) for event in live.alarms]
    assert ids
    assert [(event.event, event.text) for event in analysis.alarms] == ids
    assert analysis.beats == live.beats


def test_beats_alone_give_alarms() -> None:
    """Protects `analyze --beats`: known beats at any rate are judged by the same rules, up to the last one."""
    beats = np.concatenate((np.arange(0, 30, 0.8), np.arange(36, 60, 0.8)))
    analysis = analyze_beats("r", np.rint(beats * 128).astype(np.int64), 128, CONFIG)
    kinds = [(event.kind, event.phase) for event in analysis.alarms]
    assert (Kind.ASYSTOLE, Phase.START) in kinds
    assert (Kind.ASYSTOLE, Phase.END) in kinds
    assert analysis.findings[-1].hr_bpm == pytest.approx(75, abs=1)
    assert analysis.findings[-1].end <= beats[-1] * 500
