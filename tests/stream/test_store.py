"""The store on a real Valkey: alarms exactly once and in order, whatever is emptied, repeated or restarted."""

import os
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import redis.asyncio as redis

from alarms.alarm import AlarmEvent, Kind, Phase, Priority, State, alarm_id, event_id
from ecg.chunk import MISSING
from stream.embedded.server import ValkeyServer
from stream.states import BedState, WorkerState
from stream.store import StoreWriter
from stream.store_keys import StoreKeys, connect
from stream.store_reader import ActiveAlarms, AlarmEntry, StoreReader
from stream.waves import StripSecond
from stream.wire import encode_alarm


def event(at: int, *, bed: str = "b1", kind: Kind = Kind.TACHY, phase: Phase = Phase.START) -> AlarmEvent:
    """An event as the rules would make it."""
    alarm = alarm_id(bed, 1000, kind, 0)
    state = State.INACTIVE if phase is Phase.END else State.ACTIVE
    return AlarmEvent(
        id=alarm, event=event_id(alarm, phase, at), bed=bed, epoch=1000, kind=kind, priority=Priority.MEDIUM,
        phase=phase, state=state, onset=0, at=at, text="HR 134 > 120", value=134.0, limit=120.0,
    )  # fmt: skip


def entry(n: int, item: AlarmEvent) -> tuple[int, bytes, str]:
    """The event as the log's entry ``n``."""
    return n, encode_alarm(item), item.event


@pytest.fixture
async def client(valkey: ValkeyServer) -> AsyncIterator[redis.Redis]:
    """A client of the test's own server."""
    client = connect(valkey.url)
    yield client
    await client.aclose()


@pytest.fixture
def reader(client: redis.Redis) -> StoreReader:
    """The reading side."""
    return StoreReader(client)


@pytest.fixture
def writer(client: redis.Redis) -> StoreWriter:
    """The writing side."""
    return StoreWriter(client)


async def numbers(reader: StoreReader, since: int = 0) -> list[int]:
    """Numbers of the entries after ``since``."""
    return [item.n for item in (await reader.alarm_events(since)).entries]


async def test_projection_adds_each_event_once(writer: StoreWriter, reader: StoreReader) -> None:
    """An entry seen again changes nothing, an event that the log holds twice is shown once, and ids are the log's."""
    assert await writer.project_alarms([entry(3, event(50))], 0) == (["added"], 3)
    assert await writer.project_alarms([entry(3, event(50))], 0) == (["seen"], 3)
    assert await writer.project_alarms([entry(4, event(50))], 3) == (["duplicate"], 4)
    assert await writer.project_alarms([entry(6, event(60))], 4) == (["added"], 6)
    batch = await reader.alarm_events(0)
    assert [item.id for item in batch.entries] == ["3-0", "6-0"]
    assert batch.entries[0].event == encode_alarm(event(50))
    assert await numbers(reader, 3) == [6]


async def test_emptied_store_is_behind_and_gets_the_same_ids_again(
    client: redis.Redis, writer: StoreWriter, reader: StoreReader
) -> None:
    """After FLUSHALL the projector is told to begin again, and a client's old position means the same events."""
    log = [entry(n, event(n * 50)) for n in range(1, 8)]
    assert (await writer.project_alarms(log, 0))[1] == 7
    before = (await reader.alarm_events(4)).entries
    await client.flushall()
    assert await writer.project_alarms([entry(8, event(400))], 7) == (["behind"], 0)
    assert await numbers(reader) == []
    assert await writer.project_alarms(log, 0) == (["added"] * 7, 7)
    assert (await reader.alarm_events(4)).entries == before


async def test_half_emptied_store_forgets_its_event_ids(
    client: redis.Redis, writer: StoreWriter, reader: StoreReader
) -> None:
    """If only the stream was lost, the remembered event ids must not keep the alarms from being shown again."""
    await writer.project_alarms([entry(1, event(50))], 0)
    await client.delete(StoreKeys().alarms)
    assert await writer.project_alarms([entry(1, event(50))], 0) == (["added"], 1)
    assert await numbers(reader) == [1]


async def test_projection_of_another_log_is_thrown_away(writer: StoreWriter, reader: StoreReader) -> None:
    """A log made anew numbers from the start: its alarms must not be taken for ones seen long ago."""
    await writer.project_alarms([entry(n, event(n * 50)) for n in range(1, 6)], 0, log_id="first")
    assert await writer.project_alarms([entry(1, event(9))], 0, log_id="second") == (["added"], 1)
    batch = await reader.alarm_events(0)
    assert (batch.log, [item.n for item in batch.entries]) == ("second", [1])


async def test_append_numbers_and_refuses_what_stands_there(
    client: redis.Redis, writer: StoreWriter, reader: StoreReader
) -> None:
    """Where the stream is the log, a worker that judges again after a crash adds nothing twice, in or across calls."""
    pairs = [(event(at).event, encode_alarm(event(at))) for at in (50, 100, 50)]
    assert await writer.append_alarms(pairs) == [("added", 1), ("added", 2), ("duplicate", 1)]
    assert await StoreWriter(client).append_alarms(pairs[1:2]) == [("duplicate", 2)]
    log = (await reader.log_ends()).log
    await writer.append_alarms([(event(150).event, encode_alarm(event(150)))])
    assert await numbers(reader) == [1, 2, 3]
    assert (await reader.log_ends()).log == log
    await client.flushall()
    await writer.append_alarms(pairs)
    assert (await reader.log_ends()).log not in (None, log), "a lost log that begins anew must say that it is another"


async def test_old_alarms_are_cut_off_with_their_event_ids(client: redis.Redis, reader: StoreReader) -> None:
    """Memory stays bounded, and the ids of events are kept for exactly the events that are kept."""
    writer = StoreWriter(client, kept_alarms=200)
    await writer.project_alarms([entry(n, event(n * 50)) for n in range(1, 1001)], 0)
    ends = await reader.log_ends()
    kept = await client.xlen(StoreKeys().alarms)
    assert 200 <= kept < 400
    assert (ends.top, ends.oldest, ends.trimmed) == (1000, 1001 - kept, True)
    assert await client.zcard(StoreKeys().alarm_events) == kept


async def test_history_pages_backwards_with_filters(writer: StoreWriter, reader: StoreReader) -> None:
    """Paging by ``before`` yields every wanted event once, newest first, whatever the pages."""
    beds = ("b1", "b2", "b3")
    await writer.project_alarms([entry(n, event(n * 50, bed=beds[n % 3])) for n in range(1, 2501)], 0)
    found: list[int] = []
    before = None
    while True:
        page = await reader.history(lambda item: item.bed == "b2", before, 300)
        assert len(page.alarms) <= 300
        found += [item.n for item, _ in page.alarms]
        before = page.before
        if before is None:
            break
    assert found == [n for n in range(2500, 0, -1) if n % 3 == 1]


def test_active_alarms_are_those_that_did_not_end() -> None:
    """The newest event of an alarm says how it stands; an ended alarm is gone."""
    story = [
        event(50),
        event(60, kind=Kind.BRADY),
        event(70, phase=Phase.UPDATE),
        event(80, kind=Kind.BRADY, phase=Phase.END),
    ]
    active = ActiveAlarms()
    for n, item in enumerate(story, 1):
        active.apply(AlarmEntry(n, encode_alarm(item)), item)
    assert [(entry.n, alarm.at) for entry, alarm in active] == [(3, 70)]


async def test_states_come_back_and_strangers_do_not_hide_them(
    client: redis.Redis, writer: StoreWriter, reader: StoreReader
) -> None:
    """What a worker writes is what the screen reads; a value nobody can read costs only itself."""
    bed = BedState(
        bed="b1", epoch=1000, sample=500, hr_bpm=72.5, usable=True, quality={"II": "good"}, leads=("II",),
        limits={"hr_low": 50.0, "hr_high": 120.0}, received_at=1.0, processed_at=2.0, model="beats-1", worker="w1",
    )  # fmt: skip
    worker = WorkerState(
        worker="w1", engine="kafka", at=5.0, partitions=(0, 2), beds=1, backlog_s=0.0, counters={"chunks": 7}
    )
    await writer.show(states=[bed], worker=worker)
    await client.hset(StoreKeys().beds, "b0", "{")
    assert await reader.states() == ([bed], [worker])
    assert await reader.bed("b1") == bed
    assert await reader.bed("b9") is None
    await writer.forget_worker("w1")
    assert await reader.states() == ([bed], [])


async def test_waves_go_out_as_they_came(client: redis.Redis, writer: StoreWriter) -> None:
    """A frame reaches the bed's channel byte for byte."""
    async with client.pubsub() as pubsub:
        await pubsub.subscribe(StoreKeys().waves("b1"))
        assert (await pubsub.get_message(timeout=1))["type"] == "subscribe"
        await writer.show(frames=[("b1", b"\x01\x00\xff"), ("b2", b"other")])
        assert (await pubsub.get_message(timeout=1))["data"] == b"\x01\x00\xff"


def second(epoch: int, number: int) -> StripSecond:
    """Second ``number`` of an epoch: lead k stands at 10·number + k µV, its sample 7 is missing, lead 11 is off."""
    counts = np.repeat((10 * number + np.arange(12, dtype="<i2"))[:, None], 500, axis=1).astype("<i2")
    counts[:, 7] = MISSING
    leads = (True,) * 11 + (False,)
    return StripSecond(epoch, (number + 1) * 500, leads, zlib.compress(counts.tobytes(), 1))


async def test_strip_is_cut_to_the_sample_and_gaps_stay_gaps(writer: StoreWriter, reader: StoreReader) -> None:
    """Seconds may be missing, doubled or of another epoch: each sample shows what was measured, or nothing."""
    seconds = [second(1000, k) for k in (0, 1, 2, 4, 5, 4, 5, 6)] + [second(9000, 0)]
    await writer.show(strips=[("b1", item) for item in seconds])
    strip = await reader.strip("b1", 3100, 4, epoch=1000)
    assert strip is not None
    assert (strip.epoch, strip.first, strip.microvolts.shape) == (1000, 1100, (12, 2000))
    assert strip.microvolts[2, 0] == 22.0
    assert strip.microvolts[0, 1999] == 60.0
    assert np.isnan(strip.microvolts[0, 400:900]).all(), "second 3 never came"
    assert np.isnan(strip.microvolts[0, 907])
    assert np.isnan(strip.microvolts[11]).all()
    newest = await reader.strip("b1", None, 10)
    assert newest is not None
    assert (newest.epoch, newest.first, newest.microvolts.shape) == (9000, 0, (12, 500))
    assert await reader.strip("b1", 500, 1, epoch=77) is None
    assert await reader.strip("nobody", None, 1) is None


async def test_client_finds_a_restarted_server(valkey: ValkeyServer, writer: StoreWriter, reader: StoreReader) -> None:
    """A crash of the store is an error while it lasts, and nothing has to be rebuilt by hand afterwards."""
    await writer.project_alarms([entry(1, event(50))], 0)
    valkey.kill()
    with pytest.raises(redis.ConnectionError):
        await reader.states()
    valkey.start()
    assert await reader.states() == ([], [])
    assert await writer.project_alarms([entry(1, event(50))], 0) == (["added"], 1)


async def test_append_only_server_keeps_what_it_confirmed(tmp_path: Path) -> None:
    """Kill -9 of a server with an append-only file loses no confirmed write."""
    with ValkeyServer(tmp_path, appendonly=True) as server:
        client = connect(server.url)
        await StoreWriter(client).append_alarms([(event(50).event, encode_alarm(event(50)))])
        server.kill()
        server.start()
        assert await numbers(StoreReader(client)) == [1]
        await client.aclose()


def test_server_ends_with_its_parent(tmp_path: Path) -> None:
    """A killed program leaves no server behind."""
    program = (
        "import sys, time, pathlib\nfrom stream.embedded.server import ValkeyServer\n"
        "server = ValkeyServer(pathlib.Path(sys.argv[1]))\nserver.start()\nprint(server.pid, flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while _runs(pid):
        assert time.monotonic() < deadline, f"server {pid} outlived its parent"
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The reason stands in the error, not in a file that nobody opens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RuntimeError, match="in use"):
            ValkeyServer(tmp_path, port=taken.getsockname()[1]).start()
