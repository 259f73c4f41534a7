"""``/ws/alarms`` on a real server and a real store: every alarm exactly once and in order, whatever breaks."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable

import pytest
import redis.asyncio as redis
from websockets.exceptions import ConnectionClosed

from alarms.alarm import AlarmEvent
from api.outbox import CLOSE_RESTART, CLOSE_TOO_SLOW
from stream.embedded.server import ValkeyServer
from stream.store import StoreWriter
from stream.wire import decode_alarm, encode_alarm

from .conftest import (
    Api,
    alarm_numbers,
    bed_state,
    entries,
    event,
    eventually,
    message,
    no_more_alarms,
    worker_state,
)


async def test_hello_then_only_new_alarms(api: Api, writer: StoreWriter) -> None:
    """Without ``since`` a client gets what is new, byte for byte the event of the log, and learns where it began."""
    await writer.project_alarms(entries(1, 3), 0)
    await eventually(lambda: api.get("/alarms/active").json()["alarms"])
    async with api.socket("/ws/alarms") as socket:
        assert socket.subprotocol == "wardbeat"
        hello = await message(socket)
        assert (hello["type"], hello["since"], hello["top"], hello["truncated"]) == ("hello", "3-0", "3-0", False)
        await writer.project_alarms(entries(4, 4), 3)
        alarm = await message(socket, "alarm")
        assert alarm["id"] == "4-0"
        assert decode_alarm(json.dumps(alarm["event"]).encode()) == event(200)


async def test_since_zero_is_everything_kept(api: Api, writer: StoreWriter) -> None:
    """A console that opens afresh gets all that is kept."""
    await writer.project_alarms(entries(1, 700), 0)
    async with api.socket("/ws/alarms?since=0") as socket:
        assert await alarm_numbers(socket, 700) == list(range(1, 701))


async def test_resume_is_exact_while_alarms_are_written(start_api: Callable[..., Api], writer: StoreWriter) -> None:
    """Across the switch from history to live, with a writer that never pauses: each alarm once and in order."""
    api = start_api()
    total = 3000

    async def write() -> None:
        for first in range(1, total, 10):
            await writer.project_alarms(entries(first, first + 9), first - 1)

    async def follow(since: int) -> list[int]:
        await asyncio.sleep(since / 10_000)
        async with api.socket(f"/ws/alarms?since={since}-0") as socket:
            return await alarm_numbers(socket, total - since)

    writing = asyncio.create_task(write())
    starts = (0, 1, 50, 333, 1000, 1001, 2500)
    results = await asyncio.gather(*(follow(since) for since in starts))
    await writing
    for since, got in zip(starts, results, strict=True):
        assert got == list(range(since + 1, total + 1)), f"since={since}"


async def test_broken_connections_resume_where_they_broke(api: Api, writer: StoreWriter) -> None:
    """A client that is cut again and again, and names the last entry it saw, misses nothing and gets nothing twice."""
    await writer.project_alarms(entries(1, 500), 0)
    seen: list[int] = []
    while len(seen) < 900:
        last = seen[-1] if seen else 0
        async with api.socket(f"/ws/alarms?since={last}-0") as socket:
            seen += await alarm_numbers(socket, min(90, 900 - len(seen)))
        if len(seen) == 270:
            await writer.project_alarms(entries(501, 900), 500)
    assert seen == list(range(1, 901))


async def test_emptied_store_is_filled_again_behind_the_clients(
    api: Api, client: redis.Redis, writer: StoreWriter
) -> None:
    """After FLUSHALL and projecting the log again, connected and returning clients get exactly the rest."""
    await writer.project_alarms(entries(1, 40), 0)
    async with api.socket("/ws/alarms?since=0") as early:
        assert await alarm_numbers(early, 40) == list(range(1, 41))
        await client.flushall()
        async with api.socket("/ws/alarms?since=35-0") as returning:
            hello = await message(returning)
            assert (hello["since"], hello["top"]) == ("35-0", "0-0")
            assert await writer.project_alarms(entries(41, 41), 40) == (["behind"], 0)
            await writer.project_alarms(entries(1, 20), 0)
            await asyncio.sleep(0.3)
            await writer.project_alarms(entries(21, 45), 20)
            assert await alarm_numbers(returning, 10) == list(range(36, 46))
            await no_more_alarms(returning)
        assert await alarm_numbers(early, 5) == list(range(41, 46))
        await no_more_alarms(early)


async def test_server_that_starts_on_an_emptied_store_waits_for_old_positions(
    start_api: Callable[..., Api], writer: StoreWriter
) -> None:
    """``since`` beyond the top is no error: the client waits until the store is filled again, then gets the rest."""
    api = start_api()
    async with api.socket("/ws/alarms?since=30-0") as socket:
        hello = await message(socket)
        assert (hello["since"], hello["top"]) == ("30-0", "0-0")
        await writer.project_alarms(entries(1, 25), 0)
        await no_more_alarms(socket)
        await writer.project_alarms(entries(26, 33), 25)
        assert await alarm_numbers(socket, 3) == [31, 32, 33]


async def test_log_that_began_anew_ends_the_connections(api: Api, client: redis.Redis, writer: StoreWriter) -> None:
    """Where the log itself was lost, its numbers begin again: nobody may wait for 51 while 1 is an alarm."""

    def pair(item: AlarmEvent) -> tuple[str, bytes]:
        return item.event, encode_alarm(item)

    await writer.append_alarms(pair(event(n * 50)) for n in range(1, 51))
    async with api.socket("/ws/alarms?since=0") as socket:
        log = (await message(socket, "hello"))["log"]
        assert len(await alarm_numbers(socket, 50)) == 50
        await client.flushall()
        await writer.append_alarms([pair(event(9000))])
        bye = await message(socket, "bye")
        assert "anew" in bye["reason"]
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == CLOSE_RESTART
    async with api.socket(f"/ws/alarms?since=50-0&log={log}") as socket:
        hello = await message(socket, "hello")
        assert hello["since"] == "0-0"
        assert hello["log"] != log
        assert await alarm_numbers(socket, 1) == [1]


async def test_trimmed_history_is_told(api: Api, client: redis.Redis) -> None:
    """A client that was away for too long learns that entries are missing for good."""
    writer = StoreWriter(client, kept_alarms=100)
    await writer.project_alarms(entries(1, 1000), 0)
    async with api.socket("/ws/alarms?since=5-0") as socket:
        assert (await message(socket, "hello"))["truncated"]
    async with api.socket("/ws/alarms?since=990-0") as socket:
        assert not (await message(socket, "hello"))["truncated"]


async def test_slow_reader_is_cut_and_loses_nothing(start_api: Callable[..., Api], writer: StoreWriter) -> None:
    """A client that stops reading is told to go and closed with 4408, and by resuming gets all that it missed."""
    api = start_api(queued_alarms=50, send_timeout_s=0.5)
    total = 9000
    async with api.socket("/ws/alarms?since=0", max_queue=1, close_timeout=1) as socket:
        await message(socket, "hello")
        assert await alarm_numbers(socket, 0) == []
        for first in range(1, total, 500):
            await writer.project_alarms(entries(first, first + 499), first - 1)
        await eventually(lambda: "wardbeat_api_slow_clients_total 1.0" in api.get("/metrics").text)
        seen: list[int] = []
        said_bye = False
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(10):
                while True:
                    content = json.loads(await socket.recv())
                    if content["type"] == "alarm":
                        seen.append(int(content["id"].removesuffix("-0")))
                    said_bye = said_bye or content["type"] == "bye"
        assert said_bye
        assert socket.close_code == CLOSE_TOO_SLOW
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) < total
    async with api.socket(f"/ws/alarms?since={seen[-1]}-0") as socket:
        assert await alarm_numbers(socket, total - len(seen)) == list(range(len(seen) + 1, total + 1))


async def test_other_clients_do_not_wait_for_a_slow_one(start_api: Callable[..., Api], writer: StoreWriter) -> None:
    """One stuck console holds up nobody else's alarms."""
    api = start_api(queued_alarms=5000, send_timeout_s=30)
    async with (
        api.socket("/ws/alarms?since=0", max_queue=1, close_timeout=0.1) as stuck,
        api.socket("/ws/alarms?since=0") as quick,
    ):
        for first in range(1, 3001, 500):
            await writer.project_alarms(entries(first, first + 499), first - 1)
        assert await alarm_numbers(quick, 3000) == list(range(1, 3001))
        stuck.transport.abort()


async def test_heartbeats_and_status_come_without_any_alarm(api: Api, writer: StoreWriter) -> None:
    """Silence is never the sign of a quiet ward: heartbeats and a status each second say that the line lives."""
    await writer.show(states=[bed_state("b1"), bed_state("b2", received_at=0.0)], worker=worker_state())
    async with api.socket("/ws/alarms?since=7-0") as socket:
        beats = [await message(socket, "heartbeat") for _ in range(3)]
        assert beats[0]["last_id"] == "7-0"
        assert beats[2]["server_time"] > beats[1]["server_time"]
        status = await message(socket, "status")
        assert status["service"]["workers"] == 1
        first, second = status["beds"]
        assert (first["bed"], first["connection"], first["hr_bpm"], first["inops"]) == ("b1", "live", 72.0, [])
        assert second["connection"] != "live"
        assert second["inops"][0]["text"]


async def test_dead_worker_shows_on_every_bed(api: Api, writer: StoreWriter) -> None:
    """Without a heartbeat of its worker no bed is shown as live."""
    old = time.time() * 1000 - 6000
    await writer.show(states=[bed_state("b1"), bed_state("b2")], worker=worker_state(at=old))
    async with api.socket("/ws/alarms") as socket:
        while not (status := await message(socket, "status"))["beds"]:
            pass
        assert [bed["connection"] for bed in status["beds"]] == ["unserved", "unserved"]
        assert not status["service"]["ready"]
        assert "worker" in status["service"]["reason"]


async def test_dead_store_shows_within_seconds_and_recovers(
    api: Api, valkey: ValkeyServer, writer: StoreWriter
) -> None:
    """A store that is killed and comes back empty: told down, told up, and no alarm lost that the log holds."""
    await writer.project_alarms(entries(1, 5), 0)
    async with api.socket("/ws/alarms?since=0") as socket:
        assert len(await alarm_numbers(socket, 5)) == 5
        valkey.kill()
        while (await message(socket, "status"))["service"]["cache"] == "up":
            pass
        assert api.get("/beds/b1").status_code == 503
        assert "store" in api.get("/ready", token=None).json()["reason"]
        assert api.get("/live", token=None).status_code == 200
        async with api.socket("/ws/alarms?since=5-0") as newcomer:
            hello = await message(newcomer)
            assert (hello["since"], hello["top"]) == ("5-0", None)
        valkey.start()
        while (await message(socket, "status"))["service"]["cache"] == "down":
            pass
        await writer.project_alarms(entries(1, 8), 0)
        assert await alarm_numbers(socket, 3) == [6, 7, 8]


async def test_hanging_store_does_not_stop_the_status(api: Api, client: redis.Redis, writer: StoreWriter) -> None:
    """A store that accepts and never answers is told as down, and the line to the console stays alive."""
    await writer.project_alarms(entries(1, 1), 0)
    async with api.socket("/ws/alarms?since=0") as socket:
        await alarm_numbers(socket, 1)
        await client.client_pause(3000)
        await writer_is_refused(client)
        while (status := await message(socket, "status", 3.0))["service"]["cache"] == "up":
            pass
        assert status["server_time"]
        while (await message(socket, "status"))["service"]["cache"] == "down":
            pass


async def writer_is_refused(client: redis.Redis) -> None:
    """The pause holds: an ordinary command is not answered at once."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.ping()
            pytest.fail("the store still answers")


async def test_stopping_server_says_bye(start_api: Callable[..., Api], writer: StoreWriter) -> None:
    """An orderly stop tells each client why and where it stood, with the code for 'come back'."""
    api = start_api()
    await writer.project_alarms(entries(1, 2), 0)
    async with api.socket("/ws/alarms?since=0") as socket:
        await alarm_numbers(socket, 2)
        api.server.should_exit = True
        bye = await message(socket, "bye")
        assert (bye["last_id"], bye["reason"]) == ("2-0", "the server is going down")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == CLOSE_RESTART


@pytest.mark.parametrize("since", ["abc", "-1", "5-1", "٣", "1e3", "9" * 30])
async def test_bad_since_is_refused_with_the_value(api: Api, since: str) -> None:
    """A typo must not silently mean 'everything' or 'nothing'."""
    async with api.socket(f"/ws/alarms?since={since}") as socket:
        bye = await message(socket, "bye")
        assert since[:30] in bye["reason"]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4400


async def test_message_from_the_client_is_refused(api: Api) -> None:
    """A command sent to a socket that takes none must not seem done."""
    async with api.socket("/ws/alarms") as socket:
        await socket.send("acknowledge 5")
        bye = await message(socket, "bye")
        assert "acknowledge 5" in bye["reason"]


async def test_event_of_a_newer_version_reaches_the_screen(api: Api, writer: StoreWriter) -> None:
    """While workers are updated first, an alarm of a kind that this server does not know is passed on, not dropped."""
    await writer.project_alarms(
        [(1, b'{"event":"x.start.5","kind":"vt","bed":"b1"}', "x.start.5"), (2, b"\xff broken", "broken")], 0
    )
    await writer.project_alarms(entries(3, 3), 2)
    async with api.socket("/ws/alarms?since=0") as socket:
        kinds = []
        while len(kinds) < 2:
            content = json.loads(await socket.recv())
            if content["type"] == "alarm":
                kinds.append(content["event"]["kind"])
        assert kinds == ["vt", "tachy"]
