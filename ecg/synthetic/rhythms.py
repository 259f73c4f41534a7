"""When the heart beats: RR intervals of each rhythm, and the schedule of all beats of a script."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ecg.synthetic.script import BLOCKS, PACED, SINUS, VARIED, VARIED_MEAN, Script, Segment, flutter_rates
from ecg.synthetic.traits import Traits

Floats = npt.NDArray[np.float64]

NORMAL, BY_ATRIA, VENTRICULAR, BY_PACEMAKER = 0, 1, 2, 3
SYMBOLS = ("N", "A", "V", "/")  # WFDB annotation codes of the four
_BLOCKED = {"lbbb": "L", "rbbb": "R"}  # those of a normal beat with a bundle branch block

# A premature atrial beat resets the sinus node: the pause after it is longer than RR, but does not compensate.
_PAC_COUPLING, _PAC_RETURN = (0.55, 0.72), (1.05, 1.2)
_VENTRICULAR_JITTER = 0.01  # VT is regular: relative standard deviation of RR
_FIRST_BEAT_S = 0.3  # from a segment's onset to its first R peak where no earlier beat sets it: room for a P wave
_SINUS_JITTER = 0.008
_UNEVEN_BREATH = 0.6  # radians a beat: the phase of awake breathing wanders
_RUN_STEP = (0.45, 0.62)  # RR within a run of PACs as a share of the sinus node's: some 100 to 160 /min
_RUN_JITTER = 0.04
_WITH_PVCS, _WITH_RUNS = 1.5, 2.3  # a train of beats that come early is at most so much shorter
_PACEMAKER_JITTER = 0.001  # relative: its clock ticks in milliseconds
_AF_COUPLING_S = (0.38, 0.56)  # of a PVC in AF; it follows the beat, not a cycle
_CONCEALED = (0.1, 0.45)  # share of the mean RR by which it delays the next beat, having entered the AV node
_FLUTTER_CONDUCTION = 0.55  # share of a flutter wave's period from its steep limb to the R peak that answers it


@dataclass(frozen=True)
class Beats:
    """Every beat of a script, in order.

    Attributes:
        sample: (b,) int64 R peaks.
        kind: (b,) int8 ``NORMAL``, ``BY_ATRIA`` (premature from the atria), ``VENTRICULAR`` or ``BY_PACEMAKER``.
        p_wave: (b,) bool, a P wave goes before it.
        rr_s: (b,) float64 RR interval that ends with it, seconds.
        block: (b,) int8 0, or 1 + index into ``script.BLOCKS`` of what its conduction suffers from.
        atrial_spike: (b,) bool, its P wave is paced.
    """

    sample: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int8]
    p_wave: npt.NDArray[np.bool_]
    rr_s: Floats
    block: npt.NDArray[np.int8]
    atrial_spike: npt.NDArray[np.bool_]

    def symbols(self) -> tuple[str, ...]:
        """WFDB annotation code of each beat."""
        codes = {1 + BLOCKS.index(name): code for name, code in _BLOCKED.items()}
        return tuple(
            codes.get(block, SYMBOLS[kind]) if kind == NORMAL else SYMBOLS[kind]
            for kind, block in zip(self.kind.tolist(), self.block.tolist(), strict=True)
        )


@dataclass(frozen=True)
class _Train:
    """The RR intervals of one segment (seconds; the first leads to its first beat) and what kind each beat is."""

    rr_s: Floats
    kind: npt.NDArray[np.int8]


def schedule(script: Script, bounds: npt.NDArray[np.int64], traits: Traits, rng: np.random.Generator, fs: int) -> Beats:
    """Place every beat of ``script``; ``bounds`` (segments + 1,) are the sample indices between segments.

    A segment's first beat follows the last beat before it by one RR of the new rhythm. Where that is long ago, it comes
    ``_FIRST_BEAT_S`` after the onset.
    """
    samples: list[npt.NDArray[np.int64]] = []
    kinds: list[npt.NDArray[np.int8]] = []
    p_waves: list[npt.NDArray[np.bool_]] = []
    rrs: list[Floats] = []
    blocks: list[npt.NDArray[np.int8]] = []
    spikes: list[npt.NDArray[np.bool_]] = []
    last = -np.inf
    for segment, first, end in zip(script.segments, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        ectopy = segment.overlay("pvc")
        # PVCs that nothing makes up for shorten what they fall into: enough of it for the whole segment
        wanted_s = segment.seconds * (_WITH_PVCS if ectopy is not None else 1.0)
        train = _TRAINS[segment.rhythm](replace(segment, seconds=wanted_s), traits, rng)
        if not len(train.rr_s):
            continue
        if ectopy is not None:
            train = _with_pvcs(train, segment, ectopy.values[0], traits, rng)
        if segment.rhythm == "flutter":  # the ventricles answer the flutter waves, whose steep limb is at the onset
            period = 60 / flutter_rates(segment, traits.atrial_rate)[0] * fs
            wanted = max(last + train.rr_s[0] * fs, first + _FIRST_BEAT_S * fs)
            start = first + _FLUTTER_CONDUCTION * period + np.ceil((wanted - first) / period) * period
        else:
            room = rng.uniform(0, 0.6) * train.rr_s[0] if not samples else 0.0  # beds do not beat in step
            start = max(last + train.rr_s[0] * fs, first + (_FIRST_BEAT_S + room) * fs)
        at = start + np.concatenate([[0.0], np.cumsum(train.rr_s[1:])]) * fs
        keep = at < end
        samples.append(np.rint(at[keep]).astype(np.int64))
        kinds.append(train.kind[keep])
        here = int(keep.sum())
        p_waves.append(np.full(here, segment.rhythm != "flutter" and not segment.fibrillates))
        blocks.append(np.full(here, 0 if segment.block is None else 1 + BLOCKS.index(segment.block), np.int8))
        spikes.append(np.full(here, segment.rhythm == "paced" and segment.value("atria") == PACED))
        rrs.append(train.rr_s[keep])
        if keep.any():
            last = float(at[keep][-1])
    if not samples:
        no, none = np.zeros(0, np.bool_), np.zeros(0, np.int8)
        return Beats(np.zeros(0, np.int64), none, no, np.zeros(0), none, no)
    return Beats(
        np.concatenate(samples),
        np.concatenate(kinds),
        np.concatenate(p_waves),
        np.concatenate(rrs),
        np.concatenate(blocks),
        np.concatenate(spikes),
    )


def sinus_rr_s(
    rate: float, seconds: float, traits: Traits, rng: np.random.Generator, rsa: float | None = None
) -> Floats:
    """RR intervals of sinus rhythm at ``rate``: respiratory and 0.1 Hz variability (after McSharry 2003), seconds.

    Their mean is 60 / rate exactly. There is one more than ``seconds`` needs. Where ``rsa`` takes the place of the
    patient's own, breathing is as uneven as it is awake.
    """
    mean = 60 / rate
    n = int(seconds / mean) + 2
    t = np.arange(n) * mean
    depth = min(1.0, mean / 0.8)  # variability shrinks as the rate rises
    drift = np.cumsum(rng.standard_normal(n)) * 0.15  # the slow part is no pure tone
    uneven = 0.0 if rsa is None else np.cumsum(rng.standard_normal(n)) * _UNEVEN_BREATH
    rr = 1 + depth * (
        (traits.rsa if rsa is None else rsa) * np.sin(2 * np.pi * traits.respiration_hz * t + uneven)
        + traits.low_frequency * np.sin(2 * np.pi * 0.1 * t + drift)
        + _SINUS_JITTER * rng.standard_normal(n)
    )
    return np.asarray(rr * (mean / rr.mean()))


def af_rr_s(rate: float, seconds: float, rng: np.random.Generator) -> Floats:
    """RR intervals of AF at a mean ``rate``: uncorrelated, log-normal above the AV node's refractory time, seconds."""
    mean = 60 / rate
    refractory = min(0.33, 0.6 * mean)
    spread = 0.23 * mean / (mean - refractory)  # the coefficient of variation of RR in AF is near .23
    sigma = np.sqrt(np.log1p(spread**2))  # of a log-normal of that coefficient of variation
    above = rng.lognormal(0.0, sigma, int(seconds / mean) + 2)
    return np.asarray(refractory + above * ((mean - refractory) / above.mean()))


def _normal(rr: Floats) -> _Train:
    return _Train(rr, np.full(len(rr), NORMAL, np.int8))


def _sinus(segment: Segment, traits: Traits, rng: np.random.Generator) -> _Train:
    rate, rsa = segment.value("rate") or traits.rate, segment.value("rsa")
    return _normal(sinus_rr_s(rate, segment.seconds, traits, rng, rsa))


def _af(segment: Segment, _: Traits, rng: np.random.Generator) -> _Train:
    return _normal(af_rr_s(segment.value("rate") or 0.0, segment.seconds, rng))


def _flutter(segment: Segment, traits: Traits, rng: np.random.Generator) -> _Train:
    atrial, block = flutter_rates(segment, traits.atrial_rate)
    n = int(segment.seconds * atrial / 60 / (block or VARIED_MEAN) * 1.5) + 2
    blocks = rng.choice([2.0, 3.0, 4.0], n, p=[0.4, 0.3, 0.3]) if block == VARIED else np.full(n, block)
    return _normal(blocks * (60 / atrial))


def _premature(segment: Segment, n: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Which of ``n`` beats come early: every ``every``th, or each with probability ``p``, never two in a row."""
    every = segment.value("every")
    if every is not None:
        return np.arange(int(every) - 1, n - 1, int(every))
    chosen = np.flatnonzero(rng.random(n - 1) < (segment.value("p") or 0.0))
    chosen = chosen[chosen > 0]
    early: list[int] = []
    for i in chosen.tolist():
        if not early or i > early[-1] + 1:
            early.append(i)
    return np.array(early, dtype=np.intp)


def _pac(segment: Segment, traits: Traits, rng: np.random.Generator) -> _Train:
    rate = segment.value("rate") or traits.rate
    length = int(segment.value("run") or 1)
    train = _normal(sinus_rr_s(rate, segment.seconds * (_WITH_RUNS if length > 1 else 1.0), traits, rng))
    early = _premature(segment, len(train.rr_s), rng)
    if length > 1:
        return _pac_runs(train, early, length, rng)
    train.rr_s[early] *= rng.uniform(*_PAC_COUPLING, len(early))
    train.rr_s[early + 1] *= rng.uniform(*_PAC_RETURN, len(early))
    train.kind[early] = BY_ATRIA
    return _Train(train.rr_s * (60 / rate / train.rr_s.mean()), train.kind)


def _pac_runs(train: _Train, early: npt.NDArray[np.intp], length: int, rng: np.random.Generator) -> _Train:
    """Two to ``length`` PACs in a row from each of ``early`` on; the rate is that of the sinus node between them."""
    rr, free = train.rr_s, 0
    for first in early.tolist():
        if first < free:
            continue
        end = min(first + int(rng.integers(2, length + 1)), len(rr) - 1)
        rr[first] *= rng.uniform(*_PAC_COUPLING)
        rr[first + 1 : end] *= rng.uniform(*_RUN_STEP) * (1 + _RUN_JITTER * rng.standard_normal(end - first - 1))
        rr[end] *= rng.uniform(*_PAC_RETURN)
        train.kind[first:end] = BY_ATRIA
        free = end + 2
    return train


def _with_pvcs(train: _Train, segment: Segment, p: float, traits: Traits, rng: np.random.Generator) -> _Train:
    """The train with each beat a PVC with probability ``p``, never two in a row."""
    rr, mean = train.rr_s.copy(), float(train.rr_s.mean())
    kind = train.kind.copy()
    chosen = np.flatnonzero(rng.random(len(rr) - 1) < p)
    last = 0  # the first beat is as it was
    for i in chosen.tolist():
        if i < last + 1:
            continue
        last = i + 1
        if segment.fibrillates:
            at = rng.uniform(*_AF_COUPLING_S)
            if at >= rr[i]:
                continue  # the next beat has come before it
            rr[i], rr[i + 1] = at, rr[i + 1] + rng.uniform(*_CONCEALED) * mean
        else:
            cut = rr[i] * (1 - traits.coupling + 0.015 * rng.standard_normal())
            rr[i] -= cut
            if segment.rhythm != "paced" or segment.value("atria") == SINUS:
                rr[i + 1] += cut  # a full compensatory pause; a pacemaker's clock begins anew
        kind[i] = VENTRICULAR
    return _Train(rr, kind)


def _paced(segment: Segment, traits: Traits, rng: np.random.Generator) -> _Train:
    rate = segment.value("rate") or 0.0
    if segment.value("atria") == SINUS:  # the pacemaker follows each P wave
        rr = sinus_rr_s(rate, segment.seconds, traits, rng)
    else:
        n = int(segment.seconds * rate / 60) + 2
        rr = 60 / rate * (1 + _PACEMAKER_JITTER * rng.standard_normal(n))
    return _Train(rr, np.full(len(rr), BY_PACEMAKER, np.int8))


def _pvc(segment: Segment, traits: Traits, rng: np.random.Generator) -> _Train:
    train = _normal(sinus_rr_s(segment.value("rate") or traits.rate, segment.seconds, traits, rng))
    early = _premature(segment, len(train.rr_s), rng)
    cut = train.rr_s[early] * (1 - traits.coupling + 0.015 * rng.standard_normal(len(early)))
    train.rr_s[early] -= cut
    train.rr_s[early + 1] += cut  # a full compensatory pause: the sinus node was not reset
    train.kind[early] = VENTRICULAR
    return train


def _pause(segment: Segment, traits: Traits, rng: np.random.Generator) -> _Train:
    length = segment.value("s") or 0.0
    rr = sinus_rr_s(segment.value("rate") or traits.rate, segment.seconds, traits, rng)
    before = np.cumsum(rr)
    rr[max(1, int(np.searchsorted(before, (segment.seconds - length) / 2)))] = length
    return _normal(rr)


def _vt(segment: Segment, _: Traits, rng: np.random.Generator) -> _Train:
    mean = 60 / (segment.value("rate") or 0.0)
    rr = 1 + _VENTRICULAR_JITTER * rng.standard_normal(int(segment.seconds / mean) + 2)
    return _Train(rr * (mean / rr.mean()), np.full(len(rr), VENTRICULAR, np.int8))


def _no_beats(segment: Segment, traits: Traits, rng: np.random.Generator) -> _Train:  # noqa: ARG001
    return _Train(np.zeros(0), np.zeros(0, np.int8))


_TRAINS: dict[str, Callable[[Segment, Traits, np.random.Generator], _Train]] = {
    "sinus": _sinus,
    "brady": _sinus,
    "tachy": _sinus,
    "af": _af,
    "flutter": _flutter,
    "pac": _pac,
    "pvc": _pvc,
    "paced": _paced,
    "pause": _pause,
    "vt": _vt,
    "vf": _no_beats,
    "asystole": _no_beats,
}
