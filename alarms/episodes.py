"""The burden's reading of the evidence: episodes with onset and offset, and how much of the time was spent in AF.

It may lag, so it reads only what no later window can change, smoothed with as much future as past. It has no shortest
episode: one that drowns in the smoothing counts if it was alarmed. The alarm's reading of the same evidence is in
``alarms.rhythm_alarms``.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from alarms.alarm import Kind
from alarms.evidence import BIN, Evidence, bins
from alarms.refine import change_point, refine_change
from windowing.spans import ANALYSIS_FS

Peaks = npt.NDArray[np.int64]
HOUR = 3600 * ANALYSIS_FS
HOURS_KEPT = 25  # a rolling day reaches into 25 hours of the clock
BOTH = (Kind.AF, Kind.FLUTTER)


@dataclass(frozen=True)
class EpisodeConfig:
    """Every constant of both readings. Levels are probabilities, lengths are seconds.

    Raises:
        ValueError: a value makes no sense; quotes it.
    """

    noise_bar: float = 0.5  # noise is likelier than all rhythms together: the rest says nothing
    unjudged_s: float = 60.0  # a stretch without a word, after which nobody can claim that the episode went on

    change: float = 0.5  # evidence above it speaks for the rhythm, below against it, where a change is looked for

    # Burden, without a shortest episode. Smoothed over 30 s, episodes of less than 15 s drown (decision 7).
    burden_smooth_s: float = 20.0
    burden_on: float = 0.5
    burden_off: float = 0.4  # a level that hovers at one half is one episode, not twenty
    burden_judged: float = 1 / 3  # of the smoothed stretch: 10 s were enough for the network, too
    refine_reach_s: float = 10.0  # the coarse change is off by half the smoothing at most, and mostly far less

    # Alarm, provisional, by the newest window alone: a mean of .8 is eight sure seconds of ten. A hold of 1 s is one
    # more window at any hop of 1 s or longer, so that an alarm comes within 15 s of a sharp onset.
    alarm_bar: float = 0.8  # sinus with ectopy reaches .7 for some seconds, AF passes .9
    alarm_hold_s: float = 1.0  # one window may be wrong; more of them in a row cost more time than they spare alarms
    alarm_judged: float = 0.75  # of any stretch that starts, confirms or ends an alarm
    # Slow way in, for AF that is likely all along and never sure. FINDINGS: 60 s and .7 gave no false alarm in 26 h.
    alarm_slow_s: float = 60.0
    alarm_slow_bar: float = 0.7
    # Alarm, confirmed: the ESC convention is 30 s; one vendor holds 60.
    confirm_s: float = 30.0
    confirm_bar: float = 0.7
    # Alarm, end: a run of sinus in AF is no end; a provisional alarm that was wrong must not stand for long.
    alarm_end_s: float = 30.0
    alarm_end_bar: float = 0.4
    provisional_end_s: float = 15.0
    update_every_s: float = 60.0  # each event is a line in the history and a look of a nurse
    onset_news_s: float = 2.0  # an onset that moved by less is no news
    prediction_hold_s: float = 10.0  # a prediction set of one odd window is no news either

    episodes_kept: int = 100  # of those that ended, in the state: two kilobytes of a checkpoint

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if not 30.0 <= self.confirm_s <= 60.0:
            raise ValueError(f"confirm_s: expected 30 to 60 s, got {self.confirm_s!r}")
        for name in ("alarm_slow_s", "alarm_end_s", "provisional_end_s", "burden_smooth_s"):
            if not 1.0 <= getattr(self, name) <= 60.0:
                raise ValueError(f"{name}: expected 1 to 60 s, got {getattr(self, name)!r}")
        for low, high in (("burden_off", "burden_on"), ("alarm_end_bar", "alarm_bar")):
            if not 0.0 < getattr(self, low) < getattr(self, high) < 1.0:
                got = getattr(self, low), getattr(self, high)
                raise ValueError(f"{low}, {high}: expected 0 < {low} < {high} < 1, got {got[0]!r}, {got[1]!r}")
        if self.episodes_kept < 1:
            raise ValueError(f"episodes_kept: expected 1 or more, got {self.episodes_kept!r}")


class Episode(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of one rhythm, ``[onset, offset)`` in analysis sample indices.

    Attributes:
        kind: AF or flutter.
        onset: the beat at which it began; where nothing before it could be judged, the first sample judged.
        offset: the first beat after it; None while it lasts. Where its end was not seen, the end of what was judged.
        confirmed: it lasted for ``EpisodeConfig.confirm_s`` at least.
    """

    kind: Kind
    onset: int
    offset: int | None
    confirmed: bool


class Burden(msgspec.Struct, frozen=True):
    """How much AF there was.

    Attributes:
        af_s: seconds of AF in what could be judged.
        analysed_s: seconds that could be judged.
        longest_s: seconds of the longest episode of AF, onset to offset.
        count: episodes of AF.
    """

    af_s: float = 0.0
    analysed_s: float = 0.0
    longest_s: float = 0.0
    count: int = 0

    @property
    def share(self) -> float | None:
        """AF as a share of the time analysed; None where nothing was."""
        return self.af_s / self.analysed_s if self.analysed_s else None


class _Hour(msgspec.Struct, array_like=True):
    """Sums in samples of one hour of the sample index; an episode counts where it begins, its length where it ends."""

    hour: int
    af: int = 0
    analysed: int = 0
    longest: int = 0
    count: int = 0


class EpisodeLog(msgspec.Struct, array_like=True):
    """The episodes of one epoch and the sums of the burden of its latest hours.

    Attributes:
        done: the bin that is decided next.
        kind: the rhythm at ``done``; None for neither.
        onset: where that began.
        began: AF or flutter began at this bin, before refinement.
        silent_from: first of the unjudged bins before ``done``; −1 if the last one was judged.
        floor: no onset lies before this sample, the last offset.
        ended: the latest episodes that ended, oldest first.
        hours: sums of the latest hours that have any.
    """

    done: int = -1
    kind: Kind | None = None
    onset: int = 0
    silent_from: int = -1
    floor: int = 0
    ended: list[Episode] = []
    hours: list[_Hour] = []

    def advance(self, evidence: Evidence, beats: Peaks, config: EpisodeConfig, *, last: bool = False) -> None:
        """Decide every bin of which all that its smoothing needs is final; at the ``last`` call, all that there are."""
        half = bins(config.burden_smooth_s) // 2
        if self.done < evidence.first:
            self.done = evidence.first
        stop = evidence.stop if last else evidence.final - half
        while self.done < stop:
            self._decide(evidence, beats, config, half)
            self.done += 1

    def finish(self, evidence: Evidence, beats: Peaks, config: EpisodeConfig) -> None:
        """The epoch is over: an episode that lasts ends with the last judged bin."""
        self.advance(evidence, beats, config, last=True)
        if self.kind is not None:
            self._end((self.silent_from if self.silent_from >= 0 else self.done) * BIN, config)

    def include(self, told: Episode, evidence: Evidence, config: EpisodeConfig) -> None:
        """Count an episode that was alarmed and ended, all of it decided, unless this reading has one there."""
        assert told.offset is not None
        known = self.episodes(config, self.onset)
        if told.offset <= told.onset or any(not _apart(each, told) for each in known):
            return
        self.ended.insert(sum(each.onset < told.onset for each in self.ended), told)
        del self.ended[: -config.episodes_kept]
        self.floor = max(self.floor, told.offset)
        if told.kind is Kind.AF:
            length = told.offset - told.onset
            judged = evidence.mean(Kind.AF, told.onset // BIN, -(-told.offset // BIN))[1] * BIN
            self._count(told.onset, af=min(judged, length), longest=length, count=1)

    def episodes(self, config: EpisodeConfig, end: int) -> list[Episode]:
        """What ended (the latest ``episodes_kept``) and what lasts, at sample ``end``, in order."""
        if self.kind is None:
            return list(self.ended)
        confirmed = self.done * BIN - self.onset >= config.confirm_s * ANALYSIS_FS
        return [*self.ended, Episode(self.kind, min(self.onset, end), None, confirmed)]

    def burden(self, since: int) -> Burden:
        """The burden of the whole hours of the sample index from that of sample ``since`` on."""
        hours = [hour for hour in self.hours if hour.hour >= since // HOUR]
        longest = max((hour.longest for hour in hours), default=0)
        count = sum(hour.count for hour in hours)
        if self.kind is Kind.AF:
            longest = max(longest, self.done * BIN - self.onset)
            if self.onset // HOUR < since // HOUR:
                count += 1
        analysed = sum(hour.analysed for hour in hours)
        # Refined onsets and offsets move between beats, what was judged is counted in bins.
        af = min(max(0, sum(hour.af for hour in hours)), analysed)
        return Burden(af / ANALYSIS_FS, analysed / ANALYSIS_FS, longest / ANALYSIS_FS, count)

    def _decide(self, evidence: Evidence, beats: Peaks, config: EpisodeConfig, half: int) -> None:
        index = self.done
        judged = evidence.judged(index)
        if judged:
            self.silent_from = -1
            self._count(index * BIN, analysed=BIN)
        elif self.silent_from < 0:
            self.silent_from = index
        if self.kind is not None and not judged and index + 1 - self.silent_from >= bins(config.unjudged_s):
            self._end(self.silent_from * BIN, config)
            return
        levels, known = {}, 0
        for each in BOTH:
            levels[each], known = evidence.mean(each, index - half, index + half + 1)
        if judged and known >= config.burden_judged * 2 * half:
            kind = self._rhythm(levels, config)
            if kind is not self.kind:
                self._change(kind, evidence, beats, config)
        if judged and self.kind is Kind.AF:
            self._count(index * BIN, af=BIN)

    def _rhythm(self, levels: dict[Kind, float], config: EpisodeConfig) -> Kind | None:
        """The rhythm by its smoothed levels; one that lasts stays until it is below the lower threshold."""
        likelier = max(BOTH, key=levels.__getitem__)
        if levels[likelier] >= config.burden_on:
            return likelier
        return self.kind if self.kind is not None and levels[self.kind] >= config.burden_off else None

    def _change(self, kind: Kind | None, evidence: Evidence, beats: Peaks, config: EpisodeConfig) -> None:
        coarse = at = self.done * BIN
        reach = bins(config.refine_reach_s)
        if kind is not None and (self.kind is None or kind is Kind.AF):
            changing, rising = kind, True
        else:
            changing, rising = self.kind or Kind.AF, False
        # Without judged signal before it nobody saw the change: it is where judging began.
        if evidence.mean(changing, self.done - reach, self.done)[1] >= reach // 2:
            series = evidence.series(changing, self.done - reach, self.done + reach)
            at = refine(changing, evidence, beats, change_point(series, config.change, rising=rising), rising, config)
        at = max(at, self.floor)
        if self.kind is not None:
            at = max(at, self.onset + BIN)
            if self.kind is Kind.AF:
                self._count(at, af=at - coarse)
            self._end(at, config)
        if kind is not None:
            self.kind, self.onset = kind, at
            if kind is Kind.AF:
                self._count(at, af=coarse - at, count=1)

    def _end(self, offset: int, config: EpisodeConfig) -> None:
        assert self.kind is not None
        offset = max(offset, self.onset)
        length = offset - self.onset
        self.ended.append(Episode(self.kind, self.onset, offset, length >= config.confirm_s * ANALYSIS_FS))
        del self.ended[: -config.episodes_kept]
        if self.kind is Kind.AF:
            self._count(offset, longest=length)
        self.kind, self.floor = None, offset

    def _count(self, at: int, *, af: int = 0, analysed: int = 0, longest: int = 0, count: int = 0) -> None:
        if not self.hours or self.hours[-1].hour < at // HOUR:
            self.hours.append(_Hour(at // HOUR))
            del self.hours[:-HOURS_KEPT]
        hour = next((hour for hour in reversed(self.hours) if hour.hour <= at // HOUR), self.hours[0])
        hour.af += af
        hour.analysed += analysed
        hour.longest = max(hour.longest, longest)
        hour.count += count


def _apart(one: Episode, other: Episode) -> bool:
    """They share no sample; ``other`` has ended."""
    assert other.offset is not None
    return other.offset <= one.onset or (one.offset is not None and one.offset <= other.onset)


def refine(kind: Kind, evidence: Evidence, beats: Peaks, coarse: int, begins: bool, config: EpisodeConfig) -> int:
    """The sample near bin ``coarse`` at which ``kind`` began, or ended: of AF, the beat."""
    if kind is not Kind.AF:  # flutter may be as regular as what it replaces
        return coarse * BIN
    reach = bins(config.refine_reach_s)
    known = [(index * BIN + BIN // 2, value) for index, value in evidence.series(kind, coarse - reach, coarse + reach)]
    return refine_change(beats, coarse * BIN, into_irregular=begins, evidence=known, reach_s=config.refine_reach_s)
