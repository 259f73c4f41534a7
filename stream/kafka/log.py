"""The log of the Kafka engine: alarms, findings, dead letters, checkpoints, and which offsets are finished."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from stream.engine import Batch
from stream.kafka.topics import MAX_MESSAGE
from stream.wire import (
    ALARMS,
    CHECKPOINTS,
    DEADLETTERS,
    FINDINGS,
    encode_alarm,
    encode_deadletter,
    encode_finding,
)

log = logging.getLogger(__name__)

LINGER_MS = 2  # the alarms of one run of the core leave together
RETRY_S = 0.5
WAIT_S = 5.0  # so often is it said that the brokers have not confirmed yet
REQUEST_MS = 10_000  # a frozen broker is given up after this, and its connection made anew
LOAD_S = 30.0  # reading a few megabytes takes well under a second; longer means that the broker is in trouble


class _Place(msgspec.Struct):
    bed: str
    position: int


class KafkaLog:
    """``stream.engine.Log`` on Kafka. Every call is repeated until the brokers confirm.

    ``commit`` acknowledges the messages that ``taken`` announced, strictly in the order of the log: Faust commits
    across a hole (it answered 2590 with 2585 still open).
    """

    def __init__(self, bootstrap: str, worker: str) -> None:
        self._bootstrap = bootstrap
        self._worker = worker
        self._producer: AIOKafkaProducer | None = None
        self._open: dict[int, deque[tuple[int, Callable[[], object]]]] = {}
        self._findings: set[asyncio.Future[object]] = set()
        self.waiting_since: float | None = None  # monotonic; None while the brokers confirm what they are given
        self.lost_findings = 0

    async def start(self) -> None:
        """Connect. Raises aiokafka.errors.KafkaConnectionError where no broker answers."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=self._worker,
            acks="all",
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            max_batch_size=64 << 10,
            max_request_size=MAX_MESSAGE,
            request_timeout_ms=REQUEST_MS,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    async def stop(self) -> None:
        """Send what is under way and let go."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    def taken(self, partition: int, offset: int, acknowledge: Callable[[], object]) -> None:
        """A message of ``partition`` was taken from the log (offsets grow); how to say that it is finished."""
        self._open.setdefault(partition, deque()).append((offset, acknowledge))

    def forget(self, partition: int) -> None:
        """The partition is no longer ours: nothing of it will be acknowledged."""
        self._open.pop(partition, None)

    async def load_checkpoints(self, partition: int) -> dict[str, bytes]:
        """See ``Log``."""
        while True:
            try:
                async with asyncio.timeout(LOAD_S):
                    checkpoints = await self._read_checkpoints(partition)
                self.waiting_since = None
                return checkpoints
            except (KafkaError, TimeoutError) as error:
                self._waits()
                log.warning("checkpoints of partition %d cannot be read, trying again: %r", partition, error)
                await asyncio.sleep(RETRY_S)

    async def publish(self, partition: int, batch: Batch) -> None:
        """See ``Log``. Findings are not waited for: they come again from the chunks where a worker is replaced."""
        kept = [(ALARMS, 0, event.bed, encode_alarm(event)) for event in batch.alarms]
        kept += [(DEADLETTERS, 0, "", encode_deadletter(letter)) for letter in batch.deadletters]
        if kept:
            await self._keep(kept)
        for finding in batch.findings:
            future = await self._send(FINDINGS, partition, finding.bed, encode_finding(finding))
            self._findings.add(future)
            future.add_done_callback(self._finding_done)

    async def save_checkpoints(self, partition: int, checkpoints: Mapping[str, bytes]) -> None:
        """See ``Log``."""
        await self._keep([(CHECKPOINTS, partition, bed, data) for bed, data in checkpoints.items()])

    async def commit(self, partition: int, position: int) -> None:
        """See ``Log``. The offsets reach the broker with Faust's next commit."""
        taken = self._open.get(partition, deque())
        while taken and taken[0][0] < position:
            taken.popleft()[1]()

    async def _keep(self, records: Sequence[tuple[str, int, str, bytes]]) -> None:
        """Write (topic, partition, key, value) in order; returns once all are confirmed."""
        while records:
            futures: list[asyncio.Future[object]] = []
            try:
                for record in records:
                    futures.append(await self._send(*record))
            except KafkaError as error:
                await self._not_taken(error)
            await self._confirmed(futures)
            done = 0
            for future in futures:
                failure = future.exception()
                if failure is not None:
                    await self._not_taken(failure)
                    break
                done += 1
            # Everything from the first failure on goes again, so that an end is never in front of its start.
            records = records[done:]
        self.waiting_since = None

    async def _confirmed(self, futures: Sequence[asyncio.Future[object]]) -> None:
        pending = set(futures)
        while pending:
            done, pending = await asyncio.wait(pending, timeout=WAIT_S)
            if not done:
                self._waits()
                log.warning("the brokers have not confirmed %d records for %.0f s", len(pending), WAIT_S)

    async def _not_taken(self, error: BaseException) -> None:
        self._waits()
        log.warning("the brokers did not take a record, trying again: %r", error)
        await asyncio.sleep(RETRY_S)

    def _waits(self) -> None:
        if self.waiting_since is None:
            self.waiting_since = time.monotonic()

    async def _send(self, topic: str, partition: int, key: str, value: bytes) -> "asyncio.Future[object]":
        if self._producer is None:
            raise RuntimeError("the log is not started")
        future: asyncio.Future[object] = await self._producer.send(
            topic, value, key=key.encode() or None, partition=partition
        )
        return future

    def _finding_done(self, future: "asyncio.Future[object]") -> None:
        self._findings.discard(future)
        error = None if future.cancelled() else future.exception()
        if error is not None:
            if not self.lost_findings:
                log.warning("findings are lost: %r", error)
            self.lost_findings += 1

    async def _read_checkpoints(self, partition: int) -> dict[str, bytes]:
        part = TopicPartition(CHECKPOINTS, partition)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id=f"{self._worker}-checkpoints",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=MAX_MESSAGE,
            fetch_max_wait_ms=100,
        )
        newest: dict[str, tuple[int, bytes]] = {}
        place = msgspec.msgpack.Decoder(_Place)
        try:
            await consumer.start()
            consumer.assign([part])
            end = (await consumer.end_offsets([part]))[part]
            await consumer.seek_to_beginning(part)
            while await consumer.position(part) < end:
                for record in (await consumer.getmany(part, timeout_ms=200)).get(part, ()):
                    try:
                        found = place.decode(record.value)
                    except ValueError as error:  # without it the bed is judged anew from the log: later, not wrongly
                        log.error("checkpoint at offset %d of partition %d: %s", record.offset, partition, error)
                        continue
                    if found.bed not in newest or newest[found.bed][0] <= found.position:
                        newest[found.bed] = (found.position, record.value)
        finally:
            await consumer.stop()
        return {bed: data for bed, (_, data) in newest.items()}
