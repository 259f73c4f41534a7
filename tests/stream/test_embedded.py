"""The embedded engine: one owner at a time, nothing that is still needed is cut off, and told to stop it stops."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio as redis
from hypothesis import given
from hypothesis import strategies as st

from stream.bed import BedConfig
from stream.embedded.engine import EmbeddedEngine
from stream.embedded.feeder import EmbeddedFeeder
from stream.embedded.log import SEQ_BITS, EmbeddedLog, Keys, LeaseLostError, entry_of, position_of, read_stream
from stream.embedded.server import ValkeyServer
from stream.store import StoreWriter
from stream.store_keys import connect

PREFIX = "test:"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path) as server:
        yield server


@pytest.fixture
async def client(server: ValkeyServer) -> AsyncIterator[redis.Redis]:
    client = connect(server.url)
    yield client
    await client.aclose()


def log_of(client: redis.Redis, worker: str) -> EmbeddedLog:
    return EmbeddedLog(client, StoreWriter(client, PREFIX), Keys(PREFIX), worker)


async def test_only_one_worker_owns_the_ward_even_under_one_name(client: redis.Redis) -> None:
    """Protects alarms from two workers that judge at once: a second one of the same name waits like any other."""
    first, second = log_of(client, "worker"), log_of(client, "worker")
    assert await first.hold_lease()
    assert not await second.hold_lease()
    assert await first.hold_lease(), "the owner renews"
    await second.release_lease()
    assert not await second.hold_lease(), "who does not own it cannot give it away"
    await first.release_lease()
    assert await second.hold_lease()


async def test_a_worker_that_lost_the_ward_cannot_overwrite_a_checkpoint(client: redis.Redis) -> None:
    """Protects the new owner's state from a worker that was frozen and wakes up."""
    old, new = log_of(client, "a"), log_of(client, "b")
    assert await old.hold_lease()
    await old.save_checkpoints(0, {"bed": b"old"})
    await client.delete(Keys(PREFIX).lease)  # it ran out
    assert await new.hold_lease()
    await new.save_checkpoints(0, {"bed": b"new"})
    with pytest.raises(LeaseLostError):
        await old.save_checkpoints(0, {"bed": b"older"})
    assert await new.load_checkpoints(0) == {"bed": b"new"}


async def test_a_commit_cuts_off_what_lies_below_it_and_nothing_else(server: ValkeyServer, client: redis.Redis) -> None:
    """Protects the refill: messages from the committed position on stay in the log."""
    feeder = EmbeddedFeeder(server.url, PREFIX)
    for number in range(200):
        feeder.send("bed", b"%d" % number)
    feeder.close()
    key = Keys(PREFIX).chunks
    entries = await read_stream(client, key, "0-0", count=1000, block_ms=10)
    assert [fields[b"v"] for _, fields in entries] == [b"%d" % number for number in range(200)]
    await log_of(client, "a").commit(0, position_of(entries[120][0]))
    left = await read_stream(client, key, "0-0", count=1000, block_ms=10)
    assert left == entries[120:]


@given(st.integers(0, 2**42), st.integers(0, 2**SEQ_BITS - 1), st.integers(0, 2**42), st.integers(0, 2**SEQ_BITS - 1))
def test_positions_grow_as_entry_ids_do(ms: int, seq: int, other_ms: int, other_seq: int) -> None:
    """Protects the order of the log: a position is the entry id as one number, there and back."""
    one, other = f"{ms}-{seq}".encode(), f"{other_ms}-{other_seq}".encode()
    assert entry_of(position_of(one)).encode() == one
    assert (position_of(one) < position_of(other)) == ((ms, seq) < (other_ms, other_seq))


async def test_told_to_stop_while_it_connects_it_stops(server: ValkeyServer, client: redis.Redis) -> None:
    """Protects an orderly stop: told once while it connected, one worker in four went on working."""
    for quarter_ms in range(40):
        before = await connections(client)
        working = asyncio.create_task(EmbeddedEngine(server.url, PREFIX, "worker", BedConfig(waves=False)).run())
        while await connections(client) == before:
            assert not working.done()
        await asyncio.sleep(quarter_ms / 4000)
        working.cancel()
        _, going_on = await asyncio.wait([working], timeout=5)
        assert not going_on, f"told to stop {quarter_ms / 4} ms after it began to connect, it works on"


async def connections(client: redis.Redis) -> int:
    """How many the server has ever taken."""
    return int((await client.info("stats"))["total_connections_received"])
