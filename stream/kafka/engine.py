"""The engine of a hospital: a Faust agent takes the chunks, and partitions spread the beds over workers."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterable, Coroutine
from functools import partial
from typing import Any

import faust
import uvloop
from aiokafka.errors import KafkaError
from redis import RedisError

from stream.bed import BedConfig, warm_up
from stream.engine import Message
from stream.kafka.config import KafkaConfig
from stream.kafka.log import KafkaLog
from stream.kafka.offsets import Offsets
from stream.kafka.projector import Projector
from stream.kafka.topics import ensure_topics
from stream.kafka.transport import BatchingTransport
from stream.kafka.watchdog import LoopGuard, Watchdog, end_process
from stream.lifetime import end_tasks, run_until_told
from stream.outflow import Outflow
from stream.pump import Pump
from stream.store import StoreWriter
from stream.store_keys import connect
from stream.wire import CHUNKS

log = logging.getLogger(__name__)

COMMIT_S = 1.0  # what is read twice after a crash; a commit costs one small request
HEARTBEAT_S = 1.0  # a worker hears of a rebalance with its next heartbeat: its beds wait no longer than this
# A member that does not come to a rebalance within this is out. A worker that was killed in the middle of one holds up
# all others for as long: 36 s of silence were seen with 30 s.
REBALANCE_S = 10.0
MAX_WAITING = 4_096  # messages taken and not processed; the log keeps the others
BACKPRESSURE_S = 0.01
RELEASE_S = 8.0  # within this a hand-over is done (0.1 to 0.3 s were seen), or the process ends: before REBALANCE_S
STOP_S = 3.0  # each step of an orderly end, all of it takes 1 s; a supervisor kills after 10 s and nothing is lost
CHECK_S = 1.0
ENDS_EVERY = 5  # checks: how far the log goes is asked over the network
ANSWER_S = 3.0  # of the brokers
RETRY_S = 1.0
SELDOM_S = 10.0


class EngineError(RuntimeError):
    """The engine cannot go on; another process may."""


class KafkaEngine:
    """Runs the ward, or its share of it, on Kafka.

    Args:
        config: where and who.
        beds: how beds are watched.
    """

    def __init__(self, config: KafkaConfig, beds: BedConfig) -> None:
        self._config = config
        self._beds = beds
        self._client = connect(config.redis)
        self._store = StoreWriter(self._client, config.prefix)
        self._log = KafkaLog(config.bootstrap, config.worker)
        self._pump = Pump(config.worker, "kafka", self._log, Outflow(self._store), beds)
        self._projector = Projector(config.bootstrap, self._store, config.worker)
        self._watchdog = Watchdog()
        self._guard = LoopGuard()
        self._taken: dict[int, int] = {}  # partition → offset after the last message that went to the pump
        self._app: Any = None

    async def run(self) -> None:
        """Work until cancelled, and then hand over in good order.

        Raises:
            TopicsError: the topics do not fit.
            EngineError: Faust gave up.
        """
        tasks: list[asyncio.Task[None]] = []
        try:
            # Before any bed is ours: without a cache the compiler takes half a minute on a busy machine.
            await asyncio.to_thread(warm_up, self._beds)
            await self._reach_brokers()
            self._guard.start()
            self._app = self._make_app()
            work: list[Coroutine[Any, Any, None]] = [self._pump.run(), self._projector.run(), self._check()]
            tasks = [asyncio.create_task(coroutine) for coroutine in work]
            tasks.append(asyncio.create_task(self._run_app()))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await self._stop(tasks)

    async def _reach_brokers(self) -> None:
        while True:
            try:
                await ensure_topics(self._config.bootstrap, self._config.partitions, self._config.replication)
                await self._log.start()
                return
            except KafkaError as error:
                log.warning("no broker answers at %s, trying again: %r", self._config.bootstrap, error)
                await asyncio.sleep(RETRY_S)

    def _make_app(self) -> Any:
        config = self._config
        config.data_dir.mkdir(parents=True, exist_ok=True)
        app = faust.App(
            config.group,
            broker=[f"kafka://{server}" for server in config.bootstrap.split(",")],
            datadir=config.data_dir / "faust",
            key_serializer="raw",
            value_serializer="raw",
            web_enabled=False,
            topic_disable_leader=True,  # would make a topic of its own
            topic_allow_declare=False,
            consumer_auto_offset_reset="earliest",
            consumer_group_instance_id=config.worker if config.static_member else None,
            broker_client_id=config.worker,
            broker_commit_interval=COMMIT_S,
            broker_session_timeout=config.session_timeout_s,
            broker_heartbeat_interval=min(HEARTBEAT_S, config.session_timeout_s / 3),
            broker_rebalance_timeout=REBALANCE_S,
            # Faust would wait in a rebalance until every message is acknowledged. Ours are kept open until no window
            # needs them: the hand-over below settles what must be settled.
            stream_wait_empty=False,
        )
        app.transport = BatchingTransport(app.conf.broker_consumer, app)
        app.agent(app.topic(CHUNKS, key_type=bytes, value_type=bytes), name="chunks")(self._take)
        app.on_partitions_revoked.connect(self._revoked)
        app.on_partitions_assigned.connect(self._assigned)
        return app

    async def _take(self, stream: Any) -> None:
        events: AsyncIterable[Any] = stream.noack().events()
        async for event in events:
            message = event.message
            number, offset = message.partition, message.offset
            # After a rebalance Faust reads again from the commit; before it, it may still deliver what it had.
            if offset < self._taken.get(number, offset + 1):
                continue
            self._taken[number] = offset + 1
            value, message.value = message.value, None  # the message is kept for its acknowledgement alone
            self._log.taken(number, offset, partial(message.ack, self._app.consumer))
            self._pump.submit(Message(number, offset, message.timestamp * 1000.0, value or b""))
            while self._pump.waiting > MAX_WAITING:
                await asyncio.sleep(BACKPRESSURE_S)

    async def _assigned(self, _: Any, /, *args: Any, **__: Any) -> None:
        assigned: set[Any] = args[0]
        self._taken = {part.partition: -1 for part in assigned if part.topic == CHUNKS}
        log.info("worker %s has partitions %s", self._config.worker, sorted(self._taken))

    async def _revoked(self, _: Any, /, *__: Any, **___: Any) -> None:
        # A rebalance takes all partitions away before it gives them out anew.
        try:
            await self._hand_over()
        except TimeoutError:
            end_process(f"the partitions could not be handed over within {RELEASE_S:.0f} s")

    async def _hand_over(self) -> None:
        """Settle what runs, write all checkpoints, commit, forget: whoever comes next goes on from there."""
        numbers, self._taken = list(self._taken), {}
        if not numbers:
            return
        began = time.monotonic()
        async with asyncio.timeout(RELEASE_S):
            await self._pump.release(numbers)
            await self._app.consumer.commit()
        for number in numbers:
            self._log.forget(number)
        log.info("handed over partitions %s in %.2f s", sorted(numbers), time.monotonic() - began)

    async def _run_app(self) -> None:
        await self._app.start()
        while not self._app.should_stop:
            await asyncio.sleep(CHECK_S)
        raise EngineError(f"Faust gave up: {self._app.crash_reason!r}")

    async def _check(self) -> None:
        offsets = Offsets(self._config.bootstrap, self._config.group, self._config.worker)
        checks = 0
        try:
            while True:
                await asyncio.sleep(CHECK_S)
                self._guard.beat()
                checks += 1
                complaint = self._watchdog.complaint(
                    waiting=self._pump.waiting,
                    progressed_at=self._pump.progressed_at,
                    unconfirmed_since=self._log.waiting_since,
                    rebalancing=self._app.rebalancing,
                    now=time.monotonic(),
                )
                if complaint is None and checks % ENDS_EVERY == 0:
                    complaint = await self._check_the_way(offsets)
                if complaint is not None:
                    end_process(complaint)
        finally:
            await offsets.close()

    async def _check_the_way(self, offsets: Offsets) -> str | None:
        taken = dict(self._taken)
        if not taken:
            return None
        try:
            async with asyncio.timeout(ANSWER_S):
                untouched = [number for number, offset in taken.items() if offset < 0]
                if untouched:
                    taken |= await offsets.starts(untouched)
                ends = await offsets.ends(taken)
        except (KafkaError, TimeoutError):
            self._watchdog.broker_away(time.monotonic())
            return None
        return self._watchdog.behind(taken, ends, time.monotonic())

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        self._guard.end()
        if self._app is not None and self._app.started and not self._app.crashed:
            self._app.consumer.stop_flow()
            self._app.flow_control.suspend()
            await _within(self._hand_over(), "handing over")  # a crash would lose nothing either
        await _within(end_tasks(tasks), "ending the tasks")
        if self._app is not None:
            await _within(self._app.stop(), "leaving the group")
        await _within(self._log.stop(), "closing the log")
        await _within(self._store.forget_worker(self._config.worker), "signing off")
        await self._client.aclose()


async def _within(work: Coroutine[Any, Any, object], doing: str) -> None:
    task = asyncio.ensure_future(work)
    try:
        async with asyncio.timeout(STOP_S):
            await asyncio.wait([task])
        task.result()
    except (TimeoutError, KafkaError, RedisError) as error:
        log.warning("%s: gave up: %r", doing, error)
    finally:
        await end_tasks([task])


class _Seldom(logging.Filter):
    """While brokers are away aiokafka says so a hundred times a second: once in ``SELDOM_S`` is enough."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("aiokafka"):
            return True
        key = (record.name, str(record.msg))
        if record.created - self._said.get(key, 0.0) < SELDOM_S:
            return False
        self._said[key] = record.created
        return True


def run_kafka_worker(config: KafkaConfig, beds: BedConfig) -> int:
    """Run a worker until SIGTERM or SIGINT; the exit code, not 0 where a supervisor should start it again."""
    for name in ("faust", "mode", "aiokafka", "stream.kafka.transport"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_Seldom())
    # As a policy, because Faust reads from Kafka in a thread with a loop of its own. A tenth less work than asyncio's.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    return asyncio.run(_run(KafkaEngine(config, beds)))


async def _run(engine: KafkaEngine) -> int:
    try:
        return await run_until_told(engine.run())
    finally:
        _exit_in_any_case()


def _exit_in_any_case() -> None:
    """Whatever still runs in some corner of a library must not keep the process from ending."""
    timer = threading.Timer(STOP_S, end_process, ("the worker has stopped, but its process does not end",))
    timer.daemon = True
    timer.start()
