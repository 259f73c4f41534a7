"""Waves for the screen: 0.5–40 Hz, 125 Hz, one binary frame per span, and strips of the full rate by the second."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg.chunk import MISSING
from ecg.filters import FilterBank
from ecg.leads import LEADS, N_LEADS
from windowing.spans import ANALYSIS_FS, Span

DISPLAY_FS = 125  # Hz: five samples a millimetre at 25 mm/s, more than a screen shows
DECIMATION = ANALYSIS_FS // DISPLAY_FS
MONITOR_BAND_HZ = (0.5, 40.0)  # the usual bandwidth of a bedside monitor's screen
DISPLAY_UV_PER_BIT = 2.0  # ±65 mV in int16: beyond any electrode offset that an amplifier lets through
STRIP_UV_PER_BIT = 1.0
FRAME_VERSION = 1
_HEADER = struct.Struct("<BBHB3xddfI")


@dataclass(frozen=True)
class StripSecond:
    """One second of all leads at the full rate.

    Attributes:
        epoch: Unix milliseconds of sample 0.
        end: analysis sample index after the last sample, a multiple of 500.
        leads: (12,) bool, leads that were real for some of the second.
        data: zlib of (12, 500) little-endian int16 in steps of ``STRIP_UV_PER_BIT``; ``MISSING`` where not measured.
    """

    epoch: int
    end: int
    leads: tuple[bool, ...]
    data: bytes


class WaveFeed:
    """Display frames and strips of one bed. What it remembers is for the eye only and starts afresh after a crash."""

    def __init__(self) -> None:
        low_hz, high_hz = MONITOR_BAND_HZ
        self._filters = FilterBank(N_LEADS, fs=ANALYSIS_FS, low_hz=low_hz, high_hz=high_hz)
        self._second = np.full((N_LEADS, ANALYSIS_FS), MISSING, dtype="<i2")

    def reset(self) -> None:
        """Forget the old epoch."""
        self._filters.reset()
        self._second[:] = MISSING

    def frame(self, bed: str, span: Span) -> bytes | None:
        """The span as a wave frame: 0.5–40 Hz at 125 Hz, the leads that are real in it.

        Args:
            bed: whose; up to 255 bytes of UTF-8.
            span: the next of its epoch; each has to come, so that the filters see every sample.

        Returns:
            The frame (layout in the AsyncAPI document), int16 in steps of ``DISPLAY_UV_PER_BIT``, ``MISSING`` where not
            real; None if no lead is real in the span.
        """
        rows = np.flatnonzero(span.mask.any(axis=1))
        filtered = self._filters.push(span.microvolts, span.mask)
        if not rows.size:
            return None
        skip = -span.first % DECIMATION
        counts = _to_counts(filtered[rows, skip::DECIMATION], span.mask[rows, skip::DECIMATION], DISPLAY_UV_PER_BIT)
        name = bed.encode()
        header = _HEADER.pack(
            FRAME_VERSION,
            len(rows),
            counts.shape[1],
            len(name),
            float(span.epoch),
            float((span.first + skip) // DECIMATION),
            DISPLAY_UV_PER_BIT,
            max(0, round(span.sent_at - span.epoch)) & 0xFFFFFFFF,
        )
        head = header + name + bytes(rows.tolist())
        return head + b"\0" * (len(head) % 2) + counts.tobytes()

    def strip(self, span: Span) -> list[StripSecond]:
        """The seconds that the span completes, oldest first; what of them was lost before is ``MISSING``.

        Args:
            span: the next of its epoch.
        """
        seconds = []
        done = 0
        while done < span.microvolts.shape[1]:
            at = (span.first + done) % ANALYSIS_FS
            n = min(ANALYSIS_FS - at, span.microvolts.shape[1] - done)
            part = slice(done, done + n)
            self._second[:, at : at + n] = _to_counts(span.microvolts[:, part], span.mask[:, part], STRIP_UV_PER_BIT)
            done += n
            if at + n == ANALYSIS_FS:
                real = (self._second != MISSING).any(axis=1)
                data = zlib.compress(self._second.tobytes(), 1)
                seconds.append(StripSecond(span.epoch, span.first + done, tuple(real.tolist()), data))
                self._second[:] = MISSING
        return seconds


def _to_counts(
    microvolts: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_], uv_per_bit: float
) -> npt.NDArray[np.int16]:
    counts: npt.NDArray[np.int16] = np.clip(np.rint(microvolts / uv_per_bit), MISSING + 1, -MISSING - 1).astype("<i2")
    counts[~mask] = MISSING
    return counts


def lead_names(flags: tuple[bool, ...]) -> tuple[str, ...]:
    """Names of the leads that are set in (12,) ``flags``."""
    return tuple(name for name, real in zip(LEADS, flags, strict=True) if real)
