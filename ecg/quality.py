"""What each lead is worth: good, noisy, saturated, flat, off or missing, told every half second from the last two.

Signal is judged in three bands, as signal quality indices do (Clifford, Behar, Li & Rezek, Physiol. Meas. 33, 2012,
1419: power of the QRS band against the bands above and below it), but as running figures instead of spectra: muscle and
mains above 40 Hz, QRS between 8 and 25 Hz, baseline below 1 Hz. The floor above 40 Hz is the median of the power over
tenths of a second, so that the QRS complexes themselves, which fill a fifth of the time, do not count as noise.
Thresholds are measured (``benchmarks/signal_quality.py``).

Everything is computed sample by sample and closed on the absolute grid of 250 samples, so that marks do not depend on
how the stream was cut.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
import numba as nb
import numpy as np
import numpy.typing as npt

from ecg.leads import N_LEADS

FS = 500  # Hz; the analysis rate
MARK = 250  # samples between marks
BLOCKS = 4  # half-second blocks that a mark looks back on: 2 s hold a beat down to 30/min
TENTH = 50  # samples over which the power of a band is averaged before its median is taken


class LeadState(StrEnum):
    """What a lead is worth now."""

    GOOD = "good"
    NOISY = "noisy"
    SATURATED = "saturated"
    FLAT = "flat"
    OFF = "off"
    MISSING = "missing"


@dataclass(frozen=True)
class QualityMark:
    """States of the twelve leads in standard order, from the 2 s that end at sample index ``at``."""

    at: int
    states: tuple[LeadState, ...]


def usable(states: Sequence[LeadState]) -> bool:
    """Whether some lead is good enough to judge rhythm by."""
    return LeadState.GOOD in states


_ORDER = tuple(LeadState)
_GOOD, _NOISY, _SATURATED, _FLAT, _OFF, _MISSING = range(len(_ORDER))


def _butterworth(kind: str, hz: float) -> tuple[float, float, float]:
    """Second-order Butterworth section (Bristow-Johnson's cookbook, Q = 1/√2): gain, a1, a2.

    Its numerator is gain × (1 ± 2z⁻¹ + z⁻²), plus for a low-pass and minus for a high-pass.
    """
    w = 2 * math.pi * hz / FS
    alpha = math.sin(w) / math.sqrt(2)
    c, a0 = math.cos(w), 1 + alpha
    return ((1 - c) if kind == "low" else (1 + c)) / 2 / a0, -2 * c / a0, (1 - alpha) / a0


_SECTIONS = np.array([_butterworth("high", 40.0), _butterworth("high", 8.0), _butterworth("low", 25.0)])
_BASELINE = 1 - math.exp(-2 * math.pi * 1.0 / FS)  # two one-pole low-passes at 1 Hz


# A line that moves by less than this was not measured on a body: electrodes on skin give 5 to 20 µV of noise even in
# asystole, a dead input one step of its converter or nothing.
FLAT_UV = 2.0
FLAT_BLOCKS = 3  # 1.5 s: told on the half-second grid, a line that went flat is known within 2 s
OFF_SHARE = 0.5  # of the last 2 s not measured: told within 1.5 s, and the loss of single chunks is not a lead off

# Railed samples: 16 ms and more at one value, where no slope of an ECG stands still, far from the baseline (nearer to
# it, flat pieces are isoelectric line or coarse steps), or so far out that the baseline itself sits on the rail.
RAIL_RUN = 8
RAIL_STEP_UV = 1.0
RAIL_UV = 2000.0
RAIL_FAR_UV = 20000.0  # an ECG after its high-pass stays under 10 mV; the railed leads of cinc2011 stand at -80 mV
RAILED_SAMPLES = 100  # 0.2 s of the 2 s

# Muscle and mains: the floor above 40 Hz against the height of the QRS band. On acceptable records the 99th percentile
# is 37 µV and 0.19; in asystole there is no QRS to compare with, and a floor of 48 µV would still show one.
HF_SHARE = 0.12
HF_QRS_UV = 400.0
HF_UV = 150.0  # noisy whatever the height: beyond it the height is noise as well
# Electrode motion and wander: the swing of the baseline below 1 Hz in 2 s. Clean records stay under 1.1 mV at the 99th
# percentile and VF under 0.6 mV; electrode motion at -6 dB has a median of 5 mV.
BASE_SHARE = 1.2
BASE_QRS_UV = 800.0
BASE_UV = 2000.0
SWING_UV = 15000.0  # peak to peak; no heart reaches it at the body's surface
STAY = 0.8  # a noisy lead is good again only below this share of its limits

# Rows of the state, each (12,) float64: of the stream, of the tenth of a second, of the half-second block.
_ALIVE, _SEEN, _STATE, _OFFSET, _LAST, _RUN, _B1, _B2, _H1, _H2, _Q1, _Q2, _L1, _L2, _T_N, _T_H = range(16)
_N, _MIN, _MAX, _RAIL, _QMAX, _BMIN, _BMAX = range(16, 23)
_HF = 23  # five tenths
_ROWS = 28
_HELD = 7  # rows of a block that are kept as they are, from _N on; the floor above 40 Hz follows as the eighth
_RING_ROWS = 8


class LeadQuality:
    """Judges the twelve leads of one bed through one epoch, 500 Hz.

    Its state is exact: after ``restore`` it goes on as the original would have.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin an epoch at sample index 0."""
        self._position = 0
        self._state = np.zeros((_ROWS, N_LEADS))
        self._state[_STATE] = _MISSING
        for lead in range(N_LEADS):
            _empty_block(self._state, lead)
        self._ring = np.zeros((BLOCKS, _RING_ROWS, N_LEADS), dtype=np.float32)

    def push(self, microvolts: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> list[QualityMark]:
        """Take the next samples: (12, n) float32 µV and (12, n) bool, True where real; any n.

        Returns:
            A mark for each multiple of 250 samples that was reached.

        Raises:
            ValueError: the arrays are not both (12, n).
        """
        if microvolts.shape != mask.shape or microvolts.ndim != 2 or len(microvolts) != N_LEADS:
            raise ValueError(f"expected (12, n) samples and mask, got {microvolts.shape} and {mask.shape}")
        first, n = self._position, microvolts.shape[1]
        states = np.empty(((first + n) // MARK - first // MARK, N_LEADS), dtype=np.uint8)
        _advance(microvolts, mask, first, _SECTIONS, self._state, self._ring, states)
        self._position = first + n
        at = (first // MARK + 1) * MARK
        return [
            QualityMark(at + row * MARK, tuple([_ORDER[s] for s in marked]))
            for row, marked in enumerate(states.tolist())
        ]

    def snapshot(self) -> bytes:
        """Everything that the next marks depend on, as MessagePack."""
        return msgspec.msgpack.encode((self._position, self._state.tobytes(), self._ring.tobytes()))

    def restore(self, data: bytes) -> None:
        """Go on from a ``snapshot``.

        Raises:
            ValueError: the data is no snapshot of this class.
        """
        try:
            position, state, ring = msgspec.msgpack.decode(data, type=tuple[int, bytes, bytes])
            self._state = np.frombuffer(state).reshape(_ROWS, N_LEADS).copy()
            self._ring = np.frombuffer(ring, dtype=np.float32).reshape(BLOCKS, _RING_ROWS, N_LEADS).copy()
        except (msgspec.MsgspecError, ValueError) as error:
            raise ValueError(f"expected a snapshot of LeadQuality, got {len(data)} bytes: {error}") from error
        self._position = position


@nb.njit(cache=True, nogil=True)
def _advance(x, mask, position, sections, state, ring, states):  # type: ignore[no-untyped-def]
    """Take (12, n) samples and write a row of ``states`` (m, 12) for each mark that they reach."""
    n = x.shape[1]
    t = marks = 0
    while t < n:
        end = min(n, t + TENTH - (position + t) % TENTH)
        for i in range(N_LEADS):
            _filter(x[i], mask[i], t, end, sections, state, i)
        t = end
        now = position + t
        if now % TENTH == 0:
            tenth = (now // TENTH - 1) % 5
            for i in range(N_LEADS):
                count = state[_T_N, i]
                state[_HF + tenth, i] = state[_T_H, i] / count if count > 0 else -1.0
                state[_T_N, i] = 0.0
                state[_T_H, i] = 0.0
        if now % MARK == 0:
            block = now // MARK - 1
            for i in range(N_LEADS):
                for row in range(_HELD):
                    ring[block % BLOCKS, row, i] = state[_N + row, i]
                ring[block % BLOCKS, _HELD, i] = _median(state[_HF : _HF + 5, i])
                _empty_block(state, i)
                state[_STATE, i] = _judge(ring, i, block, state[_SEEN, i] > 0, state[_STATE, i] == _NOISY)
                states[marks, i] = np.uint8(state[_STATE, i])
            marks += 1


@nb.njit(cache=True, nogil=True)
def _filter(x, mask, t, end, sections, state, i):  # type: ignore[no-untyped-def]
    """Run samples ``[t, end)`` of lead ``i`` through its filters and into the figures of its block."""
    (h0, h1, h2), (g0, g1, g2), (l0, l1, l2) = sections  # direct form II: w is what a section remembers
    alive, offset, last, run = state[_ALIVE, i] > 0, state[_OFFSET, i], state[_LAST, i], state[_RUN, i]
    base1, base2 = state[_B1, i], state[_B2, i]
    high1, high2, qrs1, qrs2, low1, low2 = (
        state[_H1, i],
        state[_H2, i],
        state[_Q1, i],
        state[_Q2, i],
        state[_L1, i],
        state[_L2, i],
    )
    n, least, most, railed = state[_N, i], state[_MIN, i], state[_MAX, i], state[_RAIL, i]
    q_most, base_least, base_most = state[_QMAX, i], state[_BMIN, i], state[_BMAX, i]
    tenth_n, tenth_high = state[_T_N, i], state[_T_H, i]
    for k in range(t, end):
        if not mask[k]:
            alive = False
            continue
        value = np.float64(x[k])
        if not alive:  # the filters begin at rest on the first sample after a hole
            alive = True
            offset = last = value
            run = base1 = base2 = high1 = high2 = qrs1 = qrs2 = low1 = low2 = 0.0
        v = value - offset
        base1 += _BASELINE * (v - base1)
        base2 += _BASELINE * (base1 - base2)
        w = v - h2 * high2 - h1 * high1
        high = h0 * (w - 2.0 * high1 + high2)
        high1, high2 = w, high1
        w = v - g2 * qrs2 - g1 * qrs1
        q = g0 * (w - 2.0 * qrs1 + qrs2)
        qrs1, qrs2 = w, qrs1
        w = q - l2 * low2 - l1 * low1
        q = l0 * (w + 2.0 * low1 + low2)
        low1, low2 = w, low1
        run = run + 1.0 if abs(value - last) <= RAIL_STEP_UV else 1.0
        last = value
        if run >= RAIL_RUN and (abs(v - base2) > RAIL_UV or abs(value) > RAIL_FAR_UV):
            railed += 1.0
        n += 1.0
        tenth_n += 1.0
        tenth_high += high * high
        if value < least:
            least = value
        if value > most:
            most = value
        if abs(q) > q_most:
            q_most = abs(q)
        base = base2 + offset
        if base < base_least:
            base_least = base
        if base > base_most:
            base_most = base
    if alive:
        state[_SEEN, i] = 1.0
    state[_ALIVE, i] = 1.0 if alive else 0.0
    state[_OFFSET, i], state[_LAST, i], state[_RUN, i] = offset, last, run
    state[_B1, i], state[_B2, i] = base1, base2
    state[_H1, i], state[_H2, i] = high1, high2
    state[_Q1, i], state[_Q2, i], state[_L1, i], state[_L2, i] = qrs1, qrs2, low1, low2
    state[_N, i], state[_MIN, i], state[_MAX, i], state[_RAIL, i] = n, least, most, railed
    state[_QMAX, i], state[_BMIN, i], state[_BMAX, i] = q_most, base_least, base_most
    state[_T_N, i], state[_T_H, i] = tenth_n, tenth_high


@nb.njit(cache=True, nogil=True)
def _judge(ring, i, block, seen, was_noisy):  # type: ignore[no-untyped-def]
    """State of lead ``i`` after block number ``block``, from the blocks that the ring holds of the epoch."""
    blocks = min(BLOCKS, block + 1)
    n = railed = q = 0.0
    base_least = least = flat_least = np.inf
    base_most = most = flat_most = -np.inf
    floors = np.empty(BLOCKS)
    floors[:] = -1.0
    for back in range(blocks):
        k = (block - back) % BLOCKS
        n += ring[k, 0, i]
        least, most = min(least, ring[k, 1, i]), max(most, ring[k, 2, i])
        if back < FLAT_BLOCKS:
            flat_least, flat_most = least, most
        railed += ring[k, 3, i]
        q = max(q, ring[k, 4, i])
        base_least, base_most = min(base_least, ring[k, 5, i]), max(base_most, ring[k, 6, i])
        floors[back] = ring[k, _HELD, i]
    if not seen:
        return _MISSING
    if n <= OFF_SHARE * MARK * blocks:
        return _OFF
    if railed >= RAILED_SAMPLES:
        return _SATURATED
    if flat_most - flat_least <= FLAT_UV:
        return _FLAT
    high = math.sqrt(max(0.0, _median(floors)))
    base = base_most - base_least
    strict = STAY if was_noisy else 1.0
    if (
        high > strict * min(HF_UV, HF_SHARE * max(q, HF_QRS_UV))
        or base > strict * min(BASE_UV, BASE_SHARE * max(q, BASE_QRS_UV))
        or most - least > strict * SWING_UV
    ):
        return _NOISY
    return _GOOD


@nb.njit(cache=True, nogil=True)
def _median(values):  # type: ignore[no-untyped-def]
    """Median of the values that are not negative (those without samples are), or -1; sorts them in place."""
    kept = 0
    for i in range(len(values)):
        value = values[i]
        if value >= 0.0:
            j = kept
            while j > 0 and values[j - 1] > value:
                values[j] = values[j - 1]
                j -= 1
            values[j] = value
            kept += 1
    if kept == 0:
        return -1.0
    return 0.5 * (values[(kept - 1) // 2] + values[kept // 2])


@nb.njit(cache=True, nogil=True)
def _empty_block(state, i):  # type: ignore[no-untyped-def]
    state[_N, i] = state[_RAIL, i] = state[_QMAX, i] = 0.0
    state[_MIN, i] = state[_BMIN, i] = np.inf
    state[_MAX, i] = state[_BMAX, i] = -np.inf
