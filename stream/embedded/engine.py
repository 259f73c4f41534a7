"""The embedded engine: one worker reads the chunks, a second one stands by and takes over within seconds."""

import asyncio
import contextlib
import logging
import time

import redis.asyncio as redis

from stream.bed import BedConfig, warm_up
from stream.embedded.log import LEASE_MS, SEQ_BITS, EmbeddedLog, Keys, LeaseLostError, position_of, read_stream
from stream.engine import Message
from stream.lifetime import end_tasks, run_until_first
from stream.outflow import Outflow
from stream.pump import Pump
from stream.states import WorkerState
from stream.store import StoreWriter
from stream.store_keys import connect

log = logging.getLogger(__name__)

READ_COUNT = 512
READ_BLOCK_MS = 100
MAX_WAITING = 4_096  # messages taken and not processed; the log keeps the others
RETRY_S = 0.2


class EmbeddedEngine:
    """Runs the ward on a Valkey server.

    Args:
        url: ``redis://`` or ``unix://`` address of the server.
        prefix: of all keys.
        worker: this worker's name, unique among those of the ward.
        config: how beds are watched.
    """

    def __init__(self, url: str, prefix: str, worker: str, config: BedConfig) -> None:
        self._client = connect(url)
        self._config = config
        self._worker = worker
        self._keys = Keys(prefix)
        self._store = StoreWriter(self._client, prefix)
        self._log = EmbeddedLog(self._client, self._store, self._keys, worker)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            await asyncio.to_thread(warm_up, self._config)
            while True:
                try:
                    await run_until_first(self._stand_by())
                    log.info("worker %s owns the ward", self._worker)
                    await self._own()
                except LeaseLostError as error:
                    log.warning("%s; standing by", error)
                except (redis.RedisError, OSError) as error:
                    log.warning("the server does not answer: %s", error)
                await asyncio.sleep(RETRY_S)
        finally:
            with contextlib.suppress(redis.RedisError, OSError):  # it may be gone already; the lease then runs out
                await self._store.forget_worker(self._worker)
                await self._log.release_lease()
            await self._client.aclose()

    async def _stand_by(self) -> None:
        """Say that this worker is there, though it owns nothing, until it holds the lease."""
        while not await self._log.hold_lease():
            state = WorkerState(
                worker=self._worker,
                engine="embedded",
                at=time.time() * 1000,
                partitions=(),
                beds=0,
                backlog_s=0.0,
                counters={},
            )
            await self._store.show(worker=state)
            await asyncio.sleep(RETRY_S)

    async def _own(self) -> None:
        pump = Pump(self._worker, "embedded", self._log, Outflow(self._store), self._config)
        tasks = [asyncio.create_task(work) for work in (pump.run(), self._read(pump), self._renew())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except asyncio.CancelledError:
            with contextlib.suppress(redis.RedisError, OSError, LeaseLostError):  # a crash would lose nothing either
                await pump.release([0])
            raise
        finally:
            await end_tasks(tasks)

    async def _read(self, pump: Pump) -> None:
        last = b"0-0"
        while True:
            if pump.waiting > MAX_WAITING:
                await asyncio.sleep(READ_BLOCK_MS / 1000)
                continue
            key = self._keys.chunks
            entries = await read_stream(self._client, key, last, count=READ_COUNT, block_ms=READ_BLOCK_MS)
            for entry, fields in entries:
                last, position = entry, position_of(entry)
                pump.submit(Message(0, position, float(position >> SEQ_BITS), fields[b"v"]))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_MS / 4000)
            if not await self._log.hold_lease():
                raise LeaseLostError(f"worker {self._worker!r} no longer holds the lease")
