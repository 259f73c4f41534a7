"""A recording: what was measured of one patient in one sitting, held in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from ecg.chunk import MISSING, Chunk


@dataclass(frozen=True)
class Rhythm:
    """A stretch of one rhythm, ``[onset, offset)`` in sample indices at the recording's own rate."""

    name: str
    onset: int
    offset: int


@dataclass(frozen=True)
class Recording:
    """Signals with what is known of them.

    Attributes:
        name: what the recording is called (a WFDB record's path, a file's stem).
        fs: samples per second, Hz.
        leads: standard lead names, one per row of ``microvolts``.
        microvolts: (leads, n) float32 µV; NaN where nothing was measured.
        beats: (b,) int64 sample indices of R peaks, ascending; None where nobody knows them.
        beat_symbols: one WFDB beat symbol per beat ('N', 'V', 'A', …); empty where unknown.
        rhythms: annotated rhythms in order; empty where unknown.
    """

    name: str
    fs: int
    leads: tuple[str, ...]
    microvolts: npt.NDArray[np.float32]
    beats: npt.NDArray[np.int64] | None = None
    beat_symbols: tuple[str, ...] = ()
    rhythms: tuple[Rhythm, ...] = field(default=())

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return float(self.microvolts.shape[1] / self.fs)

    def sliced(self, first: int, end: int | None = None) -> "Recording":
        """Samples ``[first, end)``, by default to the last one, with their annotations."""
        n = self.microvolts.shape[1]
        end = n if end is None else end
        if (first, end) == (0, n):
            return self
        beats = np.empty(0, np.int64) if self.beats is None else self.beats
        kept = (beats >= first) & (beats < end)
        return replace(
            self,
            microvolts=self.microvolts[:, first:end],
            beats=None if self.beats is None else beats[kept] - first,
            beat_symbols=tuple(self.beat_symbols[i] for i in np.flatnonzero(kept)) if self.beat_symbols else (),
            rhythms=tuple(
                replace(r, onset=max(r.onset - first, 0), offset=min(r.offset, end) - first)
                for r in self.rhythms
                if r.offset > first and r.onset < end
            ),
        )

    def chunks(
        self, bed: str, *, epoch: int = 0, seconds: float = 0.2, uv_per_bit: float = 1.0, final: bool = True
    ) -> Iterator[Chunk]:
        """The recording as a monitor would send it: chunks of ``seconds``, the last one marked final.

        ``sent_at`` is the instant of the sample after each chunk's last one. NaN becomes ``MISSING``; a voltage beyond
        int16 × ``uv_per_bit`` is clipped.
        """
        step = max(1, round(seconds * self.fs))
        total = self.microvolts.shape[1]
        for seq, first in enumerate(range(0, total, step)):
            part = self.microvolts[:, first : first + step]
            counts = np.clip(np.rint(np.nan_to_num(part) / uv_per_bit), MISSING + 1, -MISSING - 1).astype("<i2")
            counts[np.isnan(part)] = MISSING
            end = first + part.shape[1]
            yield Chunk(
                bed=bed,
                epoch=epoch,
                seq=seq,
                first_sample=first,
                fs=self.fs,
                leads=self.leads,
                uv_per_bit=uv_per_bit,
                sent_at=epoch + 1000.0 * end / self.fs,
                samples=counts.tobytes(),
                final=final and end == total,
            )
