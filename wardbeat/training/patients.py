"""Synthetic patients for what the databases hold too little of: flutter, bigeminy, changes of rhythm, noise."""

from dataclasses import replace

import numpy as np

from ecg.leads import LEADS
from ecg.recording import Recording, Rhythm
from ecg.synthetic import SyntheticPatient

COUNT = 400
LENGTH_S = 60
LOUD_UV = 1500  # of muscle noise: a QRS of 1 mV can no longer be found in it
KINDS = ("sinus", "arrhythmia", "af", "flutter", "pac", "pvc", "rate", "change", "noise", "vt")
_SHARES = (0.1, 0.1, 0.16, 0.2, 0.1, 0.08, 0.06, 0.12, 0.05, 0.03)
SEEN_THROUGH = (LEADS, LEADS[:6], ("I", "II", "V1"), ("II", "V1"), ("I",), ("II",), ("V1",), ("V5",))


def script_of(kind: str, rng: np.random.Generator) -> str:
    """A minute of a kind; ValueError, quoting, for one that is not known."""

    def between(low: float, high: float) -> int:
        return round(rng.uniform(low, high))

    if kind == "sinus":
        return f"sinus(rate={between(50, 105)}){_overlays(rng)} {LENGTH_S}s"
    if kind == "arrhythmia":  # of breathing, deeper than the patient's own: faster and slower again within 4 to 6 s
        slow, half = between(48, 75), rng.uniform(1.8, 3.0)
        fast = round(slow * rng.uniform(1.15, 1.5))
        rounds = int(LENGTH_S / (2 * half)) + 1
        return f"(sinus(rate={slow}) {half:.1f}s, sinus(rate={fast}) {half:.1f}s) x{rounds}"
    if kind == "af":
        return f"af(rate={between(50, 180)}){_overlays(rng)} {LENGTH_S}s"
    if kind == "flutter":
        return f"{_flutter(rng)}{_overlays(rng)} {LENGTH_S}s"
    if kind in ("pac", "pvc"):
        how = f"every={rng.choice([2, 3, 4])}" if rng.random() < 0.5 else f"p={rng.uniform(0.05, 0.4):.2f}"
        return f"{kind}(rate={between(55, 95)}, {how}){_overlays(rng)} {LENGTH_S}s"
    if kind == "rate":
        slow = rng.random() < 0.5
        return f"{'brady' if slow else 'tachy'}(rate={between(32, 55) if slow else between(105, 170)}) {LENGTH_S}s"
    if kind == "change":
        other = f"af(rate={between(70, 160)})" if rng.random() < 0.7 else _flutter(rng)
        before, during = between(12, 30), between(5, 25)
        rate = between(55, 95)
        return f"sinus(rate={rate}) {before}s, {other} {during}s, sinus(rate={rate}) {LENGTH_S - before - during}s"
    if kind == "noise":
        return f"{rng.choice(['sinus', 'af'])}+noise({LOUD_UV}) {LENGTH_S}s"
    if kind == "vt":
        return f"sinus 20s, vt(rate={between(120, 220)}) {between(5, 20)}s, sinus 30s"
    raise ValueError(f"unknown kind of patient {kind!r}; known: {', '.join(KINDS)}")


def _flutter(rng: np.random.Generator) -> str:
    block = str(rng.choice(["1", "2", "2", "3", "4", "var", "var"]))
    waves = rng.uniform(230, 340)
    return f"flutter(rate={waves / (2.9 if block == 'var' else int(block)):.0f}, block={block})"


def _overlays(rng: np.random.Generator) -> str:
    noise = f"+noise({round(rng.uniform(10, 120))})" if rng.random() < 0.5 else ""
    wander = f"+wander({round(rng.uniform(100, 800))})" if rng.random() < 0.3 else ""
    mains = f"+mains({rng.choice([50, 60])}, {round(rng.uniform(10, 100))})" if rng.random() < 0.2 else ""
    return noise + wander + mains


def patient(number: int) -> tuple[Recording, tuple[str, ...]]:
    """Patient ``number``, and the leads that it is seen through."""
    rng = np.random.default_rng((20_261_121, number))
    kind = str(rng.choice(KINDS, p=_SHARES))
    seen = SEEN_THROUGH[int(rng.integers(len(SEEN_THROUGH)))]
    recording = SyntheticPatient(script_of(kind, rng), seed=number, leads=seen).recording(f"synthetic-{number:04d}")
    if kind == "noise":  # whatever the heart does cannot be seen
        whole = (Rhythm("(NOISE", 0, recording.microvolts.shape[1]),)
        recording = replace(recording, rhythms=whole, beats=None, beat_symbols=())
    return recording, seen
