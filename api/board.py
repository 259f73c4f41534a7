"""How the ward stands: beds and workers read once a second, judged by the clock, told to every client."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable

import msgspec
import redis.asyncio as redis

from alarms.liveness import UNSERVED_AFTER_MS, judge_connection
from api.hub import AlarmHub
from api.messages import BedView, Service, Status, Ward
from stream.states import BedState, WorkerState
from stream.store_reader import StoreReader

log = logging.getLogger(__name__)

PERIOD_S = 1.0
ANSWER_S = 0.8  # the status goes out every second, whether the store answers or hangs
STALLED_MS = 5_000  # no bed was processed for this long: whoever asks must not be told that all is well
FROZEN_MS = 5_000  # the board itself looked for the last time this long ago: what it says is worth nothing
TAKEOVER_MS = 30_000  # Kafka gives a dead worker's beds to another within 10 s; then its silence no longer matters


def now_ms() -> float:
    """Unix milliseconds."""
    return time.time() * 1000


class Board:
    """The newest known state of beds and workers, and what the clock says of it."""

    def __init__(self, reader: StoreReader, hub: AlarmHub) -> None:
        self._reader = reader
        self._hub = hub
        self.beds: list[BedState] = []
        self.workers: list[WorkerState] = []
        self.answered = False
        self.answered_at = now_ms()
        self._looked_at = 0.0

    async def run(self) -> None:
        """Read and tell once a second until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self.refresh()
            self._hub.tell_status(msgspec.json.encode(self.status()).decode())
            due = max(due + PERIOD_S, loop.time())
            await asyncio.sleep(due - loop.time())

    async def refresh(self) -> None:
        """Read the store; what does not answer leaves the last known state, and says so."""
        try:
            async with asyncio.timeout(ANSWER_S):
                self.beds, self.workers = await self._reader.states()
        except (redis.RedisError, OSError, TimeoutError) as error:
            if self.answered:
                log.warning("the store does not answer: %r", error)
            self.answered = False
        else:
            self.answered = True
            self.answered_at = now_ms()
        self._looked_at = now_ms()

    def service(self) -> Service:
        """How the service stands."""
        now = now_ms()
        workers = sum(now - worker.at <= UNSERVED_AFTER_MS for worker in self.workers)
        newest = max((bed.processed_at for bed in self.beds), default=None)
        up = self.answered and self._hub.answers
        reason = ""
        if now - self._looked_at > FROZEN_MS:
            reason = "this server has stopped looking"
        elif not up:
            reason = "the store does not answer"
        elif not workers:
            reason = f"no worker gave a sign of life within {UNSERVED_AFTER_MS / 1000:.0f} s"
        elif newest is None:
            reason = "no bed has sent anything yet"
        elif now - newest > STALLED_MS:
            reason = f"nothing was processed for {(now - newest) / 1000:.0f} s"
        return Service(cache="up" if up else "down", workers=workers, ready=not reason, reason=reason)

    def view(self, bed: BedState) -> BedView:
        """The bed as the clock sees it now."""
        now = now_ms()
        owner = self._owner(bed, now)
        connection, inops = judge_connection(
            now,
            bed.received_at,
            bed.processed_at,
            owner.at if owner else None,
            bed=bed.bed,
            epoch=bed.epoch,
            sample=bed.sample,
            cache_seen_at=None if self.answered else self.answered_at,
            backlog_s=owner.backlog_s if owner else 0.0,
        )
        return BedView(**msgspec.structs.asdict(bed), connection=connection, inops=inops)

    def views(self) -> tuple[BedView, ...]:
        """All beds as the clock sees them now."""
        return tuple(map(self.view, self.beds))

    def ward(self) -> Ward:
        """All beds and the service, for REST."""
        return Ward(server_time=now_ms(), service=self.service(), beds=self.views())

    def status(self) -> Status:
        """All beds and the service, for the sockets."""
        return Status(server_time=now_ms(), service=self.service(), beds=self.views())

    def connections(self) -> "Counter[str]":
        """Beds by connection."""
        return Counter(str(view.connection) for view in self.views())

    def _owner(self, bed: BedState, now: float) -> WorkerState | None:
        """The worker that serves the bed: the one that last wrote of it, unless another must have taken over by now."""
        newest = _newest(self.workers)
        for worker in self.workers:
            if worker.worker == bed.worker and now - worker.at <= TAKEOVER_MS:
                return worker
        return newest


def _newest(workers: Iterable[WorkerState]) -> WorkerState | None:
    return max(workers, key=lambda worker: worker.at, default=None)
