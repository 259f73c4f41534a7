"""The reading side of the store: alarms from any point on, the history, beds, workers and strips."""

import logging
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

import msgspec
import numpy as np
import numpy.typing as npt
import redis.asyncio as redis

from alarms.alarm import AlarmEvent, State
from ecg.chunk import MISSING
from ecg.leads import N_LEADS
from stream.states import BedState, WorkerState
from stream.store_keys import PREFIX, StoreKeys
from windowing.spans import ANALYSIS_FS

log = logging.getLogger(__name__)

PAGE = 1000  # entries in one answer: about 400 kB and 5 ms of decoding, so that nothing else waits long
MAX_STRIP_S = 60

Row = tuple[bytes, dict[bytes, bytes]]
T = TypeVar("T")

_alarm = msgspec.json.Decoder(AlarmEvent)
_bed = msgspec.json.Decoder(BedState)
_worker = msgspec.json.Decoder(WorkerState)


@dataclass(frozen=True, slots=True)
class AlarmEntry:
    """One entry of the stream of alarms: its number and the event's JSON."""

    n: int
    event: bytes

    @property
    def id(self) -> str:
        """The entry's id as clients see it."""
        return f"{self.n}-0"


@dataclass(frozen=True, slots=True)
class AlarmBatch:
    """Entries read, and the log that they belong to; None where there is none (the store was emptied)."""

    log: str | None
    entries: list[AlarmEntry]


@dataclass(frozen=True, slots=True)
class LogEnds:
    """The kept part of the log of alarms: its name, the first and the newest number kept (0: nothing), whether older
    entries were cut off."""

    log: str | None
    oldest: int
    top: int
    trimmed: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Alarms of the history, newest first; ``before`` continues it, None at its end."""

    alarms: list[tuple[AlarmEntry, AlarmEvent]]
    before: int | None


@dataclass(frozen=True, slots=True)
class Strip:
    """All leads of one bed at the full rate.

    Attributes:
        epoch: Unix milliseconds of sample 0.
        first: analysis sample index of the first column.
        microvolts: (12, n) float32 µV, NaN where not measured.
    """

    epoch: int
    first: int
    microvolts: npt.NDArray[np.float32]


class ActiveAlarms:
    """The alarms that have not ended: the newest event of each, in the order in which they began."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[AlarmEntry, AlarmEvent]] = {}

    def apply(self, entry: AlarmEntry, event: AlarmEvent) -> None:
        """Take in the next entry of the stream."""
        if event.state is State.INACTIVE:
            self._latest.pop(event.id, None)
        else:
            self._latest[event.id] = (entry, event)

    def __iter__(self) -> Iterator[tuple[AlarmEntry, AlarmEvent]]:
        return iter(list(self._latest.values()))

    def __len__(self) -> int:
        return len(self._latest)


def decode_event(event: bytes) -> AlarmEvent:
    """The alarm event in an entry. Raises ValueError where it is none."""
    return _alarm.decode(event)


class StoreReader:
    """Reads the store. Every method raises ``redis.RedisError`` or ``OSError`` while it does not answer.

    Args:
        client: a ``redis.asyncio`` client; bytes, not decoded.
        prefix: of all keys.
    """

    def __init__(self, client: redis.Redis, prefix: str = PREFIX) -> None:
        self._client = client
        self._keys = StoreKeys(prefix)

    async def alarm_events(self, since: int, block_ms: int | None = None, count: int = PAGE) -> AlarmBatch:
        """Up to ``count`` entries after number ``since``, in order; waits up to ``block_ms`` for the first.

        The log's name is read after the entries: where it is still the one that the caller follows, they belong to it.
        """
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.xread({self._keys.alarms: f"{since}-0"}, count=count, block=block_ms)
            pipe.get(self._keys.alarm_log)
            answer, log = await pipe.execute()
        rows = answer[0][1] if answer else []
        return AlarmBatch(log.decode() if log else None, [_entry(row) for row in rows])

    async def log_ends(self) -> LogEnds:
        """Which part of the log is kept."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.xinfo_stream(self._keys.alarms)
            pipe.get(self._keys.alarm_log)
            info, log = await pipe.execute(raise_on_error=False)
        name = log.decode() if isinstance(log, bytes) else None
        if isinstance(info, redis.ResponseError) and "no such key" in str(info):
            return LogEnds(name, 0, 0, trimmed=False)
        if isinstance(info, Exception):
            raise info
        oldest = _number(info["first-entry"][0]) if info["first-entry"] else 0
        return LogEnds(name, oldest, _number(info["last-generated-id"]), info["entries-added"] > info["length"])

    async def history(self, wanted: Callable[[AlarmEvent], bool], before: int | None, limit: int) -> Page:
        """Events that are ``wanted``, newest first, at most ``limit``, older than number ``before``."""
        found: list[tuple[AlarmEntry, AlarmEvent]] = []
        async for entry, event in self._backwards(before):
            if wanted(event):
                if len(found) == limit:
                    return Page(found, found[-1][0].n)
                found.append((entry, event))
        return Page(found, None)

    async def states(self) -> tuple[list[BedState], list[WorkerState]]:
        """All beds and all workers, by name."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(self._keys.beds)
            pipe.hgetall(self._keys.workers)
            beds, workers = await pipe.execute()
        return (
            sorted(_readable(_bed, beds.values()), key=lambda state: state.bed),
            sorted(_readable(_worker, workers.values()), key=lambda state: state.worker),
        )

    async def bed(self, bed: str) -> BedState | None:
        """One bed, or None if it is unknown."""
        data = cast("bytes | None", await self._client.hget(self._keys.beds, bed))
        return None if data is None else _bed.decode(data)

    async def strip(self, bed: str, end: int | None, seconds: int, epoch: int | None = None) -> Strip | None:
        """The ``seconds`` before sample ``end`` of ``epoch``; None where the store keeps nothing of that epoch.

        Args:
            bed: the bed.
            end: analysis sample index after the last column; None: the newest that is kept.
            seconds: 1 to ``MAX_STRIP_S``.
            epoch: None: the newest.
        """
        columns: npt.NDArray[np.float32] | None = None
        first = 0
        async for fields in self._strip_backwards(bed):
            entry_epoch, entry_end = int(fields[b"epoch"]), int(fields[b"end"])
            if epoch is None:
                epoch = entry_epoch
            if entry_epoch != epoch:
                continue
            if end is None:
                end = entry_end
            if columns is None:
                first = max(0, end - seconds * ANALYSIS_FS)
                columns = np.full((N_LEADS, max(0, end - first)), np.nan, dtype=np.float32)
            entry_first = entry_end - ANALYSIS_FS
            if entry_first < end and entry_end > first:
                low, high = max(first, entry_first), min(end, entry_end)
                second = _microvolts(fields)
                columns[:, low - first : high - first] = second[:, low - entry_first : high - entry_first]
            if entry_first <= first:
                break
        return None if columns is None or epoch is None else Strip(epoch, first, columns)

    async def _backwards(self, before: int | None) -> AsyncIterator[tuple[AlarmEntry, AlarmEvent]]:
        upper = "+" if before is None else f"({before}-0"
        while True:
            rows = cast("list[Row]", await self._client.xrevrange(self._keys.alarms, max=upper, count=PAGE))
            for row in rows:
                for event in _readable(_alarm, [row[1][b"event"]]):
                    yield _entry(row), event
            if len(rows) < PAGE:
                return
            upper = f"({rows[-1][0].decode()}"

    async def _strip_backwards(self, bed: str) -> AsyncIterator[dict[bytes, bytes]]:
        upper = "+"
        count = 16  # most strips are short and recent
        while True:
            rows = cast("list[Row]", await self._client.xrevrange(self._keys.strip(bed), max=upper, count=count))
            for row in rows:
                yield row[1]
            if len(rows) < count:
                return
            upper = f"({rows[-1][0].decode()}"


def _number(entry_id: bytes) -> int:
    return int(entry_id.split(b"-")[0])


def _readable(decoder: "msgspec.json.Decoder[T]", values: Iterable[bytes]) -> Iterator[T]:
    """What can be decoded: one value that a stranger wrote must not take the others off the screen."""
    for value in values:
        try:
            yield decoder.decode(value)
        except msgspec.MsgspecError as error:
            log.error("left out what cannot be read: %s: %r", error, value[:200])


def _entry(row: Row) -> AlarmEntry:
    return AlarmEntry(_number(row[0]), row[1][b"event"])


def _microvolts(fields: dict[bytes, bytes]) -> npt.NDArray[np.float32]:
    counts = np.frombuffer(zlib.decompress(fields[b"data"]), dtype="<i2").reshape(N_LEADS, ANALYSIS_FS)
    microvolts = counts.astype(np.float32) * np.float32(float(fields[b"uv_per_bit"]))
    microvolts[(counts == MISSING) | (np.frombuffer(fields[b"mask"], dtype=np.uint8) == 0)[:, None]] = np.nan
    return microvolts
