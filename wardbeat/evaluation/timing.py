"""How far from its annotated onset and offset an AF episode was told, and how long the ward took to say so."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wardbeat.evaluation.episodes import Alarm, Record
from wardbeat.evaluation.intervals import Interval, common, length

# A rhythm within the first 10 s has no onset to be found: no whole window lies before it. The same at the end.
EDGE_S = 10.0


@dataclass(frozen=True)
class Change:
    """One annotated onset or offset, and how far off it was told: told minus annotated, negative is too early.

    Attributes:
        subject: the patient.
        seconds: None if it was not told: the episode was missed, or told as one with its neighbour.
        beats: R peaks between the two, parts of RR intervals by time; None if not told, or fewer than 2 R peaks known.
    """

    subject: str
    seconds: float | None
    beats: float | None


def _overlapping(episode: Interval, others: Sequence[Interval]) -> list[Interval]:
    return [other for other in others if other.onset < episode.offset and episode.onset < other.offset]


def _change(record: Record, at: int, told: int | None, r_peaks: npt.NDArray[np.int64]) -> Change:
    if told is None:
        return Change(record.subject, None, None)
    beats = None
    if len(r_peaks) > 1:
        before, after = np.interp((at, told), r_peaks, np.arange(len(r_peaks)))
        beats = float(after - before)
    return Change(record.subject, (told - at) / record.fs, beats)


def _whole(record: Record, at: int) -> bool:
    """Whether the rhythm is judged for ``EDGE_S`` on both sides of ``at``."""
    around = Interval(at - round(EDGE_S * record.fs), at + max(1, round(EDGE_S * record.fs)))
    return length(common((around,), record.judged)) == around.offset - around.onset


def onset_changes(record: Record, r_peaks: npt.NDArray[np.int64]) -> list[Change]:
    """Each annotated onset that could be found, against the onset of the first episode told that overlaps.

    An episode told over several annotated ones has the onset of the first only; the others' onsets were not told.

    Args:
        record: the record.
        r_peaks: (b,) R peaks in its samples, ascending.
    """
    changes = []
    for episode in record.reference:
        if not _whole(record, episode.onset):
            continue
        first = next(iter(_overlapping(episode, record.told)), None)
        if first is not None and _overlapping(first, record.reference)[0] != episode:
            first = None
        changes.append(_change(record, episode.onset, first.onset if first else None, r_peaks))
    return changes


def offset_changes(record: Record, r_peaks: npt.NDArray[np.int64]) -> list[Change]:
    """Each annotated offset that could be found, against that of the last overlapping episode; as ``onset_changes``."""
    changes = []
    for episode in record.reference:
        if not _whole(record, episode.offset):
            continue
        last = next(reversed(_overlapping(episode, record.told)), None)
        if last is not None and _overlapping(last, record.reference)[-1] != episode:
            last = None
        changes.append(_change(record, episode.offset, last.offset if last else None, r_peaks))
    return changes


@dataclass(frozen=True)
class Delay:
    """From an annotated onset to the alarm, in seconds, 0 or more; infinite if there was none."""

    subject: str
    provisional_s: float
    confirmed_s: float


def delays(record: Record, alarms: Iterable[Alarm], shortest_s: float = 0.0) -> list[Delay]:
    """Of each annotated episode of at least ``shortest_s`` whose onset could be found.

    Missed episodes stay in, with an infinite delay, so that a median over them does not praise a detector for being
    silent where it is difficult. Episodes that begin while an alarm stands, after a gap that did not end it, are left
    out: nothing was to be told, and a delay of zero would praise for it.
    """
    found, alarms = [], list(alarms)
    for episode in record.reference:
        if episode.offset - episode.onset < shortest_s * record.fs or not _whole(record, episode.onset):
            continue
        of_it = [alarm for alarm in alarms if alarm.onset < episode.offset and episode.onset < alarm.offset]
        if any(alarm.provisional_at < episode.onset for alarm in of_it):
            continue
        provisional = min((alarm.provisional_at for alarm in of_it), default=None)
        confirmed = min((alarm.confirmed_at for alarm in of_it if alarm.confirmed_at is not None), default=None)
        found.append(
            Delay(
                record.subject,
                _since(episode.onset, provisional, record.fs),
                _since(episode.onset, confirmed, record.fs),
            )
        )
    return found


def _since(onset: int, at: int | None, fs: int) -> float:
    return float("inf") if at is None else (at - onset) / fs
