"""Episodes of AF, or of flutter, told against those annotated, after ANSI/AAMI EC57.

Definitions as in EC57:2012 and its reference implementation, PhysioNet's ``epicmp`` (WFDB Applications Guide):

- an episode is detected, or true, if any of it overlaps an episode of the other list, be it by one sample;
- episode sensitivity = detected of the annotated episodes; episode positive predictivity = true ones of those told;
- duration sensitivity and positive predictivity = the same of the time in them;
- of AF, annotated flutter is left out of the positive predictivities only: to call it AF is there neither right nor
  wrong;
- gross figures pool all records, average figures are means over the records that define them.

Two things differ. ``epicmp`` skips the first five minutes, in which a device may learn; here the caller says what is
analysed. And stretches of unknown rhythm can be left out of everything.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from wardbeat.evaluation.intervals import Interval, Intervals, common, intervals, length, without

SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class Record:
    """What is annotated and what was told of one record, in samples of ``fs`` a second.

    Attributes:
        name: of the record.
        subject: the patient.
        fs: sampling rate, Hz.
        analysed: what was judged at all.
        reference: annotated AF (of a comparison of flutter: flutter).
        told: what of it was told.
        flutter: annotated atrial flutter where AF is compared; not AF, and left out of the positive predictivities.
        unknown: where nobody knows the rhythm, left out of everything.
    """

    name: str
    subject: str
    fs: int
    analysed: Interval
    reference: Intervals
    told: Intervals
    flutter: Intervals = ()
    unknown: Intervals = ()

    def __post_init__(self) -> None:
        """Check the lists.

        Raises:
            ValueError: a list is not in order or overlaps itself, AF and flutter overlap, or ``fs`` is not positive.
        """
        if self.fs <= 0:
            raise ValueError(f"{self.name}: fs must be positive: {self.fs}")
        intervals([self.analysed], f"{self.name}: analysed")
        for what in ("reference", "told", "flutter", "unknown"):
            intervals(getattr(self, what), f"{self.name}: {what}")
        if both := common(self.reference, self.flutter):
            raise ValueError(f"{self.name}: annotated as AF and as flutter: {tuple(both[0])}")

    @property
    def judged(self) -> Intervals:
        """The analysed time whose rhythm is known."""
        return without((self.analysed,), self.unknown)


def ratio(part: float, whole: float) -> float:
    """NaN where there is no whole."""
    return part / whole if whole > 0 else float("nan")


@dataclass(frozen=True)
class Comparison:
    """Counts and seconds of one record, or, as ``gross`` sums them, of many.

    Attributes:
        reference_episodes: annotated episodes, of which
        detected_episodes: overlap one told.
        told_episodes: episodes told, of which
        true_episodes: overlap an annotated one.
        reference_s: annotated AF, of which
        detected_s: lies in episodes told.
        told_s: AF told, flutter left out, of which
        true_s: lies in annotated episodes.
        judged_s: all time judged, of which
        af_s: is annotated AF, however short, and
        called_af_s: was told as AF, flutter not left out.
    """

    reference_episodes: int
    detected_episodes: int
    told_episodes: int
    true_episodes: int
    reference_s: float
    detected_s: float
    told_s: float
    true_s: float
    judged_s: float
    af_s: float
    called_af_s: float

    @property
    def episode_sensitivity(self) -> float:
        """Share of the annotated episodes that were detected, 0 … 1; NaN without any."""
        return ratio(self.detected_episodes, self.reference_episodes)

    @property
    def episode_ppv(self) -> float:
        """Share of the episodes told that are true, 0 … 1; NaN without any."""
        return ratio(self.true_episodes, self.told_episodes)

    @property
    def duration_sensitivity(self) -> float:
        """Share of the annotated time that was told, 0 … 1; NaN without any."""
        return ratio(self.detected_s, self.reference_s)

    @property
    def duration_ppv(self) -> float:
        """Share of the time told that is annotated, 0 … 1; NaN without any."""
        return ratio(self.true_s, self.told_s)


@dataclass(frozen=True)
class _Tally:
    episodes: int
    overlapping: int
    samples: int
    samples_in_both: int


def _tally(episodes: Intervals, other: Intervals, judged: Intervals) -> _Tally:
    n, overlapping, samples, samples_in_both = 0, 0, 0, 0
    for episode in episodes:
        counted = common((episode,), judged)
        if not counted:
            continue
        shared = length(common(counted, other))
        n += 1
        overlapping += shared > 0
        samples += length(counted)
        samples_in_both += shared
    return _Tally(n, overlapping, samples, samples_in_both)


def compare(record: Record) -> Comparison:
    """One record's counts."""
    judged = record.judged
    sensitivity = _tally(record.reference, record.told, judged)
    ppv = _tally(record.told, record.reference, without(judged, record.flutter))
    return Comparison(
        sensitivity.episodes,
        sensitivity.overlapping,
        ppv.episodes,
        ppv.overlapping,
        sensitivity.samples / record.fs,
        sensitivity.samples_in_both / record.fs,
        ppv.samples / record.fs,
        ppv.samples_in_both / record.fs,
        length(judged) / record.fs,
        length(common(record.reference, judged)) / record.fs,
        length(common(record.told, judged)) / record.fs,
    )


def gross(comparisons: Iterable[Comparison]) -> Comparison:
    """All records pooled: long records and those of many episodes weigh most."""
    rows = [astuple(comparison) for comparison in comparisons]
    n = len(fields(Comparison))
    sums = [sum(row[i] for row in rows) for i in range(n)]
    return Comparison(*sums)


@dataclass(frozen=True)
class Average:
    """A mean over the ``records`` that define it."""

    value: float
    records: int


def average(comparisons: Sequence[Comparison], figure: str) -> Average:
    """Mean of a figure, such as ``episode_ppv``, each record weighing the same; NaN if no record defines it."""
    values = np.array([getattr(comparison, figure) for comparison in comparisons], np.float64)
    defined = values[~np.isnan(values)]
    return Average(float(defined.mean()) if len(defined) else float("nan"), len(defined))


@dataclass(frozen=True)
class Alarm:
    """An alarm of AF or flutter, in samples of its record.

    Attributes:
        onset: of the episode that it tells, which lies before the alarm.
        offset: of the episode.
        provisional_at: the sample at whose arrival the ward said "AF?" (or "Flutter?").
        confirmed_at: the sample at whose arrival it said "AF"; None if it never did.
    """

    onset: int
    offset: int
    provisional_at: int
    confirmed_at: int | None = None


@dataclass(frozen=True)
class FalseAlarms:
    """Alarms of a rhythm, AF below, in time without it, of one record or summed.

    A false alarm is one whose episode overlaps no annotated AF; episodes that lie wholly where nothing is judged do not
    count. AF alarms in flutter are false: the nurse is told of AF. A bed-day is 24 h of judged time that is not
    annotated as AF: only there can an alarm be false, so a record full of AF cannot thin the rate out.

    Attributes:
        alarms: all of them, of which
        false: are false, of which
        false_confirmed: were confirmed.
        bed_days: judged time without AF, in days of 24 h.
    """

    alarms: int
    false: int
    false_confirmed: int
    bed_days: float


def false_alarms(record: Record, alarms: Iterable[Alarm]) -> FalseAlarms:
    """The false ones of a record's alarms.

    Raises:
        ValueError: an alarm's episode is empty.
    """
    judged = record.judged
    n, false, confirmed = 0, 0, 0
    for alarm in alarms:
        told = common(intervals([(alarm.onset, alarm.offset)], f"{record.name}: alarm"), judged)
        if not told:
            continue
        n += 1
        if not common(told, record.reference):
            false += 1
            confirmed += alarm.confirmed_at is not None
    return FalseAlarms(n, false, confirmed, length(without(judged, record.reference)) / record.fs / SECONDS_A_DAY)
