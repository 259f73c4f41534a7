"""Any whole rate from 100 to 1000 Hz to 500 Hz: polyphase FIR over twelve leads, exact from any starting point.

Output ``n`` stands for the instant ``n / 500`` s. It is a sum over ``2 × half`` inputs at fixed absolute indices,
always in the same order, so it depends neither on how the stream was cut nor on where the computation began. The
filter is linear phase and centred on the output, so there is no delay but the wait for ``half`` inputs: 10 samples of
the slower of the two rates (28 ms at 360 Hz, 20 ms at 1000 Hz, 100 ms at 100 Hz). 500 Hz passes through bit by bit.

An output is real where the input nearest to it is (the earlier one of two equally near). Where other inputs of its
sum are missing, each is replaced by the last real one on the way outwards from the nearest: the edge of a gap neither
rings, as it would beside zeros, nor is amplified, as it would be by dividing by what is left of the taps.

Formula: windowed sinc, Kaiser window (Oppenheim & Schafer, Discrete-Time Signal Processing, 7.5 and 4.6); the lengths
are those of ``scipy.signal.resample_poly``, the reference in the tests.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, gcd

import numpy as np
import numpy.typing as npt
from numba import njit

from ecg.chunk import MISSING
from ecg.leads import N_LEADS
from windowing.order import Segment
from windowing.ring import Ring
from windowing.spans import ANALYSIS_FS

ZERO_CROSSINGS = 10  # of the sinc on each side: flat to 0.2 % up to 0.84 of the slower rate's Nyquist frequency
KAISER_BETA = 5.0  # side lobes below −50 dB: a 1 mV QRS leaks less than 5 µV


@dataclass(frozen=True)
class Taps:
    """The filter bank from one rate to 500 Hz.

    Attributes:
        up, down: 500 / fs as a reduced fraction.
        half: inputs on each side of an output; 0 at 500 Hz.
        table: (up, 2 × half) float32; row ``n × down % up`` belongs to inputs from ``n × down // up − half + 1`` on.
            Rows add up to 1.
    """

    up: int
    down: int
    half: int
    table: npt.NDArray[np.float32]


@lru_cache(maxsize=64)
def taps(fs: int) -> Taps:
    """The filter bank for input at ``fs`` Hz."""
    common = gcd(ANALYSIS_FS, fs)
    up, down = ANALYSIS_FS // common, fs // common
    if up == down:
        return Taps(1, 1, 0, np.ones((1, 0), dtype=np.float32))
    cutoff = min(1.0, ANALYSIS_FS / fs)  # of the input's Nyquist frequency
    width = ZERO_CROSSINGS / cutoff
    half = ceil(width)
    distance = np.arange(up)[:, None] / up - np.arange(1 - half, half + 1)[None, :]
    inside = np.clip(1.0 - (distance / width) ** 2, 0.0, None)
    table = np.sinc(cutoff * distance) * np.i0(KAISER_BETA * np.sqrt(inside)) * (np.abs(distance) <= width)
    table /= table.sum(axis=1, keepdims=True)
    return Taps(up, down, half, np.ascontiguousarray(table, dtype=np.float32))


@njit(cache=True, nogil=True)
def _take_in(counts, a, n, rows, uv_per_bit, x, run, used, keep):  # type: ignore[no-untyped-def]
    """Move the last ``keep`` rows to the front and decode ``counts[:, a:a + n]`` behind them, limb leads derived.

    ``x`` (t, 12) float32 µV; ``run`` (t, 12) uint8: how many samples up to this one are real in a row, up to ``keep``.
    """
    for i in range(keep):
        for r in range(N_LEADS):
            x[i, r] = x[used - keep + i, r]
            run[i, r] = run[used - keep + i, r]
    real = np.zeros(N_LEADS, dtype=np.bool_)
    half = np.float32(0.5)
    for t in range(n):
        at = keep + t
        for r in range(N_LEADS):
            x[at, r] = 0.0
            real[r] = False
        for i in range(len(rows)):
            count = counts[i, a + t]
            if count != MISSING:
                x[at, rows[i]] = np.float32(count) * uv_per_bit
                real[rows[i]] = True
        if real[0] and real[1]:
            one, two = x[at, 0], x[at, 1]
            if not real[2]:
                x[at, 2], real[2] = two - one, True
            if not real[3]:
                x[at, 3], real[3] = (one + two) * -half, True
            if not real[4]:
                x[at, 4], real[4] = one - two * half, True
            if not real[5]:
                x[at, 5], real[5] = two - one * half, True
        for r in range(N_LEADS):
            if not real[r]:
                run[at, r] = 0
            elif at == 0:
                run[at, r] = 1
            else:
                run[at, r] = max(1, min(keep, run[at - 1, r] + 1))


@njit(cache=True, nogil=True)
def _pass_through(x, run, n, first, microvolts, mask, capacity):  # type: ignore[no-untyped-def]
    """Write rows 0 to n of ``x`` as samples ``first`` and on of the ring."""
    for t in range(n):
        at = (first + t) % capacity
        for r in range(N_LEADS):
            microvolts[r, at] = x[t, r]
            microvolts[r, at + capacity] = x[t, r]
            mask[r, at] = run[t, r] > 0
            mask[r, at + capacity] = run[t, r] > 0


@njit(cache=True, nogil=True)
def _resample(x, run, base, first, end, up, down, table, microvolts, mask, capacity):  # type: ignore[no-untyped-def]
    """Outputs ``[first, end)`` into the ring; ``x[i − base]`` is input ``i``."""
    width = table.shape[1]
    half = width // 2
    sums = np.zeros(N_LEADS, dtype=np.float32)
    for n in range(first, end):
        before = n * down // up
        phase = n * down - before * up
        lo = before - half + 1 - base
        near = before - base if 2 * phase <= up else before + 1 - base
        at = n % capacity
        measured = False
        for r in range(N_LEADS):
            measured |= run[near, r] > 0
            sums[r] = 0.0
        if measured:
            for k in range(width):
                tap = table[phase, k]
                for r in range(N_LEADS):
                    sums[r] += tap * x[lo + k, r]
        for r in range(N_LEADS):
            real = run[near, r] > 0
            value = np.float32(0.0)
            if real and run[lo + width - 1, r] >= width:
                value = sums[r]
            elif real:
                held = x[near, r]
                for i in range(near, lo + width):
                    if run[i, r] > 0:
                        held = x[i, r]
                    value += table[phase, i - lo] * held
                held = x[near, r]
                for i in range(near - 1, lo - 1, -1):
                    if run[i, r] > 0:
                        held = x[i, r]
                    value += table[phase, i - lo] * held
            microvolts[r, at] = value
            microvolts[r, at + capacity] = value
            mask[r, at] = real
            mask[r, at + capacity] = real


class Resampler:
    """One epoch's samples at ``fs``, in order, into the ring at 500 Hz.

    Attributes:
        piece: the most input samples that one call of :meth:`push` takes.
        read: next input index.
        written: next output index.
    """

    def __init__(self, fs: int, ring: Ring, *, read: int = 0, written: int = 0) -> None:
        self.piece = fs // 2  # half a second: at most 250 outputs are written ahead of the span being handed on
        self.read, self.written = read, written
        self._taps = taps(fs)
        self._keep = self._used = 2 * self._taps.half
        self._last: int | None = None
        self._ring = ring
        self._x = np.zeros((self._keep + self.piece, N_LEADS), dtype=np.float32)
        self._run = np.zeros((self._keep + self.piece, N_LEADS), dtype=np.uint8)

    def push(self, segment: Segment, first: int, end: int) -> None:
        """Read samples ``[first, end)`` of ``segment``, at most ``piece``; write every output that they complete."""
        n, keep, t = end - first, self._keep, self._taps
        uv_per_bit = np.float32(segment.uv_per_bit)
        _take_in(
            segment.counts,
            segment.at + first - segment.first,
            n,
            segment.rows,
            uv_per_bit,
            self._x,
            self._run,
            self._used,
            keep,
        )
        self._used = keep + n
        self.read += n
        # the last input of output n's sum is n × down // up + half
        ready = -((t.half - self.read) * t.up // t.down)
        if self._last is not None:
            ready = min(ready, self._last)
        if ready <= self.written:
            return
        ring = self._ring
        if t.half:
            step, out = (t.up, t.down, t.table), (ring.microvolts, ring.mask, ring.capacity)
            _resample(self._x, self._run, self.read - self._used, self.written, ready, *step, *out)
        else:
            _pass_through(self._x, self._run, n, self.written, ring.microvolts, ring.mask, ring.capacity)
        self.written = ready

    def flush(self) -> None:
        """Write the outputs that wait for samples which will never come, as before a gap. It ends the epoch."""
        self._last = self.outputs(self.read)
        if self._taps.half:
            gap = Segment.gap(self.read, self.read + self._taps.half)
            self.push(gap, gap.first, gap.end)

    def outputs(self, read: int) -> int:
        """Outputs at instants before input ``read``: what an epoch of that many samples comes to."""
        return -(-read * self._taps.up // self._taps.down)

    def needs_from(self, output: int) -> int:
        """The input below which neither ``output``, nor any after it, nor any future one needs anything."""
        t = self._taps
        return max(0, min(output * t.down // t.up - max(t.half - 1, 0), self.read - self._keep))

    @property
    def history(self) -> tuple[bytes, bytes]:
        """What the next outputs still need of the inputs read, as bytes in C order: two arrays (2 × half, 12).

        Oldest input first: float32 µV, and uint8 how many inputs up to this one are real in a row, at most 2 × half.

        Raises:
            ValueError: what is set is of another length, as that of another rate.
        """
        last = slice(self._used - self._keep, self._used)
        return self._x[last].tobytes(), self._run[last].tobytes()

    @history.setter
    def history(self, saved: tuple[bytes, bytes]) -> None:
        self._x[: self._keep] = np.frombuffer(saved[0], dtype=np.float32).reshape(-1, N_LEADS)
        self._run[: self._keep] = np.frombuffer(saved[1], dtype=np.uint8).reshape(-1, N_LEADS)
        self._used = self._keep
