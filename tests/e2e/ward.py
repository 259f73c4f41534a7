"""A whole ward for the fault tests: real broker and cache, workers and API as processes, a listening client."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import redis

from alarms.alarm import AlarmEvent
from api.auth import issue_token
from ecg.chunk import Chunk
from ecg.synthetic import Script, SyntheticPatient
from stream.bed import Bed
from stream.embedded.server import ValkeyServer
from stream.engine import Source
from stream.feed import feed
from stream.kafka.broker import KafkaServer
from stream.kafka.topics import ensure_topics
from stream.lifetime import end_tasks
from stream.wire import decode_chunk
from wardbeat.demo import free_port
from wardbeat.feeding import beginnings, open_source, patient_chunks
from wardbeat.settings import Settings
from wardbeat.watch import AlarmStream

SECRET = "a secret of the tests, forty characters"
PARTITIONS = 4


class Listener:
    """A client of ``/ws/alarms`` that keeps all it is told, in a thread of its own."""

    def __init__(self, url: str) -> None:
        self.events: list[AlarmEvent] = []
        self.messages: list[dict[str, object]] = []
        self._stream = AlarmStream(url, issue_token(SECRET, "test", "viewer", 3600))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()), daemon=True)
        self._thread.start()

    async def _listen(self) -> None:
        task = asyncio.create_task(self._collect())
        while not self._stop.is_set() and not task.done():
            await asyncio.sleep(0.05)
        await end_tasks([task])

    async def _collect(self) -> None:
        async for message in self._stream.messages():
            if message["type"] == "alarm":
                self.events.append(msgspec.convert(message["event"], AlarmEvent))
            else:
                self.messages.append(message)
                del self.messages[:-50]

    def status(self) -> dict[str, object] | None:
        """The newest status message."""
        return next((m for m in reversed(self.messages) if m["type"] == "status"), None)

    def close(self) -> None:
        """Stop listening."""
        self._stop.set()
        self._thread.join(10)


class Recorder:
    """A source that keeps the chunks in the order in which the log gets them."""

    def __init__(self, source: Source, sent: list[Chunk]) -> None:
        self._source = source
        self._sent = sent
        self.flush, self.close = source.flush, source.close

    def send(self, bed: str, value: bytes) -> None:
        """See ``Source``."""
        self._sent.append(decode_chunk(value))
        self._source.send(bed, value)


class Ward:
    """Context manager; the parts are started by the test."""

    def __init__(self, engine: str, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self._stack = contextlib.ExitStack()
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.api_process: subprocess.Popen[bytes] | None = None
        self.sent: list[Chunk] = []
        self.static_member = False

    def __enter__(self) -> "Ward":
        self.valkey = self._stack.enter_context(ValkeyServer(self.folder / "valkey", free_port(), appendonly=True))
        bootstrap = "127.0.0.1:1"
        if self.engine == "kafka":
            self.kafka = self._stack.enter_context(KafkaServer(self.folder / "kafka"))
            bootstrap = self.kafka.bootstrap
            asyncio.run(ensure_topics(bootstrap, PARTITIONS))
        self.settings = Settings(
            _env_file=None,
            engine=self.engine,
            kafka=bootstrap,
            partitions=PARTITIONS,
            redis=self.valkey.url,
            secret=SECRET,
            port=free_port(),
            data_dir=self.folder,
        )
        self.url = f"http://127.0.0.1:{self.settings.port}"
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self.workers.values(), self.api_process]:
            if process is not None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        self._stack.close()

    def _spawn(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        settings = self.settings
        environment = os.environ | {
            "WARDBEAT_ENGINE": settings.engine,
            "WARDBEAT_KAFKA": settings.kafka,
            "WARDBEAT_PARTITIONS": str(settings.partitions),
            "WARDBEAT_REDIS": settings.redis,
            "WARDBEAT_SECRET": settings.secret,
            "WARDBEAT_PORT": str(settings.port),
            "WARDBEAT_WORKER": name,
            "WARDBEAT_STATIC_MEMBER": str(self.static_member),
            "WARDBEAT_SESSION_TIMEOUT_S": "6",
            "WARDBEAT_DATA_DIR": str(self.folder / name),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "wardbeat", *arguments], env=environment, stdout=log, stderr=log
            )

    def start_worker(self, name: str = "worker-1") -> None:
        """Start a worker."""
        self.workers[name] = self._spawn(name, "worker")

    def kill_worker(self, name: str = "worker-1", how: int = signal.SIGKILL) -> int:
        """End a worker; its exit code."""
        process = self.workers.pop(name)
        process.send_signal(how)
        return process.wait(30)

    def start_api(self) -> None:
        """Start the API and wait until it answers."""
        self.api_process = self._spawn("api", "api")
        self.wait_for(self.api_answers, 30, "the API answers")

    def stop_api(self, how: int = signal.SIGTERM) -> None:
        """End the API."""
        assert self.api_process is not None
        self.api_process.send_signal(how)
        self.api_process.wait(30)
        self.api_process = None

    def api_answers(self) -> bool:
        """The API is there."""
        try:
            with urllib.request.urlopen(f"{self.url}/live", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def worker_states(self) -> dict[str, dict[str, object]]:
        """Heartbeats by worker."""
        return self._states("workers")

    def bed_states(self) -> dict[str, dict[str, object]]:
        """What the store says of each bed."""
        return self._states("beds")

    def _states(self, key: str) -> dict[str, dict[str, object]]:
        client = redis.from_url(self.settings.redis)
        try:
            stored = client.hgetall(f"{self.settings.prefix}{key}")
        finally:
            client.close()
        return {name.decode(): msgspec.json.decode(data) for name, data in stored.items()}

    def wait_for(self, what: Callable[[], bool], seconds: float, text: str | Callable[[], str]) -> None:
        """Wait until it is so, or fail with the ends of the logs."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if what():
                return
            time.sleep(0.05)
        logs = "\n".join(f"--- {path.name}\n{path.read_text()[-1500:]}" for path in sorted(self.folder.glob("*.log")))
        raise AssertionError(f"not within {seconds} s: {text if isinstance(text, str) else text()}\n{logs}")

    def wait_for_worker(self, name: str = "worker-1") -> None:
        """Wait until the worker has said in the store that it is there."""
        began = time.time() * 1000
        self.wait_for(
            lambda: float(self.worker_states().get(name, {}).get("at", 0)) > began,  # type: ignore[arg-type]
            60,
            f"{name} is up",
        )

    @contextlib.contextmanager
    def feeding(
        self, monitors: Iterable[Iterator[Chunk]], *, through: Callable[[Source], Source] = lambda source: source
    ) -> Iterator[None]:
        """Feed in the background, ``through`` a network of the test's making; on leaving, wait until all is sent."""
        errors: list[BaseException] = []

        def work() -> None:
            source = through(Recorder(open_source(self.settings), self.sent))
            try:
                feed(monitors, source)
            except BaseException as error:
                errors.append(error)
                raise
            finally:
                source.close()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield
        thread.join(300)
        assert not thread.is_alive(), "the feeder did not end"
        assert not errors, errors

    def expected(self) -> dict[str, AlarmEvent]:
        """The alarm events that the offline core draws from the chunks that were sent, in that order, by event id."""
        beds: dict[str, Bed] = {}
        events = {}
        config = self.settings.beds(waves=False)
        for chunk in self.sent:
            for event in beds.setdefault(chunk.bed, Bed(chunk.bed, config)).push(chunk).alarms:
                events[event.event] = event
        return events

    def assert_nothing_lost(self, listener: Listener, seconds: float = 60) -> dict[str, AlarmEvent]:
        """The oracle: what the listener holds at the end equals the offline replay, id for id and field for field."""
        expected = self.expected()
        assert expected, "the stories drew no alarm: this test would prove nothing"
        self.wait_for(
            lambda: expected.keys() <= {event.event for event in listener.events},
            seconds,
            lambda: (
                f"{len(expected)} events expected, missing: "
                + ", ".join(
                    f"{event.bed} {event.kind} {event.phase} at {event.at}"
                    for event in expected.values()
                    if event.event not in {held.event for held in listener.events}
                )
                + f"; workers: {self.worker_states()}"
            ),
        )
        time.sleep(1.0)  # what was invented would come now
        held = {event.event: event for event in listener.events}
        assert held == expected
        assert len(listener.events) == len(held), "an event was delivered twice"
        return expected


STORIES = (
    "sinus(rate=72) 9s, asystole 7s, sinus(rate=76) 14s",
    "sinus(rate=75) 8s, brady(rate=36) 16s, sinus(rate=75) 12s",
    "sinus(rate=80) 10s, tachy(rate=150) 14s, sinus(rate=80) 12s",
    "sinus(rate=70) 7s, sinus(rate=70)+leads_off(V1+V2) 6s, sinus(rate=70) 9s",
    "sinus(rate=66) 11s, sinus(rate=66)+leads_off(all) 8s, sinus(rate=66) 9s",
)


def ward_of(beds: int, seconds: float) -> list[Iterator[Chunk]]:
    """Monitors of ``beds`` patients that play their stories for ``seconds``."""
    return [
        patient_chunks(
            SyntheticPatient(Script.parse(STORIES[number % len(STORIES)]), number + 1, loop=True),
            f"bed-{number + 1:02d}",
            epoch,
            seconds=seconds,
        )
        for number, epoch in enumerate(beginnings(beds))
    ]
