"""What overlapping windows say of each half second, fused into one series.

Every window gives ten probabilities, one a second. A half second (bin) lies in many windows; its evidence is the mean
of what they say of it. A window that ends just after a change has seen too little of the new rhythm to know it, so as
soon as a window speaks of a bin with five seconds or more of what came after it, what was said without them is dropped.
Bins lie on the absolute grid of the sample index, so they are the same wherever the windows begin, and a bin belongs
to the second of a window that holds its middle. Windows that are missing, or that could not be judged, give nothing.

Probabilities are kept in whole thousandths: sums of whole numbers are exact, and small in a checkpoint.
"""

import math
from collections.abc import Sequence

import msgspec

from models.finding import Finding
from windowing.spans import ANALYSIS_FS

SECONDS = 10  # probabilities in a window
HINDSIGHT = 5  # of them, the oldest: the window has seen five seconds or more of what came after. Decision 7: 4 to 6 do
WINDOW = SECONDS * ANALYSIS_FS
BIN = ANALYSIS_FS // 2  # the shortest hop: a window then always begins on the grid
BINS_PER_S = ANALYSIS_FS // BIN
KEPT = 120 * BINS_PER_S  # bins; a confirmation of 60 s, the search for its onset before it, and the open window
SCALE = 1000  # a thousandth is far below what calibration can tell apart


def bins(seconds: float) -> int:
    """Whole bins in ``seconds``."""
    return round(seconds * BINS_PER_S)


class Evidence(msgspec.Struct, array_like=True):
    """The fused evidence of the latest two minutes of one epoch.

    Attributes:
        noise_bar: thousandths of noise from which a bin says nothing of the rhythm.
        first: index of the oldest bin kept; bin i holds the samples ``[i * BIN, (i + 1) * BIN)``.
        final: index of the first bin that a later window may still speak of.
        end: analysis sample index after the newest window; −1 before the first.
        settled: index of the first bin of which no window has spoken with hindsight.
        windows: how many windows spoke of each bin, oldest first; once one had hindsight, those that had.
        af, flutter, noise: the sums of what they said, thousandths.
    """

    noise_bar: int = SCALE // 2
    first: int = 0
    final: int = 0
    end: int = -1
    settled: int = 0
    windows: list[int] = []
    af: list[int] = []
    flutter: list[int] = []
    noise: list[int] = []

    @property
    def stop(self) -> int:
        """Index after the newest bin."""
        return self.first + len(self.windows)

    def add(self, finding: Finding) -> None:
        """Take the next window.

        Raises:
            ValueError: it is not later than the last one, or has not ten probabilities of a kind, or one beyond 0 … 1.
        """
        known = finding.usable and finding.af_evidence
        nothing = (0.0,) * SECONDS
        af = _thousandths("af_evidence", finding.af_evidence or nothing)
        flutter = _thousandths("flutter_evidence", finding.flutter_evidence or nothing)
        noise = _thousandths("noise_evidence", finding.noise_evidence or nothing)
        self.extend(finding.end)
        if not known:
            return
        start = finding.end - WINDOW
        for index in range(max(self.first, self.final), self.stop):
            second = (index * BIN + BIN // 2 - start) // ANALYSIS_FS
            place = index - self.first
            if second < HINDSIGHT and index >= self.settled:
                self.settled = index + 1
                self.windows[place] = self.af[place] = self.flutter[place] = self.noise[place] = 0
            self.windows[place] += 1
            self.af[place] += af[second]
            self.flutter[place] += flutter[second]
            self.noise[place] += noise[second]

    def extend(self, end: int) -> None:
        """Time has come to sample ``end``: a window ended there, of which nothing may be known.

        Raises:
            ValueError: it had come so far before.
        """
        if end <= self.end:
            raise ValueError(f"end: expected a window after {self.end}, got {end}")
        self.final = max(self.final, _bin_of(end - WINDOW))
        if self.end < 0:
            self.first = self.final
        self.end = end
        new = _bin_of(end) - self.stop
        for series in (self.windows, self.af, self.flutter, self.noise):
            series += [0] * new
            del series[:-KEPT]
        self.first = _bin_of(end) - len(self.windows)

    def judged(self, index: int) -> bool:
        """Some window spoke of bin ``index``, and it is not noise."""
        place = index - self.first
        if not 0 <= place < len(self.windows) or not self.windows[place]:
            return False
        return self.noise[place] < self.noise_bar * self.windows[place]

    def series(self, kind: str, first: int, stop: int) -> list[tuple[int, float]]:
        """(bin, evidence 0 … 1) of the judged bins in ``[first, stop)``, ascending."""
        low, high = max(0, first - self.first), max(0, stop - self.first)
        sums: list[int] = getattr(self, kind)[low:high]
        known = zip(sums, self.windows[low:high], self.noise[low:high], strict=True)
        return [
            (self.first + low + place, total / (SCALE * windows))
            for place, (total, windows, noise) in enumerate(known)
            if windows and noise < self.noise_bar * windows
        ]

    def mean(self, kind: str, first: int, stop: int) -> tuple[float, int]:
        """Mean evidence 0 … 1 of the judged bins in ``[first, stop)``, and how many there are; (0, 0) with none."""
        values = [value for _, value in self.series(kind, first, stop)]
        return (math.fsum(values) / len(values), len(values)) if values else (0.0, 0)


def _bin_of(sample: int) -> int:
    """The first bin of which the middle lies at ``sample`` or later, and not before the epoch."""
    return max(0, -((BIN // 2 - sample) // BIN))


def _thousandths(name: str, values: Sequence[float]) -> list[int]:
    if len(values) != SECONDS:
        raise ValueError(f"{name}: expected {SECONDS} probabilities, got {len(values)}")
    if not all(0.0 <= value <= 1.0 for value in values):
        raise ValueError(f"{name}: expected probabilities 0 to 1, got {tuple(values)!r}")
    return [round(SCALE * value) for value in values]
