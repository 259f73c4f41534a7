"""``/ws/waves``: frames reach the screen unchanged, and a slow screen loses old ones instead of lagging."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from stream.embedded.server import ValkeyServer
from stream.store import StoreWriter

from .conftest import Api, eventually


async def subscribed(socket: ClientConnection, writer: StoreWriter, bed: str = "probe") -> None:
    """Return once frames of ``bed``, which no other client watches by name, reach the client."""

    async def probe() -> None:
        while await socket.recv() != b"probe":
            pass

    arrived = asyncio.create_task(probe())
    while not arrived.done():
        await writer.show(frames=[(bed, b"probe")])
        await asyncio.wait([arrived], timeout=0.05)


async def frames(socket: ClientConnection, count: int) -> list[bytes]:
    """The next ``count`` frames but for probes."""
    got: list[bytes] = []
    async with asyncio.timeout(8):
        while len(got) < count:
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            if frame != b"probe":
                got.append(frame)
    return got


async def test_frames_come_byte_for_byte_and_in_order(api: Api, writer: StoreWriter) -> None:
    """What the worker published is what the browser gets: nothing decoded or doubled, only the beds asked for."""
    sent = [(bed, bytes([k, 0, 255]) + bed.encode()) for k in range(50) for bed in ("b1", "b2", "ü 3")]
    async with api.socket("/ws/waves?beds=b1,ü 3,probe") as some:
        await subscribed(some, writer)
        await writer.show(frames=sent)
        assert await frames(some, 100) == [frame for bed, frame in sent if bed != "b2"]
    async with api.socket("/ws/waves?beds=*") as everything:
        await subscribed(everything, writer, "another")
        await writer.show(frames=sent)
        assert await frames(everything, 150) == [frame for _, frame in sent]


async def test_screens_that_come_and_go_do_not_disturb_another(api: Api, writer: StoreWriter) -> None:
    """One subscription serves all clients: others may begin and cease to watch everything."""
    total = 600

    async def publish() -> None:
        for k in range(total):
            await writer.show(frames=[("b1", k.to_bytes(2)), ("b2", b"other")])
            await asyncio.sleep(0.002)

    async with api.socket("/ws/waves?beds=b1,probe") as one:
        await subscribed(one, writer)
        publishing = asyncio.create_task(publish())
        got = asyncio.create_task(frames(one, total))
        while not publishing.done():
            async with api.socket("/ws/waves?beds=*") as everything:
                await subscribed(everything, writer, "another")
            await asyncio.sleep(0.25)
        assert await got == [k.to_bytes(2) for k in range(total)]


async def test_slow_screen_loses_frames_and_the_others_none(api: Api, writer: StoreWriter) -> None:
    """A screen that does not read costs itself the past; memory stays bounded; the other screen sees every frame."""
    frame = bytes(60_000)
    async with api.socket("/ws/waves?beds=*", max_queue=1) as slow:
        await eventually(lambda: 'wardbeat_api_clients{socket="waves"} 1.0' in api.get("/metrics").text)
        async with api.socket("/ws/waves?beds=*") as quick:
            await subscribed(quick, writer, "another")
            await writer.show(frames=[("b1", bytes([k]) + frame) for k in range(100)])
            assert [item[0] for item in await frames(quick, 100)] == list(range(100))
        await asyncio.sleep(1.2)
        await writer.show(frames=[("b1", b"now")])
        await eventually(lambda: _value(api, "wardbeat_api_wave_frames_dropped_total") > 0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while await slow.recv() != b"now":
                    pass
                return
        pytest.fail("the newest frame never came")


async def test_waves_come_back_after_the_store_did(api: Api, valkey: ValkeyServer, writer: StoreWriter) -> None:
    """A restarted store has forgotten its subscribers; the screens must not have to reload."""
    async with api.socket("/ws/waves?beds=b1") as socket:
        for restart in (True, False):
            received = asyncio.create_task(socket.recv())
            while not received.done():
                await writer.show(frames=[("b1", b"alive")])
                await asyncio.wait([received], timeout=0.05)
            assert received.result() == b"alive"
            if restart:
                valkey.kill()
                valkey.start()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        while await socket.recv():
                            pass


@pytest.mark.parametrize("query", ["", "?beds=", "?beds=,"])
async def test_no_beds_is_refused(start_api: Callable[..., Api], query: str) -> None:
    """A screen that watches nothing is a mistake, and told so."""
    async with start_api().socket(f"/ws/waves{query}") as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4400
        assert "beds" in str(socket.close_reason)


def _value(api: Api, name: str) -> float:
    return next(float(line.split()[-1]) for line in api.get("/metrics").text.splitlines() if line.startswith(name))
