"""The ward core: all beds of one partition of the log. It knows no broker.

Messages go in, in the order of the log; what must be kept, what is shown, checkpoints and the committable position
come out. A crash at any point loses nothing: see ``stream.checkpoint``.
"""

import logging
import math
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from alarms.alarm import AlarmEvent, State
from alarms.ledger import unseen_end
from ecg.chunk import Chunk
from stream.bed import Bed, BedBrokenError, BedConfig, Step
from stream.checkpoint import BedCheckpoint, Entry, Ledger, decode_checkpoint
from stream.engine import Batch, Message
from stream.wire import CHUNKS, DeadLetter, decode_chunk
from windowing.spans import ANALYSIS_FS

log = logging.getLogger(__name__)

CHECKPOINT_S = 3.0  # samples judged again after a crash, at most: about a second of work for fifty beds
SILENT_MS = 20_000.0  # a bed that was silent for this long must not keep the others' messages from being committed


@dataclass
class Progress:
    """What a run of messages gave: how many were taken, the batch to keep, what the screen and the counters want."""

    taken: int = 0
    batch: Batch = field(default_factory=Batch)
    frames: list[tuple[str, bytes]] = field(default_factory=list)
    steps: dict[str, Step] = field(default_factory=dict)


@dataclass
class _Seat:
    bed: Bed
    restored_position: int = -1  # messages up to here only refill the ring
    position: int = -1
    checkpoint_end: int = 0
    checkpoint_epoch: int | None = None
    received_at: float = 0.0
    held: tuple[int, int, float] | None = None  # see BedCheckpoint
    covered: list[Entry] = field(default_factory=list)  # messages that the checkpoint under way does not need


@dataclass
class _Refused:
    """What can be read of a checkpoint that cannot be used: alarms that stood when the log had come to ``position``."""

    position: int
    end: int
    sent_at: float
    standing: dict[str, AlarmEvent]


class WardCore:
    """The beds of one partition."""

    def __init__(self, partition: int, config: BedConfig, checkpoints: Mapping[str, bytes]) -> None:
        self.partition = partition
        self._config = config
        self._seats: dict[str, _Seat] = {}
        self._refused: dict[str, _Refused] = {}
        self._ledger = Ledger()
        self._position = -1
        self.counters: Counter[str] = Counter()
        for name, data in checkpoints.items():
            checkpoint = None
            try:
                checkpoint = decode_checkpoint(data)
                self._seats[name] = self._restored(name, checkpoint)
            except (ValueError, KeyError) as error:  # of another version: the bed must be watched all the same
                log.error("the checkpoint of bed %s cannot be used, it is judged anew: %s", name, error)
                self.counters["checkpoints_refused"] += 1
                if checkpoint is not None and checkpoint.standing:
                    standing = {event.id: event for event in checkpoint.standing}
                    self._refused[name] = _Refused(checkpoint.position, checkpoint.end, checkpoint.sent_at, standing)

    def _restored(self, name: str, checkpoint: BedCheckpoint) -> _Seat:
        seat = _Seat(Bed(name, self._config), checkpoint.position, checkpoint.position, held=checkpoint.held)
        seat.bed.restore(checkpoint)
        seat.checkpoint_end, seat.checkpoint_epoch = seat.bed.end, seat.bed.epoch
        return seat

    @property
    def beds(self) -> Mapping[str, Bed]:
        """The beds by id."""
        return {name: seat.bed for name, seat in self._seats.items()}

    def received_at(self, bed: str) -> float:
        """Unix milliseconds at which the log took the newest chunk of ``bed`` that was processed."""
        return self._seats[bed].received_at

    def process(self, messages: Sequence[Message], seconds: float = math.inf) -> Progress:
        """Take messages in the order of the log, until all are taken or ``seconds`` are over: one of them at least."""
        progress = Progress()
        until = time.monotonic() + seconds
        for message in messages:
            if progress.taken and time.monotonic() >= until:
                break
            progress.taken += 1
            self._position = message.position
            for name in [name for name, refused in self._refused.items() if refused.position < message.position]:
                self._end_refused(name, progress)
            try:
                chunk = decode_chunk(message.value)
                before = self._standing(chunk.bed)
                step = self._seat(chunk, message)
            except ValueError as error:
                self._set_aside(message, str(error), progress)
                continue
            except BedBrokenError as error:  # must not silence the others, nor this bed for good
                log.exception("bed %s is begun anew after message %d", chunk.bed, message.position)
                self.counters["beds_broken"] += 1
                self._seats[chunk.bed] = _Seat(Bed(chunk.bed, self._config), position=message.position)
                self._set_aside(message, str(error), progress)
                # Nobody watches for their ends any more; what still holds the new bed tells again, as another alarm.
                self._collect(chunk.bed, Step(alarms=[unseen_end(*each) for each in before]), progress)
                continue
            if step is not None:
                self._collect(chunk.bed, step, progress)
        return progress

    def checkpoints_due(self) -> list[BedCheckpoint]:
        """Checkpoints to be written now: of beds that went on for ``CHECKPOINT_S``, and of one that blocks the log."""
        blocker = self._ledger.blocking(SILENT_MS)
        if blocker in self._refused or (blocker and self._position < self._seats[blocker].restored_position):
            blocker = None  # its ring is still being refilled, or its alarms are being looked for
        if blocker is not None:
            # What is left of it in the log goes, so its ring must be kept in the checkpoint.
            self._seats[blocker].held = self._ledger.of(blocker)[-1].chunk
        due = [name for name, seat in self._seats.items() if name == blocker or self._is_due(name, seat)]
        return [self._checkpoint(name) for name in due]

    def all_checkpoints(self) -> list[BedCheckpoint]:
        """A checkpoint of every bed that went on: for an orderly hand-over."""
        return [self._checkpoint(name) for name, seat in self._seats.items() if self._went_on(name, seat)]

    def confirm(self, checkpoints: Sequence[BedCheckpoint]) -> int | None:
        """These checkpoints are written; the position below which the log is no longer needed, if that moved."""
        for checkpoint in checkpoints:
            seat = self._seats[checkpoint.bed]
            self._ledger.release(seat.covered)
            seat.covered = []
        return self._ledger.finished()

    def _seat(self, chunk: Chunk, message: Message) -> Step | None:
        seat = self._seats.get(chunk.bed)
        if seat is None:
            seat = self._seats[chunk.bed] = _Seat(Bed(chunk.bed, self._config))
        seat.received_at = message.received_at
        if message.position <= seat.restored_position:
            self.counters["refilled"] += 1
            seat.bed.refill(chunk)
            step = None
        else:
            step = seat.bed.push(chunk)
            seat.position = message.position
            self.counters["chunks"] += 1
        self._ledger.add(
            Entry(message.position, message.received_at, chunk.bed, (chunk.epoch, chunk.end, chunk.sent_at))
        )
        return step

    def _standing(self, name: str) -> list[tuple[AlarmEvent, int, float]]:
        """The alarms that stand on a bed, each with the sample and the time up to which it was watched."""
        seat = self._seats.get(name)
        return [(event, seat.bed.end, seat.bed.sent_at) for event in seat.bed.active] if seat else []

    def _end_refused(self, name: str, progress: Progress) -> None:
        """The log is judged anew as far as the refused checkpoint: alarms that were not found again are over."""
        refused = self._refused.pop(name)
        self._seats.setdefault(name, _Seat(Bed(name, self._config)))
        found = {event.id for event, *_ in self._standing(name)}
        lost = [event for id, event in refused.standing.items() if id not in found]
        self._collect(name, Step(alarms=[unseen_end(event, refused.end, refused.sent_at) for event in lost]), progress)

    def _set_aside(self, message: Message, reason: str, progress: Progress) -> None:
        self._ledger.add(Entry(message.position, message.received_at, None))
        if not self.counters["deadletters"]:
            log.warning("message %d of partition %d set aside: %s", message.position, message.partition, reason)
        self.counters["deadletters"] += 1
        progress.batch.deadletters.append(
            DeadLetter(
                topic=CHUNKS,
                partition=message.partition,
                position=message.position,
                reason=reason,
                value=message.value,
            )
        )

    def _collect(self, bed: str, step: Step, progress: Progress) -> None:
        if bed in self._refused:
            for event in step.alarms:
                if event.state is State.INACTIVE:
                    self._refused[bed].standing.pop(event.id, None)
        progress.batch.alarms += step.alarms
        progress.batch.findings += step.findings
        progress.frames += [(bed, frame) for frame in step.frames]
        self.counters["alarms"] += len(step.alarms)
        self.counters["findings"] += len(step.findings)
        kept = progress.steps.setdefault(bed, Step())
        kept.strips += step.strips
        kept.alarms += step.alarms

    def _went_on(self, name: str, seat: _Seat) -> bool:
        """Its newest checkpoint may be replaced: the bed is farther, and what a refused one tells is done with."""
        return seat.position > seat.restored_position and name not in self._refused

    def _is_due(self, name: str, seat: _Seat) -> bool:
        if not self._went_on(name, seat):
            return False
        if seat.bed.epoch != seat.checkpoint_epoch:
            return True
        period = round(CHECKPOINT_S * ANALYSIS_FS)
        # Beds that were all admitted at once must not all be written at once.
        phase = zlib.crc32(name.encode()) % period
        return (seat.bed.end + phase) // period > (seat.checkpoint_end + phase) // period

    def _checkpoint(self, name: str) -> BedCheckpoint:
        seat = self._seats[name]
        seat.checkpoint_end, seat.checkpoint_epoch = seat.bed.end, seat.bed.epoch
        entries = self._ledger.of(name)
        needed = [entry.chunk for entry in entries if seat.bed.needs(entry.chunk)]
        if seat.held is not None and seat.bed.needs(seat.held):
            seat.covered = list(entries)
            seat.held = max([seat.held, *needed])
        else:
            seat.covered = [entry for entry in entries if not seat.bed.needs(entry.chunk)]
            seat.held = None
        return seat.bed.checkpoint(seat.position, seat.held)
