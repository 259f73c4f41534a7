"""Order: chunks of one epoch in, the same samples once and by index out, holes told apart from lateness."""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ecg.chunk import Chunk
from ecg.leads import lead_indices

_NOTHING: npt.NDArray[np.int16] = np.frombuffer(b"", dtype="<i2")  # of the one array type that the kernels know


@lru_cache(maxsize=256)
def lead_rows(leads: tuple[str, ...]) -> npt.NDArray[np.intp]:
    """``lead_indices`` remembered: a monitor names the same leads in every chunk."""
    return lead_indices(leads)


@dataclass(frozen=True, slots=True)
class Segment:
    """Samples ``[first, end)`` of one epoch at the monitor's rate; without any leads it is a gap.

    Attributes:
        first: index of the first sample.
        end: index after the last one.
        rows: (leads,) rows of the twelve-lead array.
        uv_per_bit: µV of one step of ``counts``.
        counts: (leads, n) int16, the chunk's own samples, no copy.
        at: column of ``first`` in ``counts``.
    """

    first: int
    end: int
    rows: npt.NDArray[np.intp]
    uv_per_bit: float
    counts: npt.NDArray[np.int16]
    at: int = 0

    @classmethod
    def of(cls, chunk: Chunk, origin: int) -> "Segment":
        """All of a chunk, indices counted from the monitor's sample ``origin``."""
        first = chunk.first_sample - origin
        return cls(first, first + chunk.n, lead_rows(chunk.leads), chunk.uv_per_bit, chunk.counts())

    @classmethod
    def gap(cls, first: int, end: int) -> "Segment":
        """Samples that never came."""
        return cls(first, end, np.empty(0, dtype=np.intp), 1.0, _NOTHING.reshape(0, end - first))

    @property
    def is_gap(self) -> bool:
        """Nothing was measured here."""
        return not len(self.rows)

    def cut(self, first: int, end: int) -> "Segment":
        """The part ``[first, end)`` of it, no copy."""
        return Segment(first, end, self.rows, self.uv_per_bit, self.counts, self.at + first - self.first)


def _first(segment: Segment) -> int:
    return segment.first


class Reorder:
    """Puts segments in order by sample index; of each sample the copy that arrived first is kept.

    Attributes:
        watermark: the next sample that is wanted; everything below it has been handed on.
        newest: end of the newest sample that was kept.
        pending: segments ahead of the watermark, by index, without overlap. Together they end less than ``bound``
            samples beyond the watermark once everything that can be taken has been taken.
        gaps: ``(first, end)`` of the holes that were given up, by index.
    """

    def __init__(self, bound: int, watermark: int = 0, pending: Iterable[Segment] = ()) -> None:
        self.bound = bound
        self.watermark = watermark
        self.pending = list(pending)
        self.newest = self.pending[-1].end if self.pending else watermark
        self.gaps: list[tuple[int, int]] = []

    def offer(self, segment: Segment) -> int:
        """Keep what is new in ``segment`` and return how many samples that is."""
        start, kept = max(segment.first, self.watermark), 0
        news = []
        for waiting in self.pending:
            if waiting.end <= start:
                continue
            if waiting.first >= segment.end:
                break
            if waiting.first > start:
                news.append(segment.cut(start, waiting.first))
            start = waiting.end
        if start < segment.end:
            news.append(segment.cut(start, segment.end))
        for new in news:
            insort(self.pending, new, key=_first)
            kept += new.end - new.first
        if kept:
            self.newest = max(self.newest, segment.end)
        return kept

    def take(self, *, drain: bool = False) -> Segment | None:
        """The segment at the watermark, or the hole there if it is given up, or None if there is nothing to hand on.

        A hole is given up once a sample ``bound`` or more beyond the watermark is there, or at once if ``drain``.
        """
        if not self.pending:
            return None
        if self.pending[0].first == self.watermark:
            segment = self.pending.pop(0)
        elif drain or self.newest - self.watermark >= self.bound:
            segment = Segment.gap(self.watermark, self.pending[0].first)
            self.gaps.append((segment.first, segment.end))
        else:
            return None
        self.watermark = segment.end
        return segment

    def was_given_up(self, segment: Segment) -> bool:
        """Some of it lies in a hole that was given up (and not forgotten since)."""
        return any(first < segment.end and segment.first < end for first, end in self.gaps)

    def forget(self, below: int) -> None:
        """Drop gaps that end at or below an index which no refill will ask for."""
        while self.gaps and self.gaps[0][1] <= below:
            self.gaps.pop(0)
