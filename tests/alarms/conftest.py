"""A bed's history, told as beats, lead states and gaps, and cut into observations as a test likes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from alarms.alarm import AlarmEvent
from alarms.limits import Limits
from alarms.observation import Observation
from alarms.rules import Rules
from ecg.leads import LEADS

FS, BLOCK, MARK = 500, 50, 250


@dataclass(frozen=True)
class Mark:
    """One quality mark."""

    at: int
    states: tuple[str, ...]


def leads(usual: str = "good", **other: str) -> tuple[str, ...]:
    """Twelve states, all ``usual`` but for those named."""
    return tuple(other.get(lead, usual) for lead in LEADS)


@dataclass
class History:
    """What happens on one bed in ``seconds``.

    ``beats``: R peaks in seconds. ``states``: (from second, twelve states), ascending. ``unsent``: stretches in seconds
    in which no chunk comes. ``unmeasured``: stretches in which chunks come with no real sample.
    """

    seconds: float
    beats: Iterable[float] = ()
    states: Sequence[tuple[float, tuple[str, ...]]] = ((0.0, leads()),)
    unsent: Sequence[tuple[float, float]] = ()
    unmeasured: Sequence[tuple[float, float]] = ()
    latency: int = 250
    marks: list[Mark] = field(init=False)

    def __post_init__(self) -> None:
        """Lay everything on the sample index."""
        self.end = round(self.seconds * FS / BLOCK) * BLOCK
        peaks = np.array([round(beat * FS) for beat in self.beats], dtype=np.int64)
        keep = peaks + self.latency < self.end
        self.peaks, self.at = peaks[keep], peaks[keep] + self.latency
        self.marks = []
        for at in range(MARK, self.end + 1, MARK):
            now = [states for start, states in self.states if start * FS < at]
            self.marks.append(Mark(at, now[-1] if now else leads("missing")))
        blocks = np.arange(0, self.end, BLOCK) / FS
        self.received = np.ones(len(blocks), dtype=bool)
        self.covered = np.ones(len(blocks), dtype=bool)
        for start, end in self.unsent:
            self.received[(blocks >= start) & (blocks < end)] = False
        self.covered &= self.received
        for start, end in self.unmeasured:
            self.covered[(blocks >= start) & (blocks < end)] = False

    def cut(self, lengths: Iterable[int] = ()) -> list[Observation]:
        """Observations of so many blocks each, the last length to the end; two blocks without any."""
        sizes, size = iter(lengths), 2
        observations, first = [], 0
        while first < self.end:
            size = next(sizes, size)
            end = min(self.end, first + size * BLOCK)
            new = (self.at >= first) & (self.at < end)
            blocks = slice(first // BLOCK, end // BLOCK)
            observations.append(
                Observation(
                    first=first,
                    end=end,
                    beat_samples=self.peaks[new],
                    beat_at=self.at[new],
                    quality=[mark for mark in self.marks if first < mark.at <= end],
                    covered=self.covered[blocks],
                    received=self.received[blocks],
                    sent_at=1000.0,
                )
            )
            first = end
        return observations

    def play(self, limits: Limits | None = None, lengths: Iterable[int] = ()) -> list[AlarmEvent]:
        """All events of the history, without those of its finish."""
        rules = Rules("bed-1", limits)
        rules.start(1_700_000_000_000)
        return [event for observation in self.cut(lengths) for event in rules.observe(observation)]


def steady(start: float, end: float, bpm: float) -> list[float]:
    """R peaks in seconds at a steady rate in ``[start, end)``."""
    return [float(beat) for beat in np.arange(start, end, 60.0 / bpm)]


def brief(events: Iterable[AlarmEvent]) -> list[tuple[str, str, float]]:
    """Kind, phase and second of each event."""
    return [(str(event.kind), str(event.phase), event.at / FS) for event in events]


def of_kind(events: Iterable[AlarmEvent], kind: str) -> list[AlarmEvent]:
    """The events of one kind."""
    return [event for event in events if event.kind == kind]


class Tell:
    """The words in which the tests of the alarms speak."""

    History = History
    leads = staticmethod(leads)
    steady = staticmethod(steady)
    brief = staticmethod(brief)
    of_kind = staticmethod(of_kind)


@pytest.fixture(scope="session")
def tell() -> Tell:
    """Histories and how to read their events."""
    return Tell()
