"""The network's input of one bed, window by window, from samples and beats as they come.

What it remembers beyond a window is small: the slow amplitude of each lead, features of the last minute's windows, and
the band-pass's state where each window begins. From these and the window's own samples a restored extractor goes on to
the last bit: the first window after a restart is filtered again from its first sample on.
"""

from collections import deque
from math import gcd

import msgspec
import numpy as np
import numpy.typing as npt

from ecg.filters import FilterBank
from ecg.leads import N_LEADS
from models.features.amplitude import Amplitude
from models.features.atrial import atrial_features
from models.features.conduction import conduction_features
from models.features.hrv import rr_features
from models.features.minirocket import LIMIT
from models.features.minirocket_leads import by_lead
from models.features.minirocket_parameters import KNOWN_SHARE, MiniRocketParameters
from models.features.minirocket_stream import MiniRocketStream
from models.features.pulse import pulse
from models.features.qrs_shapes import group_shapes, shape_features
from models.inputs import (
    CONTEXT_WINDOWS,
    N_ATRIAL,
    N_CONTEXT,
    N_RR_SPAN,
    N_SHAPE,
    RATE,
    SAMPLES,
    SECONDS,
    NetworkInput,
    no_signal,
)
from windowing.spans import ANALYSIS_FS, BLOCK, Window

LOW_HZ, HIGH_HZ = 0.5, 35.0  # P, f and T waves; less wander than that, and nothing that 100 samples a second would fold
AMPLITUDE_STEPS = 50.0  # of 303: room for an R wave six times the amplitude
CONTEXT_EVERY = SECONDS * ANALYSIS_FS  # past windows are remembered where they do not overlap
LEAST_AGE = CONTEXT_EVERY // 2  # a past window that overlaps this one by more says nothing new
WINDOW = SECONDS * ANALYSIS_FS
THIN = ANALYSIS_FS // RATE

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


class _Rhythm(msgspec.Struct, array_like=True):
    marked: int = 0
    past: list[tuple[int, bytes]] = []


class RhythmMemory:
    """Features of the last minute's windows, and the input where beats alone are known."""

    def __init__(self) -> None:
        """Remember nothing."""
        self._state = _Rhythm()

    def extract(self, beats: Indices, end: int) -> NetworkInput:
        """The input of the window that ends at ``end``, of beats alone.

        Args:
            beats: (b,) int64 R peaks of the last 60 s, analysis sample indices, ascending.
            end: sample index after the window; ascending from call to call.
        """
        rr = rr_features(beats, end).values
        context, age_s = self.context(end)
        nothing = np.full(N_SHAPE + N_ATRIAL, np.nan, np.float32)
        self.remember(end, np.concatenate([rr[:N_RR_SPAN], nothing]))
        return no_signal(rr, pulse(beats, end, np.zeros(len(beats), np.float32)), context, age_s)

    def context(self, end: int) -> tuple[Floats, Floats]:
        """((5, 115), (5,)) features and ages in seconds of past windows, newest first; NaN where there is none."""
        values = np.full((CONTEXT_WINDOWS, N_CONTEXT), np.nan, np.float32)
        age_s = np.full(CONTEXT_WINDOWS, np.nan, np.float32)
        past = [(at, data) for at, data in reversed(self._state.past) if end - at >= LEAST_AGE]
        for row, (at, data) in enumerate(past[:CONTEXT_WINDOWS]):
            values[row] = np.frombuffer(data, np.float32)
            age_s[row] = (end - at) / ANALYSIS_FS
        return values, age_s

    def remember(self, end: int, features: Floats) -> None:
        """Keep the first window that ends at or after each 10 s of the epoch; forget what is older than a minute.

        Args:
            end: analysis sample index (500 Hz) after the window; ascending from call to call.
            features: (115,) RR features of 10 s, QRS shape and atrial features; NaN where undefined.
        """
        state = self._state
        if end // CONTEXT_EVERY <= state.marked:
            return
        state.marked = end // CONTEXT_EVERY
        state.past.append((end, features.astype(np.float32).tobytes()))
        oldest = end - (CONTEXT_WINDOWS + 1) * CONTEXT_EVERY
        state.past = [(at, data) for at, data in state.past if at > oldest]

    def snapshot(self) -> bytes:
        """All of it (MessagePack)."""
        return msgspec.msgpack.encode(self._state)

    def restore(self, data: bytes) -> None:
        """Go on where ``snapshot`` was taken. Raises msgspec.DecodeError where it is none."""
        self._state = msgspec.msgpack.decode(data, type=_Rhythm)


class _State(msgspec.Struct, array_like=True):
    rhythm: bytes
    levels: bytes
    step: bytes
    taken: int
    filters: list[tuple[int, bytes]]


class Extractor:
    """Inputs of one bed. Samples go in as they come, and each window is drawn when it is complete."""

    def __init__(self, minirocket: MiniRocketParameters, hop_s: float = 1.0) -> None:
        """Stand at the beginning of an epoch.

        Args:
            minirocket: as ``models.features.minirocket_leads.fit_shared`` makes it, at 100 Hz.
            hop_s: seconds from window to window.
        """
        self.hop = round(hop_s * ANALYSIS_FS)
        self._bank = FilterBank(N_LEADS, low_hz=LOW_HZ, high_hz=HIGH_HZ)
        self._stream = MiniRocketStream(minirocket, gcd(self.hop, WINDOW) / ANALYSIS_FS)
        self.reset()

    def reset(self) -> None:
        """Begin an epoch: sample 0 comes next."""
        self._bank.reset()
        self._taken = 0
        self._filters: deque[tuple[int, bytes]] = deque([(0, self._bank.snapshot())])
        self._signal = np.zeros((N_LEADS, SAMPLES), np.float32)
        self._real = np.zeros((N_LEADS, SAMPLES), np.bool_)
        self._amplitude = Amplitude(self.hop / ANALYSIS_FS)
        self._rhythm = RhythmMemory()
        self._counted = 0  # sample index up to which MiniRocket has counted; 0 where it has to begin anew
        self._complete = True

    def push(self, microvolts: Floats, mask: Bools) -> None:
        """Take the next samples.

        Args:
            microvolts: (12, n) µV float32, n a multiple of 50.
            mask: (12, n) True where real.
        """
        first = 0
        while first < microvolts.shape[1]:
            until = min(first + self.hop - self._taken % self.hop, microvolts.shape[1])
            self._filter(microvolts[:, first:until], mask[:, first:until])
            first = until

    def _filter(self, microvolts: Floats, mask: Bools) -> None:
        signal, real = self._thin(microvolts, mask)
        n = signal.shape[1]
        self._signal = np.concatenate((self._signal[:, n:], signal), axis=1)
        self._real = np.concatenate((self._real[:, n:], real), axis=1)
        self._taken += microvolts.shape[1]
        if self._taken % self.hop == 0:
            self._filters.append((self._taken, self._bank.snapshot()))
            while self._filters[0][0] < self._taken - WINDOW:
                self._filters.popleft()

    def _thin(self, microvolts: Floats, mask: Bools) -> tuple[Floats, Bools]:
        filtered = self._bank.push(microvolts, mask)
        shape = (N_LEADS, -1, THIN)
        real: Bools = np.logical_and.reduce(mask.reshape(shape), axis=2)
        thin: Floats = filtered.reshape(shape).mean(axis=2, dtype=np.float32)
        return np.where(real, thin, np.float32(0)), real

    def extract(self, window: Window, beats: Indices) -> NetworkInput:
        """The input of the window that ends with the newest sample that was pushed.

        Args:
            window: the 10 s.
            beats: (b,) int64 R peaks of the last 60 s that are known by now, analysis sample indices, ascending.

        Raises:
            ValueError: the window does not end where the pushed samples do.
        """
        if window.end != self._taken:
            raise ValueError(f"window: expected to end at {self._taken}, got {window.end}")
        if not self._complete:
            self._filter_again(window)
        leads: Bools = (self._real.mean(axis=1) >= KNOWN_SHARE).astype(np.bool_)
        changed = self._amplitude.update(self._signal, self._real, leads)
        scaled = np.rint(self._signal * self._amplitude.per_microvolt(AMPLITUDE_STEPS)[:, None])
        signal = np.clip(scaled, -LIMIT, LIMIT).astype(np.int16)
        self._count(signal, changed)
        ppv, _ = self._stream.features()

        start = window.end - WINDOW
        inside = (beats >= start) & (beats < window.end)
        groups = group_shapes(window.microvolts, window.mask, beats[inside] - start)
        shape = np.concatenate([shape_features(groups)[0], conduction_features(groups)[0]])
        atrial = atrial_features(groups)[0]
        rr = rr_features(beats, window.end).values
        dominant = np.zeros(len(beats), np.float32)
        dominant[inside] = np.where(groups.label < 0, 0.0, np.where(groups.label == groups.dominant, 1.0, -1.0))
        context, age_s = self._rhythm.context(window.end)
        self._rhythm.remember(window.end, np.concatenate([rr[:N_RR_SPAN], shape, atrial]))
        return NetworkInput(
            signal=np.where(leads[:, None], signal, np.int16(0)),
            leads=leads,
            ppv=by_lead(self._stream.parameters, ppv),
            rr=rr,
            shape=shape,
            atrial=atrial,
            pulse=pulse(beats, window.end, dominant),
            context=context,
            context_age_s=age_s,
        )

    def _count(self, signal: npt.NDArray[np.int16], changed: bool) -> None:
        new = (self._taken - self._counted) // THIN
        if changed or not self._counted or new >= SAMPLES:
            self._stream.refill(signal, self._real)
        else:
            self._stream.push(np.ascontiguousarray(signal[:, SAMPLES - new :]), self._real[:, SAMPLES - new :])
        self._counted = self._taken

    def _filter_again(self, window: Window) -> None:
        """Bring back the filtered window after a restart."""
        start = max(window.end - WINDOW, 0)
        at = dict(self._filters)
        newest = self._bank.snapshot()
        self._bank.restore(at[start])
        cut = WINDOW - (window.end - start)
        signal, real = self._thin(
            np.ascontiguousarray(window.microvolts[:, cut:]), np.ascontiguousarray(window.mask[:, cut:])
        )
        self._signal[:, SAMPLES - signal.shape[1] :] = signal
        self._real[:, SAMPLES - real.shape[1] :] = real
        self._bank.restore(newest)
        self._complete = True

    def snapshot(self) -> bytes:
        """What a restart needs beside the window's samples (MessagePack)."""
        return msgspec.msgpack.encode(
            _State(
                self._rhythm.snapshot(),
                *self._amplitude.snapshot(),
                self._taken,
                [*self._filters, (self._taken, self._bank.snapshot())],
            )
        )

    def restore(self, data: bytes) -> None:
        """Go on where ``snapshot`` was taken, on an extractor of the same hop and parameters.

        Raises:
            msgspec.DecodeError: the bytes are no snapshot.
            ValueError: they are of another hop, or of a version that kept the amplitude otherwise.
        """
        state = msgspec.msgpack.decode(data, type=_State)
        self.reset()
        self._rhythm.restore(state.rhythm)
        self._amplitude.restore(state.levels, state.step)
        self._taken = state.taken
        *filters, (_, newest) = state.filters
        self._filters = deque(filters)
        self._bank.restore(newest)
        self._complete = False


assert BLOCK % THIN == 0
