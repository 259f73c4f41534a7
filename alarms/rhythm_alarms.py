"""The alarm's reading of the evidence: AF and flutter, told at onset and at termination.

A provisional alarm comes when a window is sure of the rhythm by itself and the next one is, too, and its prediction
set rules out all rhythms that are no alarm; a confirmed one when the fused evidence has held since onset for
``EpisodeConfig.confirm_s``; the end when it has been low for a while. What is not
judged neither starts nor ends anything, but after ``EpisodeConfig.unjudged_s`` of it an alarm ends with what is known.

Everything is a function of the findings of an epoch, in order, and of the beats that were known at each.
"""

import math

import msgspec
import numpy as np
import numpy.typing as npt

from alarms.alarm import AlarmEvent, Kind
from alarms.episodes import BOTH, Burden, Episode, EpisodeConfig, EpisodeLog, refine
from alarms.evidence import BIN, KEPT, SCALE, SECONDS, WINDOW, Evidence, bins
from alarms.ledger import Ledger
from alarms.refine import change_point
from models.classes import RHYTHMS
from models.finding import NO_MODEL, Finding
from windowing.spans import ANALYSIS_FS

NAMES = {Kind.AF: "AF", Kind.FLUTTER: "Flutter"}
SILENT_STEP = 30 * ANALYSIS_FS  # time in which no window comes passes in such steps, and each is judged as it passes
DAY = 24 * 3600 * ANALYSIS_FS


class _Memory(msgspec.Struct, array_like=True):
    """All that is remembered of a bed.

    Attributes:
        epoch: the running epoch, None before one.
        evidence, log: the fused evidence and the burden's reading of it.
        high: for AF and flutter, end of the first of the latest windows in a row with high evidence; −1 if the newest
            one has none.
        judged_to: sample after the newest bin that could be judged.
        confirmed: the active alarm is.
        onset_at: window at which its onset was last looked for.
        started: onset by which the latest alarm started, and that its id is made of.
        floor: no onset lies before this sample: the rhythm before it ended here, and no id comes twice.
        other: a prediction set other than the one shown, and the window since which it has been so.
        told: what alarms that ended told, of which the burden's reading has yet to decide.
    """

    epoch: int | None = None
    evidence: Evidence = msgspec.field(default_factory=Evidence)
    log: EpisodeLog = msgspec.field(default_factory=EpisodeLog)
    high: tuple[int, int] = (-1, -1)
    judged_to: int = 0
    confirmed: bool = False
    onset_at: int = 0
    started: int = -1
    floor: int = 0
    other: tuple[tuple[str, ...], int] = ((), -1)
    told: list[Episode] = []


class RhythmAlarms:
    """Alarms, episodes and burden of one bed by the findings of its windows."""

    def __init__(
        self, bed: str, config: EpisodeConfig | None = None, excludable: frozenset[str] = frozenset(RHYTHMS)
    ) -> None:
        """Nothing is known of ``bed`` yet. An event names the model of the finding that started its alarm.

        ``excludable`` are the rhythms that a prediction set may lack: one that is in every set doubts no alarm.
        """
        self.config = config or EpisodeConfig()
        self._doubts = excludable - set(BOTH)
        self._ledger = Ledger(bed, NO_MODEL)
        self._memory = _Memory()

    @property
    def active(self) -> tuple[AlarmEvent, ...]:
        """The latest event of the active alarm, if there is one."""
        return tuple(self._ledger.active.values())

    @property
    def confirmed(self) -> bool:
        """An alarm is active and no longer provisional."""
        return self._memory.confirmed

    @property
    def epoch(self) -> int | None:
        """Unix milliseconds of sample 0 of the epoch that is judged, None before one."""
        return self._memory.epoch

    @property
    def episodes(self) -> list[Episode]:
        """The latest episodes of the epoch by the burden's reading, in order; the last may be going on."""
        return self._memory.log.episodes(self.config, self._memory.evidence.end)

    @property
    def burden_24h(self) -> Burden:
        """The burden of the latest 24 hours, in whole hours of the sample index. The newest 20 s are not in it yet."""
        return self._memory.log.burden(max(0, self._memory.evidence.end - DAY))

    def recent(self, seconds: int) -> tuple[float | None, ...]:
        """Evidence of AF in each of the latest ``seconds``, oldest first; None where nothing could be judged."""
        evidence = self._memory.evidence
        found = []
        for first in range(evidence.stop - bins(seconds), evidence.stop, bins(1)):
            level, known = evidence.mean(Kind.AF, first, first + bins(1))
            found.append(level if known else None)
        return tuple(found)

    def start(self, epoch: int) -> None:
        """Begin ``epoch``: nothing is known of it yet.

        Raises:
            ValueError: an alarm of the epoch before is still active: ``finish`` ends it.
        """
        self._ledger.begin(epoch)
        self._memory = _Memory(epoch=epoch, evidence=Evidence(round(self.config.noise_bar * SCALE)))

    def observe(self, finding: Finding, beats: npt.NDArray[np.int64]) -> list[AlarmEvent]:
        """Judge the next window.

        Args:
            finding: of a later window of the same epoch than the last one; without evidence nothing is judged.
            beats: (b,) int64 R peaks known by now, analysis sample indices, ascending; the latest 60 s at least.

        Raises:
            ValueError: the finding is of another bed or epoch, is not later, or its evidence makes no sense.
        """
        memory = self._memory
        if (finding.bed, finding.epoch) != (self._ledger.bed, memory.epoch):
            raise ValueError(
                f"finding: expected bed {self._ledger.bed!r}, epoch {memory.epoch}, "
                f"got {finding.bed!r}, {finding.epoch}"
            )
        self._ledger.sent_at, self._ledger.model = finding.sent_at, finding.model
        if 0 <= memory.evidence.end < finding.end - SILENT_STEP:
            self._pass_silence(finding, beats)
        memory.evidence.add(finding)
        self._judge(finding, beats)
        return self._ledger.take()

    def finish(self, end: int, sent_at: float, beats: npt.NDArray[np.int64]) -> list[AlarmEvent]:
        """End the active alarm: the epoch is over at sample ``end``, ``beats`` are as for ``observe``.

        ``episodes`` and ``burden_24h`` stay until the next ``start``.
        """
        memory = self._memory
        self._ledger.sent_at = sent_at
        if memory.evidence.end >= 0:
            memory.log.finish(memory.evidence, beats, self.config)
        for kind in list(self._ledger.active):
            self._end(kind, end, memory.judged_to, seen=False)
        self._include_told()
        return self._ledger.take()

    def snapshot(self) -> bytes:
        """All that is remembered (MessagePack), not the configuration."""
        return msgspec.msgpack.encode((self._memory, list(self._ledger.active.values())))

    def restore(self, data: bytes) -> None:
        """Continue where ``snapshot`` was taken, on a fresh object for the same bed and configuration.

        Raises:
            msgspec.DecodeError: the bytes are no snapshot.
            ValueError: it is the snapshot of another bed.
        """
        memory, active = msgspec.msgpack.decode(data, type=tuple[_Memory, list[AlarmEvent]])
        self._ledger.restore(memory.epoch, active)
        self._memory = memory

    def _pass_silence(self, finding: Finding, beats: npt.NDArray[np.int64]) -> None:
        """Nothing came for long: judge that until nothing is left to judge, then let the rest go by."""
        memory = self._memory
        nothing = msgspec.structs.replace(finding, usable=False)
        until = min(finding.end - SILENT_STEP, memory.evidence.end + KEPT * BIN + WINDOW + SILENT_STEP)
        while memory.evidence.end < until:
            memory.evidence.extend(memory.evidence.end + SILENT_STEP)
            self._judge(nothing, beats)
        if memory.evidence.end < finding.end - SILENT_STEP:
            memory.evidence = Evidence(memory.evidence.noise_bar)

    def _judge(self, finding: Finding, beats: npt.NDArray[np.int64]) -> None:
        memory, config, evidence = self._memory, self.config, self._memory.evidence
        memory.log.advance(evidence, beats, config)
        newest = next((index for index in reversed(range(evidence.first, evidence.stop)) if evidence.judged(index)), -1)
        memory.judged_to = max(memory.judged_to, (newest + 1) * BIN)
        high = tuple(self._high_since(kind, since, finding) for kind, since in zip(BOTH, memory.high, strict=True))
        memory.high = (high[0], high[1])

        for kind in list(self._ledger.active):
            self._go_on(kind, finding, beats)
        if Kind.AF not in self._ledger.active and _speaks(finding) and self._certain(finding):
            begun = next((kind for kind in BOTH if self._begins(kind, finding)), None)
            if begun is not None and begun not in self._ledger.active:
                self._begin(begun, finding, beats)
        self._include_told()

    def _include_told(self) -> None:
        """What was alarmed is an episode, though it may be too short for the burden's reading to find it."""
        memory = self._memory
        while memory.told and (memory.told[0].offset or 0) <= memory.log.done * BIN:
            memory.log.include(memory.told.pop(0), memory.evidence, self.config)

    def _level(self, kind: Kind, seconds: float) -> float | None:
        """Mean evidence of the latest ``seconds``; None where too little of them is judged."""
        evidence = self._memory.evidence
        level, known = evidence.mean(kind, evidence.stop - bins(seconds), evidence.stop)
        return level if known >= self.config.alarm_judged * bins(seconds) else None

    def _newest(self, kind: Kind, finding: Finding) -> float | None:
        """Mean evidence of the window alone: it knows best what has just begun. None where too little is judged."""
        if not _speaks(finding):
            return None
        nothing = (0.0,) * SECONDS
        said = (finding.af_evidence if kind is Kind.AF else finding.flutter_evidence) or nothing
        noise = finding.noise_evidence or nothing
        levels = [level for level, n in zip(said, noise, strict=True) if n < self.config.noise_bar]
        if len(levels) < self.config.alarm_judged * SECONDS:
            return None
        return math.fsum(levels) / len(levels)

    def _certain(self, finding: Finding) -> bool:
        """No rhythm that is no alarm is left in the prediction set: what may as well be sinus is in the burden only."""
        return self._doubts.isdisjoint(finding.prediction_set)

    def _high_since(self, kind: Kind, since: int, finding: Finding) -> int:
        level = self._newest(kind, finding)
        if level is None or level < self.config.alarm_bar:
            return -1
        return self._memory.evidence.end if since < 0 else since

    def _begins(self, kind: Kind, finding: Finding) -> bool:
        memory, config = self._memory, self.config
        since = memory.high[BOTH.index(kind)]
        if since >= 0 and memory.evidence.end - since >= config.alarm_hold_s * ANALYSIS_FS:
            return True
        slow, newest = self._level(kind, config.alarm_slow_s), self._newest(kind, finding)
        return slow is not None and slow >= config.alarm_slow_bar and newest is not None and newest > config.change

    def _begin(self, kind: Kind, finding: Finding, beats: npt.NDArray[np.int64]) -> None:
        memory, end = self._memory, self._memory.evidence.end
        onset = self._onset(kind, beats)
        for other in list(self._ledger.active):  # flutter that became AF: AF need not wait for flutter to have ended
            self._end(other, finding.end, onset, seen=True)
        onset = max(onset, memory.floor)
        memory.confirmed, memory.onset_at, memory.started, memory.other = False, end, onset, ((), -1)
        self._ledger.start(
            kind,
            onset,
            finding.end,
            _text(kind, finding, sure=False),
            finding.hr_bpm,
            reason=finding.reason,
            prediction_set=finding.prediction_set,
        )
        self._confirm(kind, finding, beats)

    def _go_on(self, kind: Kind, finding: Finding, beats: npt.NDArray[np.int64]) -> None:
        memory, config = self._memory, self.config
        end, onset = memory.evidence.end, self._ledger.active[kind].onset
        if end - memory.judged_to >= config.unjudged_s * ANALYSIS_FS:
            self._end(kind, finding.end, memory.judged_to, seen=False)
            return
        if not _speaks(finding):
            return
        level = self._level(kind, config.alarm_end_s if memory.confirmed else config.provisional_end_s)
        if level is not None and level < config.alarm_end_bar:
            self._end(kind, finding.end, self._offset(kind, onset, beats), seen=True)
            return
        self._confirm(kind, finding, beats)
        if self._ledger.active[kind].at < finding.end:
            self._update(kind, finding, beats)

    def _confirm(self, kind: Kind, finding: Finding, beats: npt.NDArray[np.int64]) -> None:
        """Escalate a provisional alarm once the evidence has held since its onset for long enough."""
        memory, config = self._memory, self.config
        onset, end = self._ledger.active[kind].onset, memory.evidence.end
        if memory.confirmed or end - onset < config.confirm_s * ANALYSIS_FS:
            return
        level = self._level(kind, config.confirm_s)
        if level is None or level < config.confirm_bar:
            return
        memory.confirmed = True
        memory.onset_at = end
        self._ledger.escalate(
            kind,
            finding.end,
            _text(kind, finding, sure=True),
            finding.hr_bpm,
            onset=self._onset(kind, beats),
            reason=finding.reason,
            prediction_set=finding.prediction_set,
        )

    def _update(self, kind: Kind, finding: Finding, beats: npt.NDArray[np.int64]) -> None:
        """Tell of a prediction set that changed and stayed so, or of an onset that is known better; not often."""
        memory, config = self._memory, self.config
        shown, end = self._ledger.active[kind], memory.evidence.end
        rhythms = _rhythms(finding.prediction_set)
        if rhythms == _rhythms(shown.prediction_set):
            memory.other = ((), -1)
        elif memory.other[1] < 0 or memory.other[0] != rhythms:
            memory.other = (rhythms, end)
        if finding.end - shown.at < config.update_every_s * ANALYSIS_FS:
            return
        news = 0 <= memory.other[1] <= end - config.prediction_hold_s * ANALYSIS_FS
        onset = shown.onset
        if not memory.confirmed and end - memory.onset_at >= config.update_every_s * ANALYSIS_FS:
            memory.onset_at = end
            better = self._onset(kind, beats)
            if abs(better - onset) >= config.onset_news_s * ANALYSIS_FS:
                news, onset = True, better
        if news:
            memory.other = ((), -1)
            self._ledger.update(
                kind,
                finding.end,
                _text(kind, finding, sure=memory.confirmed),
                finding.hr_bpm,
                onset=onset,
                reason=finding.reason,
                prediction_set=finding.prediction_set,
            )

    def _end(self, kind: Kind, at: int, offset: int, *, seen: bool) -> None:
        memory, last = self._memory, self._ledger.active[kind]
        offset = max(last.onset, min(offset, at))
        text = f"{NAMES[kind]}{'' if memory.confirmed else '?'} {_duration(offset - last.onset)}"
        self._ledger.end(kind, at, text if seen else f"{text} (end not seen)", last.value, offset=offset)
        long = offset - last.onset >= self.config.confirm_s * ANALYSIS_FS
        memory.told.append(Episode(kind, last.onset, offset, long))
        memory.floor = max(memory.floor, offset, memory.started + 1)
        memory.confirmed = False

    def _onset(self, kind: Kind, beats: npt.NDArray[np.int64]) -> int:
        """Where the evidence began to speak for ``kind``: the change point of its levels, then the beat."""
        memory, config, evidence = self._memory, self.config, self._memory.evidence
        series = evidence.series(kind, memory.floor // BIN, evidence.stop)
        if not series:
            return memory.floor
        coarse = min(change_point(series, config.change, rising=True), series[-1][0])
        at = coarse * BIN
        before = bins(config.refine_reach_s)
        if evidence.mean(kind, coarse - before, coarse)[1] >= before // 2:
            at = refine(kind, evidence, beats, coarse, True, config)
        return max(at, memory.floor)

    def _offset(self, kind: Kind, onset: int, beats: npt.NDArray[np.int64]) -> int:
        """Where the evidence stopped to speak for ``kind``."""
        config, evidence = self.config, self._memory.evidence
        series = evidence.series(kind, onset // BIN, evidence.stop)
        if not series:  # later windows heard noise in all that earlier ones had taken for the rhythm
            return self._memory.judged_to
        return refine(kind, evidence, beats, change_point(series, config.change, rising=False), False, config)


def _speaks(finding: Finding) -> bool:
    """The window could be judged, by a network."""
    return finding.usable and bool(finding.af_evidence)


def _rhythms(prediction_set: tuple[str, ...]) -> tuple[str, ...]:
    """The rhythms in it, in one order: what else is in it is no question of this alarm."""
    return tuple(rhythm for rhythm in RHYTHMS if rhythm in prediction_set)


def _text(kind: Kind, finding: Finding, *, sure: bool) -> str:
    rate = "" if finding.hr_bpm is None else f" HR {finding.hr_bpm:.0f}"
    return f"{NAMES[kind]}{'' if sure else '?'}{rate}"


def _duration(samples: int) -> str:
    seconds = samples // ANALYSIS_FS
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
