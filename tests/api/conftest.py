"""A real cache, a real server on a port, and a client that checks every message against the published schema."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis.asyncio as redis
from jsonschema import Draft202012Validator
from websockets.asyncio.client import ClientConnection, connect

from alarms.alarm import AlarmEvent, Kind, Phase, Priority, State, alarm_id, event_id
from api.app import create_app
from api.asyncapi import asyncapi_document
from api.auth import issue_token
from api.config import ApiConfig
from api.serve import ApiServer, listen
from stream.embedded.server import ValkeyServer
from stream.states import BedState, WorkerState
from stream.store import StoreWriter
from stream.store_keys import connect as connect_store
from stream.wire import encode_alarm

SECRET = "a secret of thirty-two bytes or more"
DOCUMENT = asyncapi_document("test")
VALIDATORS = {
    name.lower(): Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]},
    )
    for name in DOCUMENT["channels"]["alarmSocket"]["messages"]
}


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A Valkey server of the test's own, empty, on a Unix socket; ended with the test."""
    with ValkeyServer(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
async def client(valkey: ValkeyServer) -> AsyncIterator[redis.Redis]:
    """A client of the test's own store."""
    client = connect_store(valkey.url)
    yield client
    await client.aclose()


@pytest.fixture
def writer(client: redis.Redis) -> StoreWriter:
    """The writing side, as the engines use it."""
    return StoreWriter(client)


def event(at: int, *, bed: str = "b1", kind: Kind = Kind.TACHY, phase: Phase = Phase.START) -> AlarmEvent:
    """An event as the rules would make it."""
    alarm = alarm_id(bed, 1000, kind, 0)
    state = State.INACTIVE if phase is Phase.END else State.ACTIVE
    priority = Priority.HIGH if kind is Kind.ASYSTOLE else Priority.MEDIUM
    return AlarmEvent(
        id=alarm, event=event_id(alarm, phase, at), bed=bed, epoch=1000, kind=kind, priority=priority,
        phase=phase, state=state, onset=0, at=at, text="HR 134 > 120", value=134.0, limit=120.0,
    )  # fmt: skip


def entries(first: int, last: int) -> list[tuple[int, bytes, str]]:
    """Entries ``first`` to ``last`` of a log of alarms."""
    return [(n, encode_alarm(event(n * 50)), event(n * 50).event) for n in range(first, last + 1)]


def bed_state(bed: str, **changes: Any) -> BedState:
    """A bed that was processed just now."""
    now = time.time() * 1000
    state = BedState(
        bed=bed, epoch=1000, sample=5000, hr_bpm=72.0, usable=True, quality={"II": "good"}, leads=("I", "II"),
        limits={"hr_low": 50.0, "hr_high": 120.0}, received_at=now, processed_at=now, model="beats-1", worker="w1",
    )  # fmt: skip
    return BedState(**{name: getattr(state, name) for name in state.__struct_fields__} | changes)


def worker_state(**changes: Any) -> WorkerState:
    """A worker that gave a sign of life just now."""
    fields: dict[str, Any] = {
        "worker": "w1", "engine": "embedded", "at": time.time() * 1000, "partitions": (0,), "beds": 1,
        "backlog_s": 0.0, "counters": {"chunks": 42, "alarms": 3},
    }  # fmt: skip
    return WorkerState(**fields | changes)


class Api:
    """A running server, and ways to talk to it."""

    def __init__(self, port: int, server: ApiServer) -> None:
        self.port = port
        self.server = server

    def token(self, role: str = "viewer", ttl: float = 60.0) -> str:
        """A good token."""
        return issue_token(SECRET, "tester", role, ttl)

    def get(self, path: str, *, token: str | None = "", **query: Any) -> httpx.Response:
        """GET, with a viewer's token unless told otherwise."""
        headers = {} if token is None else {"Authorization": f"Bearer {token or self.token()}"}
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", params=query, headers=headers)

    def socket(self, path: str, **options: Any) -> connect:
        """A socket, opened as a browser does."""
        token = options.pop("token", None) or self.token()
        options.setdefault("close_timeout", 0.2)  # it does not read while it closes
        options.setdefault("subprotocols", ["wardbeat", f"bearer.{token}"])
        return connect(f"ws://127.0.0.1:{self.port}{path}", **options)


@pytest.fixture
def start_api(valkey: ValkeyServer) -> Iterator[Callable[..., Api]]:
    """Starts servers on free ports, each in a thread with a loop of its own; ends them with the test."""
    running: list[tuple[ApiServer, threading.Thread]] = []

    def start(**changes: Any) -> Api:
        config = replace(ApiConfig(redis_url=valkey.url, secret=SECRET, heartbeat_s=0.3), **changes)
        server = ApiServer(create_app(config))
        listening = listen("127.0.0.1", 0)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        running.append((server, thread))
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.005)
        return Api(listening.getsockname()[1], server)

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop"


@pytest.fixture
def api(start_api: Callable[..., Api]) -> Api:
    """One server with the usual settings."""
    return start_api()


async def message(socket: ClientConnection, kind: str | None = None, timeout: float = 8.0) -> dict[str, Any]:
    """The next message, or the next of ``kind``; each on the way is checked against the published schema."""
    async with asyncio.timeout(timeout):
        while True:
            content: dict[str, Any] = json.loads(await socket.recv())
            VALIDATORS[content["type"]].validate(content)
            if kind in (None, content["type"]):
                return content


async def alarm_numbers(socket: ClientConnection, count: int, timeout: float = 15.0) -> list[int]:
    """Numbers of the next ``count`` alarms, in the order in which they came."""
    numbers: list[int] = []
    async with asyncio.timeout(timeout):
        while len(numbers) < count:
            content = json.loads(await socket.recv())
            if content["type"] == "alarm":
                numbers.append(int(content["id"].removesuffix("-0")))
    return numbers


async def no_more_alarms(socket: ClientConnection, seconds: float = 0.4) -> None:
    """Fail if another alarm comes."""
    with contextlib.suppress(TimeoutError):
        extra = await message(socket, "alarm", seconds)
        pytest.fail(f"unexpected {extra}")


async def eventually(check: Callable[[], Any], timeout: float = 8.0) -> Any:
    """What ``check`` returns once that is true."""
    deadline = time.monotonic() + timeout
    while not (result := check()):
        assert time.monotonic() < deadline, f"did not come true within {timeout} s"
        await asyncio.sleep(0.02)
    return result
