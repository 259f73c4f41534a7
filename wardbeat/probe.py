"""Measures a running ward from outside: what was sent, what came out, how long it took, what was lost."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterable
from typing import cast

import msgspec
import numpy as np
import redis

from ecg.chunk import Chunk
from models.finding import Finding
from stream.bed import Bed, BedConfig
from stream.lifetime import run_until_first
from stream.states import WorkerState
from stream.store_keys import StoreKeys
from wardbeat.settings import Settings
from wardbeat.watch import AlarmStream


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds."""

    p50: float
    p99: float
    worst: float
    n: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a measured run gave.

    Attributes:
        lost: chunks sent and not processed, alarm events that the offline core draws from the same chunks and the
            WebSocket did not deliver, and delivered ones that it does not draw, all added up.
        sample_to_alarm_ms: from sending the chunk whose samples decided the alarm to its arrival on the WebSocket.
        chunk_to_finding_ms: from sending the chunk that completed the window to the finding's arrival from the log.
    """

    engine: str
    beds: int
    seconds: float
    chunks_sent: int
    chunks_processed: int
    findings: int
    alarms_expected: int
    alarms_delivered: int
    lost: int
    sample_to_alarm_ms: Latency | None
    chunk_to_finding_ms: Latency | None


class Probe:
    """Listens to the alarms over the WebSocket and to the findings in the log while the ward runs."""

    def __init__(self, settings: Settings, url: str, token: str) -> None:
        self._settings = settings
        self._url = url
        self._token = token
        self._redis = redis.from_url(settings.redis)
        self._events: dict[str, float] = {}
        self._alarm_ms: list[float] = []
        self._finding_ms: list[float] = []
        self._processed = 0
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def worker_is_up(self) -> bool:
        """A worker has said in the store that it is there."""
        return bool(self._workers())

    def _workers(self) -> list[WorkerState]:
        with contextlib.suppress(redis.RedisError):  # it may be starting
            stored = cast("dict[bytes, bytes]", self._redis.hgetall(StoreKeys(self._settings.prefix).workers))
            return [msgspec.json.decode(data, type=WorkerState) for data in stored.values()]
        return []

    def __enter__(self) -> "Probe":
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        if not self._ready.wait(20):
            raise OSError(f"no WebSocket at {self._url} within 20 s: {self._error}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(10)

    def drain(self, chunks: int, seconds: float) -> None:
        """Wait until the workers have processed ``chunks`` and what came of them has had a second to arrive."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._processed = sum(worker.counters.get("chunks", 0) for worker in self._workers())
            if self._processed >= chunks:
                break
            time.sleep(0.1)
        time.sleep(1.0)

    def report(self, beds: int, seconds: float, sent: list[Chunk], config: BedConfig) -> Report:
        """Compare what was delivered with what the offline core draws from the same chunks."""
        expected = expected_events(sent, config)
        lost_chunks = max(0, len(sent) - self._processed)
        return Report(
            engine=self._settings.engine,
            beds=beds,
            seconds=seconds,
            chunks_sent=len(sent),
            chunks_processed=self._processed,
            findings=len(self._finding_ms),
            alarms_expected=len(expected),
            alarms_delivered=len(self._events),
            lost=lost_chunks + len(expected ^ self._events.keys()),
            sample_to_alarm_ms=_latency(self._alarm_ms),
            chunk_to_finding_ms=_latency(self._finding_ms),
        )

    def _listen(self) -> None:
        try:
            asyncio.run(self._follow())
        except Exception as error:
            self._error = error
            raise

    async def _follow(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        await run_until_first(self._stop.wait(), self._alarms(), self._findings())

    async def _alarms(self) -> None:
        stream = AlarmStream(self._url, self._token)
        async for message in stream.messages():
            now = time.time() * 1000
            self._ready.set()
            if message["type"] == "alarm":
                self._events[message["event"]["event"]] = now
                self._alarm_ms.append(now - message["event"]["sent_at"])

    async def _findings(self) -> None:
        async for finding in _follow_findings(self._settings):
            self._finding_ms.append(time.time() * 1000 - finding.sent_at)


def expected_events(sent: Iterable[Chunk], config: BedConfig) -> set[str]:
    """Ids of the alarm events that the core draws from these chunks, in this order."""
    beds: dict[str, Bed] = {}
    events = set()
    for chunk in sent:
        bed = beds.setdefault(chunk.bed, Bed(chunk.bed, config))
        events |= {event.event for event in bed.push(chunk).alarms}
    return events


def _follow_findings(settings: Settings) -> AsyncIterator[Finding]:
    if settings.engine == "kafka":
        from stream.kafka.findings import follow_findings

        return follow_findings(settings.kafka)
    from stream.embedded.findings import follow_findings as follow_embedded

    return follow_embedded(settings.redis, settings.prefix)


def _latency(milliseconds: list[float]) -> Latency | None:
    if not milliseconds:
        return None
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return Latency(round(float(p50), 1), round(float(p99), 1), round(max(milliseconds), 1), len(milliseconds))
