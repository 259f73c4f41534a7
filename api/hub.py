"""One reader of the log of alarms for all clients of this process."""

import asyncio
import logging
from collections import deque

import msgspec
import redis.asyncio as redis

from api.outbox import CLOSE_RESTART, Outbox
from stream.store_reader import ActiveAlarms, AlarmEntry, StoreReader, decode_event

log = logging.getLogger(__name__)

BLOCK_MS = 1000  # below the store's answer timeout
RECENT = 5000  # entries kept in memory, some 3 MB, so that clients that reconnect together do not all ask the store
YIELD_EVERY = 25  # entries; then clients send theirs, so that a burst makes nobody look slow
RETRY_S = 0.2
MAX_RETRY_S = 1.0  # a restarted store is found within this


def alarm_text(entry: AlarmEntry) -> str:
    """The entry as a message on ``/ws/alarms``: encoded once, whoever gets it."""
    return f'{{"type":"alarm","id":"{entry.id}","event":{entry.event.decode()}}}'


class AlarmHub:
    """Follows the log of alarms and hands every entry to every live client.

    ``position`` is the last entry taken. Everything after ``floor`` and up to it is in memory, so a client that has
    come as far as ``floor`` goes live in one step: there is no moment in which an entry could be lost or come twice.
    """

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader
        self._recent: deque[tuple[int, str]] = deque()
        self._clients: set[Outbox] = set()
        self.log: str | None = None
        self.position = 0
        self.floor = 0
        self.loaded = False
        self.answers = False
        self.active = ActiveAlarms()
        self.unreadable = 0
        self.slow_clients = 0

    @property
    def clients(self) -> int:
        """Clients connected now."""
        return len(self._clients)

    def join(self, limit: int) -> Outbox:
        """A place for a new client; it gets the status at once, and alarms once it went live."""
        outbox = Outbox(limit)
        self._clients.add(outbox)
        return outbox

    def leave(self, outbox: Outbox) -> None:
        """The client is gone."""
        self._clients.discard(outbox)

    def go_live(self, outbox: Outbox, last: int) -> bool:
        """Hand the client, who has seen entry ``last``, all that followed and all that will; False if that is too much
        or no longer in memory: then it reads on from the store first."""
        if not self.loaded or last < self.floor:
            return False
        missing: list[tuple[int, str]] = []
        for item in reversed(self._recent):
            if item[0] <= last:
                break
            missing.append(item)
        if len(missing) > outbox.limit // 2:
            return False
        outbox.go_live(reversed(missing))
        return True

    def tell_status(self, text: str) -> None:
        """Hand the status to every client."""
        for outbox in self._clients:
            outbox.put_status(text)

    def end_all(self, code: int, reason: str) -> None:
        """Let every client go."""
        for outbox in self._clients:
            outbox.end(code, reason)

    async def run(self) -> None:
        """Follow the log until cancelled."""
        wait = RETRY_S
        while True:
            try:
                batch = await self._reader.alarm_events(self.position, BLOCK_MS if self.loaded else None)
            except (redis.RedisError, OSError) as error:
                if self.answers:
                    log.warning("the store does not answer: %s", error)
                self.answers = False
                await asyncio.sleep(wait)
                wait = min(2 * wait, MAX_RETRY_S)
                continue
            wait = RETRY_S
            self.answers = True
            if batch.log is not None and self.log not in (None, batch.log):
                self._begin_anew(batch.log)
                continue
            self.log = batch.log or self.log
            for count, entry in enumerate(batch.entries, 1):
                self._take(entry)
                if count % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
            self.loaded = self.loaded or not batch.entries

    def _begin_anew(self, name: str) -> None:
        log.warning("the log of alarms is another one now: %s, was %s", name, self.log)
        self.log = name
        self.position = self.floor = 0
        self.loaded = False
        self.active = ActiveAlarms()
        self._recent.clear()
        self.end_all(CLOSE_RESTART, "the log of alarms began anew")

    def _take(self, entry: AlarmEntry) -> None:
        self.position = entry.n
        try:
            self.active.apply(entry, decode_event(entry.event))
        except msgspec.MsgspecError as error:
            self.unreadable += 1
            if self.unreadable == 1:
                log.error("entry %s of the log of alarms cannot be read: %s: %r", entry.id, error, entry.event[:200])
            if not _is_json(entry.event):
                return  # a newer version's event still goes to the screen; this would break every client's message
        text = alarm_text(entry)
        self._recent.append((entry.n, text))
        if len(self._recent) > RECENT:
            self.floor = self._recent.popleft()[0]
        for outbox in self._clients:
            outbox.put_alarm(entry.n, text)


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=dict)
    except msgspec.MsgspecError:
        return False
    return True
