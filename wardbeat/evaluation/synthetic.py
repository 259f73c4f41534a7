"""Synthetic patients who are easily taken to have AF, or not to: where databases hold too few of a kind.

They are other patients than those of training (``wardbeat.training.patients``), but of the same generator: what is
right here may still be wrong on people.
"""

from dataclasses import replace

import numpy as np

from ecg.recording import Recording, Rhythm
from ecg.synthetic import SyntheticPatient
from wardbeat.training.patients import LOUD_UV
from wardbeat.training.records import Record

SYNTHETIC = "synthetic"
PATIENTS = 4  # of each cause
LENGTH_S = 300
FIRST_SEED = 1_000_000  # training's patients count from 0

CAUSES = (
    "sinus arrhythmia",
    "frequent PACs",
    "bigeminy, trigeminy",
    "sick sinus",
    "pacing",
    "flutter",
    "noise",
    "paced AF",
    "atrial tachycardia",
)


def script_of(cause: str, rng: np.random.Generator) -> str:
    """Five minutes of it; ValueError, quoting, for a cause that is not known."""

    def between(low: float, high: float) -> int:
        return round(rng.uniform(low, high))

    if cause == "sinus arrhythmia":
        slow, half = between(48, 70), rng.uniform(1.8, 3.0)
        rounds = int(LENGTH_S / (2 * half)) + 1
        return f"(sinus(rate={slow}) {half:.1f}s, sinus(rate={between(1.2 * slow, 1.5 * slow)}) {half:.1f}s) x{rounds}"
    if cause == "frequent PACs":
        return f"pac(rate={between(55, 90)}, p={rng.uniform(0.15, 0.35):.2f})+noise(30) {LENGTH_S}s"
    if cause == "bigeminy, trigeminy":
        every, kind = int(rng.choice([2, 3])), str(rng.choice(["pac", "pvc"]))
        return f"{kind}(rate={between(55, 90)}, every={every})+noise(30) {LENGTH_S}s"
    if cause == "sick sinus":  # slow, with pauses, and bouts of a faster rhythm between
        parts = []
        for _ in range(LENGTH_S // 20):
            slow, pause = between(32, 48), between(2, 4)
            parts += [f"pause(s={pause}, rate={max(slow, 40)}) {pause + between(3, 6)}s"]
            parts += [f"sinus(rate={slow}) {between(4, 7)}s", f"sinus(rate={between(60, 100)}) {between(4, 7)}s"]
        return ", ".join(parts)
    if cause == "pacing":
        return f"paced(rate={between(55, 100)}, atria={rng.choice(['sinus', 'paced'])})+noise(30) {LENGTH_S}s"
    if cause == "flutter":
        block = str(rng.choice(["2", "3", "4", "var"]))
        rate = rng.uniform(240, 330) / (2.9 if block == "var" else int(block))
        return f"flutter(rate={rate:.0f}, block={block})+noise(30) {LENGTH_S}s"
    if cause == "noise":
        return f"sinus+noise({LOUD_UV}) {LENGTH_S}s"
    if cause == "paced AF":  # the ventricles are regular: only what lies between the beats shows it
        return f"paced(rate={between(55, 90)}, atria=af)+noise(30) {LENGTH_S}s"
    if cause == "atrial tachycardia":  # in runs, each of a rate of its own
        return f"pac(rate={between(60, 90)}, p={rng.uniform(0.2, 0.4):.2f}, run=20)+noise(30) {LENGTH_S}s"
    raise ValueError(f"unknown cause {cause!r}; known: {', '.join(CAUSES)}")


def synthetic_records() -> list[Record]:
    """All of them, in order."""
    return [
        Record(SYNTHETIC, f"{SYNTHETIC}/{cause}/{k}", f"{SYNTHETIC}-{cause}-{k}", (cause,))
        for cause in CAUSES
        for k in range(PATIENTS)
    ]


def recording_of(record: Record) -> Recording:
    """The patient of a record of ``synthetic_records``.

    Raises:
        ValueError: there is none of this name; quotes it.
    """
    if record not in synthetic_records():
        raise ValueError(f"no synthetic patient is called {record.path!r}")
    (cause,) = record.labels
    number = FIRST_SEED + synthetic_records().index(record)
    recording = SyntheticPatient(script_of(cause, np.random.default_rng(number)), number).recording(record.path)
    if cause == "noise":  # whatever the heart does cannot be seen
        whole = (Rhythm("(NOISE", 0, recording.microvolts.shape[1]),)
        return replace(recording, rhythms=whole, beats=None, beat_symbols=())
    return recording
