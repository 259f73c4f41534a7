"""From the log of alarms into the store: each event once, in order, under ids that survive an emptied store."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import redis.asyncio as redis
from aiokafka import AIOKafkaProducer

from alarms.alarm import AlarmEvent, Kind, Phase, Priority, State, alarm_id, event_id
from stream.embedded.server import ValkeyServer
from stream.kafka.broker import KafkaServer
from stream.kafka.projector import Projector
from stream.kafka.topics import ensure_topics
from stream.lifetime import end_tasks
from stream.store import StoreWriter
from stream.store_keys import connect
from stream.wire import ALARMS, encode_alarm

pytest_plugins = ["tests.kafka_broker"]

WITHIN_S = 15
STREAM = "wardbeat:alarms"


def alarm(at: int) -> bytes:
    """An event as it stands in the log."""
    name = alarm_id("b1", 1000, Kind.TACHY, 0)
    return encode_alarm(
        AlarmEvent(
            id=name, event=event_id(name, Phase.START, at), bed="b1", epoch=1000, kind=Kind.TACHY,
            priority=Priority.MEDIUM, phase=Phase.START, state=State.ACTIVE, onset=0, at=at, text="HR 134 > 120",
        )
    )  # fmt: skip


@pytest.fixture
async def write(kafka: KafkaServer) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Appends values to the log of alarms."""
    await ensure_topics(kafka.bootstrap, 1)
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:

        async def append(*values: bytes) -> None:
            for value in values:
                await producer.send_and_wait(ALARMS, value, partition=0)

        yield append


@pytest.fixture
async def client(valkey: ValkeyServer) -> AsyncIterator[redis.Redis]:
    """A client of the store."""
    client = connect(valkey.url)
    yield client
    await client.aclose()


@contextlib.asynccontextmanager
async def projecting(kafka: KafkaServer, client: redis.Redis, worker: str) -> AsyncIterator[Projector]:
    """A projector at work."""
    projector = Projector(kafka.bootstrap, StoreWriter(client), worker)
    task = asyncio.create_task(projector.run())
    try:
        yield projector
    finally:
        await end_tasks([task])


async def entries(client: redis.Redis, count: int) -> list[tuple[bytes, bytes]]:
    """What the store holds, once it holds ``count``; fails if it does not within ``WITHIN_S``."""
    async with asyncio.timeout(WITHIN_S):
        while await client.xlen(STREAM) < count:
            await asyncio.sleep(0.02)
    return [(entry, fields[b"event"]) for entry, fields in await client.xrange(STREAM)]


async def test_two_projectors_and_a_repeated_event(
    kafka: KafkaServer, client: redis.Redis, write: Callable[..., Awaitable[None]]
) -> None:
    """Every worker projects, and a replaced worker alarms again: each event stands once, numbered by its offset."""
    async with projecting(kafka, client, "w1"), projecting(kafka, client, "w2"):
        await write(alarm(0), alarm(1), alarm(0), alarm(1), alarm(2), b"no event", alarm(3))
        held = await entries(client, 4)
    assert held == [(b"1-0", alarm(0)), (b"2-0", alarm(1)), (b"5-0", alarm(2)), (b"7-0", alarm(3))]


async def test_an_emptied_store_is_filled_with_the_same_ids(
    kafka: KafkaServer, client: redis.Redis, write: Callable[..., Awaitable[None]]
) -> None:
    """A console that reconnects after the cache was lost finds its place again, though no new alarm came meanwhile."""
    async with projecting(kafka, client, "w1"):
        await write(*map(alarm, range(600)))  # more than one round trip holds
        before = await entries(client, 600)
        await client.flushall()
        assert await entries(client, 600) == before
        await client.flushall()
        await write(alarm(600))
        after = await entries(client, 601)
    assert after == [*before, (b"601-0", alarm(600))]


async def test_goes_on_where_the_store_stands(
    kafka: KafkaServer, client: redis.Redis, write: Callable[..., Awaitable[None]]
) -> None:
    """A worker that starts reads on, and what came while none ran is not missing."""
    async with projecting(kafka, client, "w1"):
        await write(alarm(0))
        await entries(client, 1)
    await write(alarm(1))
    async with projecting(kafka, client, "w2"):
        await write(alarm(2))
        assert [value for _, value in await entries(client, 3)] == [alarm(0), alarm(1), alarm(2)]


async def test_waits_for_a_store_that_is_away(
    kafka: KafkaServer, valkey: ValkeyServer, client: redis.Redis, write: Callable[..., Awaitable[None]]
) -> None:
    """Alarms that come while the cache is down are projected when it is back, empty as it may be."""
    async with projecting(kafka, client, "w1"):
        await write(alarm(0))
        await entries(client, 1)
        valkey.stop()
        await write(alarm(1))
        await asyncio.sleep(1)
        valkey.start()
        assert [value for _, value in await entries(client, 2)] == [alarm(0), alarm(1)]
