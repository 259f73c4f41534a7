"""Carries the log of alarms into the store, in order, and again from the start where the store was emptied."""

import asyncio
import logging

import msgspec
import redis.asyncio as redis
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stream.store import StoreWriter
from stream.wire import ALARMS

log = logging.getLogger(__name__)

CHECK_MS = 1000  # so soon is it seen that the store was emptied while no alarm came
RETRY_S = 0.5
MAX_ENTRIES = 256  # in one round trip: refilling a year's log goes fast, and the store is never held up for long

_PART = TopicPartition(ALARMS, 0)


class _Event(msgspec.Struct):
    event: str


class Projector:
    """Reads ``ecg.alarms`` without a group; every worker runs one, and the store keeps each entry once.

    The number of an entry in the store is its offset + 1, so a console's place in the stream means the same event
    after the store was emptied and filled again.

    Args:
        bootstrap: ``host:port[,host:port…]`` of the brokers.
        store: where the alarms go.
        worker: this worker's name.
    """

    def __init__(self, bootstrap: str, store: StoreWriter, worker: str) -> None:
        self._bootstrap = bootstrap
        self._store = store
        self._worker = worker
        self._log_id = ALARMS
        self._top = 0  # number up to which the store was last seen to hold the log
        self._store_away = False
        self.unreadable = 0

    async def run(self) -> None:
        """Work until cancelled; brokers and store that are away are asked again."""
        while True:
            try:
                await self._project()
            except (KafkaError, OSError) as error:
                log.warning("the log of alarms cannot be read, trying again: %r", error)
            await asyncio.sleep(RETRY_S)

    async def _project(self) -> None:
        # The numbers of another cluster mean other events: the store throws its alarms away when this name changes.
        self._log_id = f"{await _cluster(self._bootstrap)}:{ALARMS}"
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id=f"{self._worker}-projector",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            consumer.assign([_PART])
            _, self._top = await self._tell([], 0)
            await self._seek(consumer)
            while True:
                found = await consumer.getmany(_PART, timeout_ms=CHECK_MS, max_records=MAX_ENTRIES)
                before = self._top
                behind, self._top = await self._tell(found.get(_PART, []), before)
                if behind:
                    log.warning("the store holds alarms up to %d of %d: filling it again", self._top, before)
                    self._top = 0
                    await consumer.seek_to_beginning(_PART)
        finally:
            await consumer.stop()

    async def _seek(self, consumer: AIOKafkaConsumer) -> None:
        first = (await consumer.beginning_offsets([_PART]))[_PART]
        end = (await consumer.end_offsets([_PART]))[_PART]
        if not first <= self._top <= end:
            self._top = 0
        consumer.seek(_PART, max(self._top, first))

    async def _tell(self, records: "list[ConsumerRecord[bytes, bytes]]", previous: int) -> tuple[bool, int]:
        """Project ``records``; whether the store fell behind ``previous``, and how far it holds the log."""
        entries = []
        for record in records:
            try:
                event = msgspec.json.decode(record.value, type=_Event).event
            except ValueError as error:
                self.unreadable += 1
                log.error("entry %d of the log of alarms is none: %s", record.offset, error)
                continue
            entries.append((record.offset + 1, record.value, event))
        while True:
            try:
                outcomes, top = await self._store.project_alarms(entries, previous, log_id=self._log_id)
            except (redis.RedisError, OSError) as error:
                if not self._store_away:
                    log.warning("the store does not answer, alarms wait in the log: %s", error)
                self._store_away = True
                await asyncio.sleep(RETRY_S)
                continue
            self._store_away = False
            return "behind" in outcomes or top < previous, top


async def _cluster(bootstrap: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        return str((await admin.describe_cluster())["cluster_id"])
    finally:
        await admin.close()
