"""Band-pass and mains filters with memory, for many channels at once; closed formulas, so scipy is not imported."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from numba import njit

# Q of the two biquads of a fourth-order Butterworth filter: 1 / (2 cos(π/8)) and 1 / (2 cos(3π/8)).
_BUTTERWORTH_4_Q = (1 / (2 * math.cos(math.pi / 8)), 1 / (2 * math.cos(3 * math.pi / 8)))
_BUTTERWORTH_2_Q = (math.sqrt(0.5),)
# A held input lets the states fade below the smallest normal double, where each operation costs a hundredfold.
_FADED = 1e-25


def high_pass(cutoff_hz: float, fs: float, q: float) -> npt.NDArray[np.float64]:
    """One high-pass biquad as a row ``b0 b1 b2 a0 a1 a2``, a0 = 1 (R. Bristow-Johnson, Audio EQ Cookbook, HPF)."""
    w0 = 2 * math.pi * cutoff_hz / fs
    cosine, alpha = math.cos(w0), math.sin(w0) / (2 * q)
    row = np.array([(1 + cosine) / 2, -(1 + cosine), (1 + cosine) / 2, 1 + alpha, -2 * cosine, 1 - alpha])
    row /= row[3]
    return row


def low_pass(cutoff_hz: float, fs: float, q: float) -> npt.NDArray[np.float64]:
    """One low-pass biquad as a row ``b0 b1 b2 a0 a1 a2``, a0 = 1 (R. Bristow-Johnson, Audio EQ Cookbook, LPF)."""
    w0 = 2 * math.pi * cutoff_hz / fs
    cosine, alpha = math.cos(w0), math.sin(w0) / (2 * q)
    row = np.array([(1 - cosine) / 2, 1 - cosine, (1 - cosine) / 2, 1 + alpha, -2 * cosine, 1 - alpha])
    row /= row[3]
    return row


def notch(mains_hz: float, fs: float, q: float) -> npt.NDArray[np.float64]:
    """One notch biquad, −3 dB width ``mains_hz / q``, as a row ``b0 b1 b2 a0 a1 a2`` (Orfanidis 1996, eq. 11.3.7)."""
    w0 = 2 * math.pi * mains_hz / fs
    gain = 1 / (1 + math.tan(w0 / q / 2))
    cosine = math.cos(w0)
    return np.array([gain, -2 * gain * cosine, gain, 1.0, -2 * gain * cosine, 2 * gain - 1])


@njit(cache=True, nogil=True)
def _run(x, mask, sos, state, last, primed, out):  # type: ignore[no-untyped-def]
    """Cascade of biquads, direct form II transposed; channels run innermost, so that they share vector registers."""
    channels, n = x.shape
    sections = sos.shape[0]
    value = np.empty(channels)
    for t in range(n):
        for c in range(channels):
            if mask[c, t]:
                last[c] = x[c, t]
                if not primed[c]:
                    primed[c] = True
                    level = last[c]
                    for s in range(sections):
                        steady = level * (sos[s, 0] + sos[s, 1] + sos[s, 2]) / (1.0 + sos[s, 4] + sos[s, 5])
                        state[s, 1, c] = sos[s, 2] * level - sos[s, 5] * steady
                        state[s, 0, c] = sos[s, 1] * level - sos[s, 4] * steady + state[s, 1, c]
                        level = steady
            value[c] = last[c]
        for s in range(sections):
            b0, b1, b2, a1, a2 = sos[s, 0], sos[s, 1], sos[s, 2], sos[s, 4], sos[s, 5]
            for c in range(channels):
                v = value[c]
                y = b0 * v + state[s, 0, c]
                one = b1 * v - a1 * y + state[s, 1, c]
                two = b2 * v - a2 * y
                state[s, 0, c] = one if abs(one) > _FADED else 0.0
                state[s, 1, c] = two if abs(two) > _FADED else 0.0
                value[c] = y
        for c in range(channels):
            out[c, t] = value[c]


class _State(msgspec.Struct, array_like=True):
    state: bytes
    last: bytes
    primed: bytes


class FilterBank:
    """The same band-pass and mains notch over many channels (beds × leads), with each channel's memory.

    The first real sample of a channel sets its filters as if that voltage had stood there for ever, so that an
    electrode's offset of several millivolts does not ring. While the mask is False the last real voltage is held.
    Output does not depend on how the samples were cut into pushes.
    """

    def __init__(
        self,
        channels: int,
        *,
        fs: float = 500.0,
        low_hz: float | None = 0.5,
        high_hz: float | None = 40.0,
        mains_hz: Sequence[float] = (50.0, 60.0),
        mains_q: float = 30.0,
        order: int = 2,
    ) -> None:
        """Design the cascade.

        Args:
            channels: number of channels.
            fs: samples per second, Hz.
            low_hz: −3 dB corner of the high-pass, or None for none.
            high_hz: −3 dB corner of the low-pass, or None for none.
            mains_hz: frequencies to notch out, possibly none.
            mains_q: mains frequency over the notch's −3 dB width.
            order: of the Butterworth high-pass and low-pass, 2 or 4.

        Raises:
            ValueError: no channel, a frequency outside (0, fs/2), corners in the wrong order, or another order.
        """
        if channels < 1:
            raise ValueError(f"channels: expected at least 1, got {channels}")
        if order not in (2, 4):
            raise ValueError(f"order: expected 2 or 4, got {order}")
        for name, hz in (("low_hz", low_hz), ("high_hz", high_hz), *(("mains_hz", hz) for hz in mains_hz)):
            if hz is not None and not 0 < hz < fs / 2:
                raise ValueError(f"{name}: expected above 0 and below {fs / 2} Hz, got {hz}")
        if low_hz is not None and high_hz is not None and low_hz >= high_hz:
            raise ValueError(f"low_hz: expected below high_hz {high_hz}, got {low_hz}")
        damping = _BUTTERWORTH_2_Q if order == 2 else _BUTTERWORTH_4_Q
        rows = [high_pass(low_hz, fs, q) for q in damping] if low_hz is not None else []
        rows += [low_pass(high_hz, fs, q) for q in damping] if high_hz is not None else []
        rows += [notch(hz, fs, mains_q) for hz in mains_hz]
        self.channels = channels
        self.sos: npt.NDArray[np.float64] = np.array(rows, dtype=np.float64).reshape(-1, 6)
        self.reset()

    def reset(self) -> None:
        """Forget every channel."""
        self._state = np.zeros((len(self.sos), 2, self.channels))
        self._last = np.zeros(self.channels)
        self._primed = np.zeros(self.channels, dtype=np.bool_)

    def push(
        self, microvolts: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.float32]:
        """Filter the next samples.

        Args:
            microvolts: (channels, n) µV float32.
            mask: (channels, n) True where the sample is real; None means all are.

        Returns:
            (channels, n) µV float32, causal. A channel that was never real gives zeros.

        Raises:
            ValueError: the shapes are not (channels, n).
        """
        if microvolts.ndim != 2 or microvolts.shape[0] != self.channels:
            raise ValueError(f"microvolts: expected ({self.channels}, n), got {microvolts.shape}")
        if mask is None:
            mask = np.ones(microvolts.shape, dtype=np.bool_)
        elif mask.shape != microvolts.shape:
            raise ValueError(f"mask: expected {microvolts.shape}, got {mask.shape}")
        out = np.empty(microvolts.shape, dtype=np.float32)
        _run(microvolts, mask, self.sos, self._state, self._last, self._primed, out)
        return out

    def snapshot(self) -> bytes:
        """The memory of every channel, MessagePack; 8 · (2 · sections + 1) + 1 bytes a channel."""
        return msgspec.msgpack.encode(_State(self._state.tobytes(), self._last.tobytes(), self._primed.tobytes()))

    def restore(self, data: bytes) -> None:
        """Continue where ``snapshot`` was taken, on a bank of the same design.

        Raises:
            ValueError: the snapshot belongs to a bank of another size.
        """
        kept = msgspec.msgpack.decode(data, type=_State)
        if len(kept.state) != self._state.nbytes or len(kept.primed) != self.channels:
            raise ValueError(f"snapshot: expected {self._state.nbytes} bytes of filter memory, got {len(kept.state)}")
        self._state = np.frombuffer(kept.state).reshape(self._state.shape).copy()
        self._last = np.frombuffer(kept.last).copy()
        self._primed = np.frombuffer(kept.primed, dtype=np.bool_).copy()
