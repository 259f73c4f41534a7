"""The synthetic patient: a script played by one heart, any sample of which can be rendered at any time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg.chunk import MAX_FS, MIN_FS, MISSING
from ecg.leads import LEADS, lead_indices
from ecg.recording import Recording, Rhythm
from ecg.synthetic.dipole import DOWER, heart
from ecg.synthetic.noise import ELECTRODES, RESTING_MUSCLE_UV, RESTING_WANDER_UV, Noise
from ecg.synthetic.rhythms import schedule
from ecg.synthetic.script import Script, Segment
from ecg.synthetic.timeline import Run, bounds, runs
from ecg.synthetic.traits import draw_traits
from ecg.synthetic.waves import RAMP_S, wave_key, wave_of

UV_PER_BIT = 2.5  # half of the 5 µV that IEC 60601-2-25 allows a step; int16 then reaches ±82 mV
_BLOCKS_KEPT = 4  # a feeder asks for pieces of the newest second, and again for the last ones after an interruption
_RHYTHM_NAMES = {
    "sinus": "(N",
    "brady": "(SBR",
    "tachy": "(N",
    "af": "(AFIB",
    "flutter": "(AFL",
    "pac": "(N",
    "pvc": "(N",
    "pause": "(N",
    "vt": "(VT",
    "vf": "(VF",
    "asystole": "(ASYS",
    "paced": "(P",
}
_RUN = 3  # beats
_GROUPED = {("pvc", 2.0): "(B", ("pvc", 3.0): "(T", ("pac", 2.0): "(AB"}  # bigeminy, trigeminy, atrial bigeminy


@dataclass(frozen=True)
class LeadOff:
    """A lead is not measured in ``[first, end)`` samples."""

    lead: str
    first: int
    end: int


class SyntheticPatient:
    """One patient with a 12-lead ECG and the truth about it.

    Sample ``i`` is a function of ``(script, seed, fs, loop, i)`` alone: however the index range is cut, and however
    often a piece is rendered, the same bytes come out (on one machine; processors differ in the last bit of ``exp``).
    The same seed is the same patient under every script. One object belongs to one thread.

    Attributes:
        script: what happens.
        fs: samples per second, Hz.
        leads: standard names of the rows.
        uv_per_bit: microvolts of one count.
        loop: after its end the script begins again, with the same beats and other noise.
        n_samples: length of the script in samples.
        beats: (b,) int64 sample indices at which the heart's dipole is longest in a QRS (the R peak), ascending.
        beat_symbols: WFDB codes: N, L and R (with a bundle branch block), A (from the atria, early), V (ventricular), /
            (paced); none in VF and asystole.
        rhythms: WFDB rhythm names ``(N (SBR (AFIB (AFL (VT (VF (ASYS (B (T (AB (P (SVTA``, gapless, neighbours differ.
            Paced ventricles under fibrillating atria are ``(AFIB``.
        leads_off: when which lead is not measured; only leads of ``leads``.

    Of a script that loops, the truth is that of its first round.
    """

    def __init__(
        self, script: Script | str, seed: int, fs: int = 500, leads: Sequence[str] = LEADS, *, loop: bool = False
    ) -> None:
        """Draw the patient and every beat of the script.

        Raises:
            ValueError: the script, the rate or a lead is wrong; quotes it.
        """
        if seed < 0:
            raise ValueError(f"seed: expected none below 0, got {seed}")
        if not MIN_FS <= fs <= MAX_FS:
            raise ValueError(f"fs: expected {MIN_FS} to {MAX_FS} Hz, got {fs!r}")
        self._rows = lead_indices(leads)
        self.script = Script.parse(script) if isinstance(script, str) else script
        self.fs = fs
        self.leads = tuple(LEADS[row] for row in self._rows)
        if not self.script.segments:
            raise ValueError("script: expected at least one segment, got none")
        self.uv_per_bit = UV_PER_BIT
        self.loop = loop
        at = bounds(self.script, fs)
        self.n_samples = int(at[-1])

        for_traits, for_beats, for_noise = np.random.SeedSequence(seed).spawn(3)
        self.traits = draw_traits(np.random.default_rng(for_traits))
        rng = np.random.default_rng(for_beats)
        beats = schedule(self.script, at, self.traits, rng, fs)
        self._heart = heart(beats, self.traits, rng, fs)
        segments = self.script.segments
        self._waves = [(run, wave_of(run, self.traits, rng, fs)) for run in runs(segments, at, wave_key)]
        key = np.asarray(for_noise.generate_state(2, np.uint64), dtype=np.uint64)
        self._noise = Noise(key, self.traits, np.random.default_rng(for_noise), fs)
        self._overlays = {
            name: runs(segments, at, lambda segment, name=name: segment.overlay(name))  # type: ignore[misc]
            for name in ("noise", "mains", "wander")
        }

        self.beats: npt.NDArray[np.int64] = beats.sample
        self.beat_symbols = beats.symbols()
        named = tuple(Rhythm(_rhythm_name(run.segment), run.first, run.end) for run in runs(segments, at, _rhythm_name))
        self.rhythms = _with_runs(named, self.beats, self.beat_symbols)
        self.leads_off = tuple(
            LeadOff(lead, run.first, run.end)
            for lead in self.leads
            for run in runs(segments, at, lambda segment, lead=lead: _is_off(segment, lead))  # type: ignore[misc]
        )
        self._blocks: dict[int, npt.NDArray[np.float32]] = {}

    def render(self, first: int, n: int) -> npt.NDArray[np.int16]:
        """(leads, n) int16 counts of ``uv_per_bit``, samples ``[first, first + n)``; ``MISSING`` where a lead is off.

        Raises:
            ValueError: the range begins below 0 or reaches beyond the end of a script that does not loop.
        """
        microvolts = self.microvolts(first, n)
        off = np.isnan(microvolts)
        counts: npt.NDArray[np.int16] = np.rint(np.nan_to_num(microvolts) / np.float32(self.uv_per_bit)).astype(
            np.int16
        )
        counts[off] = MISSING
        return counts

    def microvolts(self, first: int, n: int) -> npt.NDArray[np.float32]:
        """(leads, n) float32 µV of the samples ``[first, first + n)`` before quantisation; NaN where a lead is off.

        Raises:
            ValueError: as for :meth:`render`.
        """
        if first < 0 or n < 0 or (not self.loop and first + n > self.n_samples):
            end = "without end" if self.loop else str(self.n_samples)
            raise ValueError(f"samples: expected a range within [0, {end}), got [{first}, {first + n})")
        out = np.empty((len(self._rows), n), dtype=np.float32)
        for block in range(first // self.fs, -(-(first + n) // self.fs)):
            begin = block * self.fs
            low, high = max(first, begin), min(first + n, begin + self.fs)
            out[:, low - first : high - first] = self._block(block)[:, low - begin : high - begin]
        return out

    def recording(self, name: str = "synthetic") -> Recording:
        """The whole script, once, as a recording that holds exactly what :meth:`render` gives, with its annotations."""
        counts = self.render(0, self.n_samples)
        microvolts = counts * np.float32(self.uv_per_bit)
        microvolts[counts == MISSING] = np.nan
        return Recording(name, self.fs, self.leads, microvolts, self.beats, self.beat_symbols, self.rhythms)

    def _block(self, block: int) -> npt.NDArray[np.float32]:
        """(leads, fs) float32 µV of one second of the index; always computed whole, so that cuts cannot matter."""
        known = self._blocks.get(block)
        if known is None:
            if len(self._blocks) >= _BLOCKS_KEPT:
                del self._blocks[next(iter(self._blocks))]
            known = self._blocks[block] = self._compute(block)
        return known

    def _compute(self, block: int) -> npt.NDArray[np.float32]:
        first = block * self.fs
        laps = self._laps(first)
        dipole = np.zeros((3, self.fs), dtype=np.float32)
        for lap in laps:
            self._heart.add_to(dipole, first - lap)
            for run, wave in self._waves:
                index = _inside(run, first - lap, self.fs)
                if index is not None:
                    dipole += (wave.dipole(index) * run.level(index, RAMP_S * self.fs)).astype(np.float32)

        muscle = np.full(self.fs, RESTING_MUSCLE_UV)
        for run, level in self._levels("noise", first, laps):
            muscle = np.hypot(muscle, level * _given(run, "noise")[0])
        wander = np.full(self.fs, RESTING_WANDER_UV)
        for run, level in self._levels("wander", first, laps):
            wander = np.maximum(wander, level * _given(run, "wander")[0])
        mains = []
        for run, level in self._levels("mains", first, laps):
            hertz, microvolts = _given(run, "mains")
            mains.append((hertz, level * microvolts))
        picked_up = self._noise.electrodes(block, muscle_uv=muscle, wander_uv=wander, mains=tuple(mains))

        seen = _DOWER @ dipole + _ELECTRODES @ picked_up  # I, II, V1 … V6
        one, two = seen[0], seen[1]
        limbs = (one, two, two - one, (one + two) * -0.5, one - two * 0.5, two - one * 0.5)
        leads = np.concatenate([np.stack(limbs), seen[2:]])[self._rows]
        for lap in laps:
            for off in self.leads_off:
                low, high = off.first + lap - first, off.end + lap - first
                if low < self.fs and high > 0:
                    leads[self.leads.index(off.lead), max(0, low) : high] = np.nan
        return np.asarray(leads)

    def _laps(self, first: int) -> tuple[int, ...]:
        """Where each round of the script begins that is felt in the second from ``first`` on."""
        if not self.loop:
            return (0,)
        reach = int(self._heart.reach) + 1
        low, high = (first - reach) // self.n_samples, (first + self.fs + reach) // self.n_samples
        # one round earlier as well: the T wave of a beat at its very end lies in the next
        return tuple(lap * self.n_samples for lap in range(max(0, low - 1), high + 1))

    def _levels(self, name: str, first: int, laps: tuple[int, ...]) -> list[tuple[Run, npt.NDArray[np.float64]]]:
        """The overlays called ``name`` that touch the second from ``first`` on, each with its (fs,) level, 0 to 1."""
        found = []
        for lap in laps:
            for run in self._overlays[name]:
                index = _inside(run, first - lap, self.fs)
                if index is not None:
                    found.append((run, run.level(index, RAMP_S * self.fs)))
        return found


_DOWER = DOWER.astype(np.float32)
_ELECTRODES = ELECTRODES.astype(np.float32)


def _inside(run: Run, first: int, n: int) -> npt.NDArray[np.float64] | None:
    """(n,) the indices from ``first`` on, if ``run`` touches them."""
    if run.first >= first + n or run.end <= first:
        return None
    return np.arange(first, first + n, dtype=np.float64)


def _given(run: Run, name: str) -> tuple[float, ...]:
    overlay = run.segment.overlay(name)
    return overlay.values if overlay is not None else ()


def _rhythm_name(segment: Segment) -> str:
    if segment.fibrillates:
        return _RHYTHM_NAMES["af"]
    every = dict(segment.values).get("every", 0.0)
    if (segment.value("run") if segment.rhythm == "pac" else 1) != 1:
        every = 0.0  # runs are told one by one
    return _GROUPED.get((segment.rhythm, every), _RHYTHM_NAMES[segment.rhythm])


def _with_runs(
    rhythms: tuple[Rhythm, ...], beats: npt.NDArray[np.int64], symbols: tuple[str, ...]
) -> tuple[Rhythm, ...]:
    """The rhythms with each run of ``_RUN`` or more atrial beats as supraventricular tachycardia, as MIT-BIH has it."""
    early = np.array([symbol == "A" for symbol in symbols], np.bool_)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], early, [False]])))
    out = list(rhythms)
    for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if end - first < _RUN:
            continue
        onset, offset = int(beats[first]), int(beats[end - 1]) + 1
        k = next(k for k, rhythm in enumerate(out) if rhythm.onset <= onset < rhythm.offset)
        around = out[k]
        offset = min(offset, around.offset)
        pieces = (
            Rhythm(around.name, around.onset, onset),
            Rhythm("(SVTA", onset, offset),
            Rhythm(around.name, offset, around.offset),
        )
        out[k : k + 1] = [piece for piece in pieces if piece.offset > piece.onset]
    return tuple(out)


def _is_off(segment: Segment, lead: str) -> bool | None:
    overlay = segment.overlay("leads_off")
    return True if overlay is not None and lead in overlay.leads else None
