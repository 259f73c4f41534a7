"""The rules: what became known of a bed's beats and signal in, alarm events out.

A pure state machine on the 0.1 s grid of the sample index. At the tick that ends at sample t only what was known from
the samples before t counts, so the events are the same however the stream was cut into observations.

What is not judged is not called normal, and not called over either: while no lead is usable, or nothing comes, no
alarm of a rhythm starts or ends. What was active stays, and a technical alarm says why nothing is judged.
"""

import msgspec

from alarms.alarm import AlarmEvent, Kind
from alarms.ledger import Ledger
from alarms.limits import Limits
from alarms.observation import Observation
from alarms.rates import Rates
from alarms.rhythm import Rhythm
from alarms.technical import Technical
from models.finding import NO_MODEL
from windowing.spans import ANALYSIS_FS, BLOCK

# A lost chunk or one bad quality mark does not start the asystole's clock anew, or a link that drops one chunk every
# three seconds would never show one: the clock stands still meanwhile. Longer than this, two beats could hide in it.
BRIDGED = ANALYSIS_FS


class _Memory(msgspec.Struct, array_like=True):
    """All that the rules remember of a bed."""

    epoch: int | None = None
    now: int = -1  # tick that was judged last; −1 before the first
    beats: list[tuple[int, int]] = []  # (R peak, decided at) whose tick has not come or that no tick could judge yet
    unjudged_from: int = -1  # first sample of the stretch that cannot be judged; −1 while judging
    suspended: bool = True  # that stretch was too long to bridge
    technical: Technical = msgspec.field(default_factory=Technical)
    rhythm: Rhythm = msgspec.field(default_factory=Rhythm)
    rates: Rates = msgspec.field(default_factory=Rates)


class Rules:
    """The alarms of one bed by its beats and its signal."""

    def __init__(self, bed: str, limits: Limits | None = None, model: str = NO_MODEL) -> None:
        """Rules for ``bed``; every event names ``model`` as what judged."""
        self.limits = limits or Limits()
        self._ledger = Ledger(bed, model)
        self._memory = _Memory()

    @property
    def active(self) -> tuple[AlarmEvent, ...]:
        """The latest event of each active alarm, in the order in which the alarms started."""
        return tuple(self._ledger.active.values())

    @property
    def epoch(self) -> int | None:
        """Unix milliseconds of sample 0 of the epoch that is judged, None before one."""
        return self._memory.epoch

    def start(self, epoch: int) -> None:
        """Begin ``epoch``: nothing is known of it yet.

        Raises:
            ValueError: alarms of the epoch before are still active: ``finish`` ends them.
        """
        self._ledger.begin(epoch)
        self._memory = _Memory(epoch=epoch)

    def observe(self, observation: Observation) -> list[AlarmEvent]:
        """Judge the next stretch of the epoch; what lies between the last one and this counts as not received.

        Raises:
            ValueError: no epoch was started, the stretch was judged before, or a field makes no sense.
        """
        memory = self._memory
        observation.check()
        if memory.epoch is None:
            raise ValueError(f"observation of {observation.first} before an epoch was started")
        if memory.now < 0:
            memory.now = memory.rhythm.floor = memory.technical.data_from = observation.first
        if observation.first < memory.now:
            raise ValueError(f"first: expected {memory.now} or later, got {observation.first}")
        self._ledger.sent_at = observation.sent_at
        for now in range(memory.now + BLOCK, observation.first + BLOCK, BLOCK):
            self._tick(now, False, False)
        memory.beats += zip(observation.beat_samples.tolist(), observation.beat_at.tolist(), strict=True)
        covered = observation.covered.tolist()
        received = covered if observation.received is None else observation.received.tolist()
        marks = iter(observation.quality)
        mark = next(marks, None)
        now = observation.first
        for has_samples, has_chunk in zip(covered, received, strict=True):
            now += BLOCK
            while mark is not None and mark.at <= now:
                rhythm = memory.rhythm
                last_beat = rhythm.since if rhythm.after_beat else -1
                memory.technical.mark(mark.at, mark.states, last_beat, self._ledger)
                mark = next(marks, None)
            self._tick(now, has_samples, has_chunk)
        memory.now = now
        return self._ledger.take()

    def finish(self, end: int, sent_at: float) -> list[AlarmEvent]:
        """End every active alarm: the epoch is over at sample ``end``."""
        self._ledger.sent_at = sent_at
        self._ledger.end_all(end)
        self._memory = _Memory()
        return self._ledger.take()

    def snapshot(self) -> bytes:
        """All that the rules remember (MessagePack), not the limits."""
        return msgspec.msgpack.encode((self._memory, list(self._ledger.active.values())))

    def restore(self, data: bytes) -> None:
        """Continue where ``snapshot`` was taken, on a fresh object for the same bed, limits and model.

        Raises:
            msgspec.DecodeError: the bytes are no snapshot.
            ValueError: it is the snapshot of another bed.
        """
        memory, active = msgspec.msgpack.decode(data, type=tuple[_Memory, list[AlarmEvent]])
        self._ledger.restore(memory.epoch, active)
        self._memory = memory

    def _tick(self, now: int, covered: bool, received: bool) -> None:
        memory = self._memory
        memory.technical.tick(now, covered, received, self._ledger)
        if not (covered and memory.technical.usable):
            self._cannot_judge(now)
            return
        rhythm, rates = memory.rhythm, memory.rates
        if memory.suspended:
            memory.suspended = False
            memory.unjudged_from = -1
            rhythm.resume(now - BLOCK)
        if memory.beats and memory.beats[0][1] < now:
            while memory.beats and memory.beats[0][1] < now:
                rhythm.beat(memory.beats.pop(0)[0], now, self.limits, self._ledger)
            rates.beats_changed(rhythm)
        if memory.unjudged_from >= 0:
            rhythm.skip(memory.unjudged_from, now - BLOCK)
            memory.unjudged_from = -1
        known = Kind.ASYSTOLE in self._ledger.active
        if not rhythm.tick(now, self.limits, self._ledger):
            rates.tick(now, rhythm, self.limits, self._ledger)
        elif not known:
            rates.stop(now, self._ledger)

    def _cannot_judge(self, now: int) -> None:
        memory = self._memory
        if not memory.suspended:
            if memory.unjudged_from < 0:
                memory.unjudged_from = now - BLOCK
            if now - memory.unjudged_from <= BRIDGED:
                return
            memory.suspended = True
            memory.rhythm.suspend(now)
            memory.rates.forget()
        while memory.beats and memory.beats[0][1] < now:
            memory.beats.pop(0)
