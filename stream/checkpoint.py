"""The checkpoint of a bed and the ledger that says which messages nobody needs any more.

After a crash the next owner takes the newest checkpoint of each bed and reads the log again from the committed
position. Messages up to the checkpoint's position only refill the ring; those after it are judged. So a message may
be committed when (a) a confirmed checkpoint stands behind it, and (b) that checkpoint's ring needs none of its samples.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from alarms.alarm import AlarmEvent


class BedCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The small state of a bed after one message of the log.

    Attributes:
        bed: the bed.
        position: place of the last message that went into this state.
        held: the chunk (declared epoch, end, sent-at) up to which the log is gone though the ring needs it: the ring
            is inside then. None where the log refills the ring.
        parts: snapshots of assembler, detector, quality, rules, memory and, with a network, rhythm.
        standing: the latest event of each alarm that stands: a version that cannot read ``parts`` ends them.
        end: sample up to which the bed was watched.
        sent_at: Unix milliseconds at which the monitor sent that.
    """

    bed: str
    position: int
    held: tuple[int, int, float] | None
    parts: dict[str, bytes]
    standing: tuple[AlarmEvent, ...] = ()
    end: int = 0
    sent_at: float = 0.0
    v: int = 1


_decoder = msgspec.msgpack.Decoder(BedCheckpoint)


def encode_checkpoint(checkpoint: BedCheckpoint) -> bytes:
    """The checkpoint as a MessagePack map."""
    return msgspec.msgpack.encode(checkpoint)


def decode_checkpoint(data: bytes) -> BedCheckpoint:
    """The checkpoint in ``data``. Raises ValueError where it is none."""
    return _decoder.decode(data)


@dataclass(slots=True, eq=False)
class Entry:
    """A message of the log that was processed.

    Attributes:
        position: its place in the log.
        received_at: Unix milliseconds at which the log took it.
        bed: whose it is; None if it was set aside.
        chunk: declared epoch, end and sent-at of its chunk: what ``Assembler.needs`` wants to know.
        free: a confirmed checkpoint stands behind it that does not need it.
    """

    position: int
    received_at: float
    bed: str | None
    chunk: tuple[int, int, float] = (0, 0, 0.0)
    free: bool = False


class Ledger:
    """Messages of one partition in the order of the log, until nobody needs them."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._by_bed: dict[str, list[Entry]] = {}
        self._newest = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """A message that was processed; one that was set aside is free at once."""
        self._entries.append(entry)
        self._newest = max(self._newest, entry.received_at)
        if entry.bed is None:
            entry.free = True
        else:
            self._by_bed.setdefault(entry.bed, []).append(entry)

    def of(self, bed: str) -> list[Entry]:
        """The bed's messages that are not free yet, oldest first."""
        return self._by_bed.get(bed, [])

    def release(self, entries: Collection[Entry]) -> None:
        """A confirmed checkpoint does not need these."""
        for entry in entries:
            entry.free = True
        for bed in {entry.bed for entry in entries if entry.bed is not None}:
            self._by_bed[bed] = [entry for entry in self._by_bed[bed] if not entry.free]

    def finished(self) -> int | None:
        """Drop the free messages at the head; the position after the last of them, or None if there is none."""
        position = None
        while self._entries and self._entries[0].free:
            position = self._entries.popleft().position + 1
        return position

    def blocking(self, older_than_ms: float) -> str | None:
        """The bed whose message at the head has held up the others for longer than ``older_than_ms``, if one has."""
        if not self._entries or self._newest - self._entries[0].received_at < older_than_ms:
            return None
        return self._entries[0].bed
