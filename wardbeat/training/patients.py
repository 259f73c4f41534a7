"""Synthetic patients for what the databases hold too little of.

Flutter, bigeminy, changes of rhythm, noise; AF beside PVCs, wide QRS or a pacemaker, what is as irregular as AF, and
tremor.
"""

from dataclasses import replace

import numpy as np

from ecg.leads import LEADS
from ecg.recording import Recording, Rhythm
from ecg.synthetic import SyntheticPatient
from ecg.synthetic.script import BLOCKS
from wardbeat.training.augment import add_tremor
from wardbeat.training.noise import swing

COUNT = 1000
LENGTH_S = 60
TREMBLING = 0.12  # share of all kinds
LOUD_UV = 1500  # of muscle noise: a QRS of 1 mV can no longer be found in it
_SHARES = {
    "sinus": 0.03,
    "arrhythmia": 0.08,
    "af": 0.05,
    "flutter": 0.08,
    "pac": 0.06,
    "pvc": 0.08,
    "rate": 0.03,
    "change": 0.08,
    "noise": 0.02,
    "vt": 0.04,
    "af_ectopy": 0.09,
    "af_block": 0.13,
    "paced_af": 0.05,
    "paced": 0.07,
    "sinus_block": 0.04,
    "sick_sinus": 0.03,
    "pac_runs": 0.04,
}
KINDS = tuple(_SHARES)
SEEN_THROUGH = (LEADS, LEADS[:6], ("I", "II", "V1"), ("II", "V1"), ("I",), ("II",), ("V1",), ("V5",))


def script_of(kind: str, rng: np.random.Generator) -> str:
    """A minute of a kind; ValueError, quoting, for one that is not known."""

    def between(low: float, high: float) -> int:
        return round(rng.uniform(low, high))

    if kind == "sinus":
        return f"sinus(rate={between(50, 105)}){_overlays(rng)} {LENGTH_S}s"
    if kind == "arrhythmia":  # of breathing, deeper than the patient's own
        return f"sinus(rate={between(48, 85)}, rsa={rng.uniform(0.05, 0.25):.2f}){_overlays(rng)} {LENGTH_S}s"
    if kind == "af":
        return f"af(rate={between(50, 180)}){_overlays(rng)} {LENGTH_S}s"
    if kind == "flutter":
        return f"{_flutter(rng)}{_overlays(rng)} {LENGTH_S}s"
    if kind in ("pac", "pvc"):
        how = f"every={rng.choice([2, 3, 4])}" if rng.random() < 0.5 else f"p={rng.uniform(0.05, 0.5):.2f}"
        return f"{kind}(rate={between(55, 95)}, {how}){_overlays(rng)} {LENGTH_S}s"
    if kind == "rate":
        if rng.random() < 0.5:
            return f"brady(rate={between(32, 55)}) {LENGTH_S}s"
        return f"tachy(rate={between(105, 170)}) {LENGTH_S}s"
    if kind == "change":
        other = f"af(rate={between(70, 160)})" if rng.random() < 0.7 else _flutter(rng)
        before, during = between(12, 30), between(5, 25)
        sinus = f"sinus(rate={between(55, 95)})"
        wide = _block(rng) if rng.random() < 0.3 else ""
        return f"{sinus}{wide} {before}s, {other}{wide} {during}s, {sinus}{wide} {LENGTH_S - before - during}s"
    if kind == "noise":
        return f"{rng.choice(['sinus', 'af'])}+noise({LOUD_UV}) {LENGTH_S}s"
    if kind == "vt":
        sinus = f"sinus(rate={between(55, 100)}){_pvcs(rng)}"
        if rng.random() < 0.4:
            return f"{sinus} 20s, vt(rate={between(120, 220)}) {between(5, 20)}s, {sinus} 30s"
        runs = [f"{sinus} {between(4, 9)}s, vt(rate={between(110, 200)}) {rng.uniform(1.5, 4):.1f}s" for _ in range(7)]
        return ", ".join(runs)
    if kind == "af_ectopy":
        return f"af(rate={between(55, 140)}){_pvcs(rng)}{_overlays(rng)} {LENGTH_S}s"
    if kind == "af_block":
        also = _pvcs(rng) if rng.random() < 0.3 else ""
        return f"af(rate={between(50, 150)}){_block(rng)}{also}{_overlays(rng)} {LENGTH_S}s"
    if kind in ("paced_af", "paced"):
        return _paced(str(rng.choice(["sinus", "paced"])) if kind == "paced" else "af", rng)
    if kind == "sinus_block":
        rhythm = f"sinus(rate={between(50, 110)})" if rng.random() < 0.7 else f"pac(rate={between(55, 95)}, p=0.2)"
        also = _pvcs(rng) if rng.random() < 0.3 else ""
        return f"{rhythm}{_block(rng)}{also}{_overlays(rng)} {LENGTH_S}s"
    if kind == "sick_sinus":  # slow, with pauses that nothing announces, and bouts of a faster rhythm between
        parts, noise = [], _overlays(rng)
        for _ in range(4):
            slow, pause = between(40, 55), rng.uniform(1.7, 4)
            parts += [f"pause(s={pause:.1f}, rate={slow}){noise} {pause + rng.uniform(3.1, 6):.1f}s"]
            parts += [f"brady(rate={between(32, 50)}){noise} {between(3, 6)}s"]
            parts += [f"sinus(rate={between(55, 110)}){noise} {between(2, 5)}s"]
        return ", ".join(parts)
    if kind == "pac_runs":
        often, longest = rng.uniform(0.05, 0.3), between(3, 12)
        return f"pac(rate={between(55, 90)}, p={often:.2f}, run={longest}){_overlays(rng)} {LENGTH_S}s"
    raise ValueError(f"unknown kind of patient {kind!r}; known: {', '.join(KINDS)}")


def _flutter(rng: np.random.Generator) -> str:
    block = str(rng.choice(["1", "2", "2", "3", "4", "var", "var", "var"]))
    waves = rng.uniform(230, 340)
    return f"flutter(rate={waves / (2.9 if block == 'var' else int(block)):.0f}, block={block})"


def _block(rng: np.random.Generator) -> str:
    return f"+{rng.choice(BLOCKS, p=[0.5, 0.3, 0.2])}"


def _pvcs(rng: np.random.Generator) -> str:
    return f"+pvc({rng.uniform(0.04, 0.35):.2f})"


def _paced(atria: str, rng: np.random.Generator) -> str:
    """All beats paced or, as the patient's own rate goes up and down, some of them."""
    rate, noise = round(rng.uniform(55, 90)), _overlays(rng)
    paced = f"paced(rate={rate}, atria={atria}){_pvcs(rng) if rng.random() < 0.25 else ''}{noise}"
    if rng.random() < 0.6:
        return f"{paced} {LENGTH_S}s"
    wide = _block(rng) if rng.random() < 0.3 else ""
    own = f"{'af' if atria == 'af' else 'sinus'}(rate={rate + round(rng.uniform(8, 40))}){wide}{noise}"
    return ", ".join(f"{paced} {rng.uniform(4, 11):.1f}s, {own} {rng.uniform(3, 8):.1f}s" for _ in range(4))


def _overlays(rng: np.random.Generator) -> str:
    noise = f"+noise({round(rng.uniform(10, 120))})" if rng.random() < 0.5 else ""
    wander = f"+wander({round(rng.uniform(100, 800))})" if rng.random() < 0.3 else ""
    mains = f"+mains({rng.choice([50, 60])}, {round(rng.uniform(10, 100))})" if rng.random() < 0.2 else ""
    return noise + wander + mains


def drawn(number: int) -> tuple[str, tuple[str, ...], str]:
    """Kind, leads that it is seen through, and script of patient ``number``."""
    rng = np.random.default_rng((20_261_121, number))
    kind = str(rng.choice(KINDS, p=list(_SHARES.values())))
    seen = SEEN_THROUGH[int(rng.integers(len(SEEN_THROUGH)))]
    return kind, seen, script_of(kind, rng)


def patient(number: int) -> Recording:
    """Patient ``number``, through the leads that it is seen through."""
    kind, seen, script = drawn(number)
    recording = SyntheticPatient(script, seed=number, leads=seen).recording(f"synthetic-{number:04d}")
    rng = np.random.default_rng((20_261_121, number, 1))
    if rng.random() < TREMBLING:
        x = recording.microvolts.copy()
        add_tremor(x, swing(x, recording.fs), recording.fs, rng)
        recording = replace(recording, microvolts=x)
    if kind == "noise":  # whatever the heart does cannot be seen
        whole = (Rhythm("(NOISE", 0, recording.microvolts.shape[1]),)
        recording = replace(recording, rhythms=whole, beats=None, beat_symbols=())
    return recording
