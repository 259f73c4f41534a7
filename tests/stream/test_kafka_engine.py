"""The Kafka engine on a real Kafka: what comes out is what the chunks say, whoever ends when."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from alarms.alarm import AlarmEvent
from ecg.chunk import Chunk
from ecg.synthetic import Script, SyntheticPatient
from stream.bed import Bed, BedConfig
from stream.embedded.server import ValkeyServer
from stream.kafka.broker import KafkaServer
from stream.kafka.config import KafkaConfig
from stream.kafka.engine import KafkaEngine
from stream.kafka.feeder import KafkaFeeder
from stream.kafka.findings import follow_findings
from stream.kafka.offsets import Offsets
from stream.kafka.topics import ensure_topics
from stream.store_keys import connect
from stream.wire import ALARMS, DEADLETTERS, decode_alarm, encode_chunk

pytest_plugins = ["tests.kafka_broker"]

ROOT = Path(__file__).parents[2]
BEDS = BedConfig(waves=False)
PARTITIONS = 2
WITHIN_S = 60  # a worker starts in 2 s on an idle machine
STORIES = ("sinus(rate=80) 8s, asystole 7s, sinus(rate=70) 15s", "sinus(rate=75) 14s, brady(rate=36) 16s")


@pytest.fixture(scope="module")
def chunks() -> list[Chunk]:
    """Four beds' chunks in turns, 30 s of each."""
    beds = [
        SyntheticPatient(Script.parse(STORIES[number % 2]), number)
        .recording()
        .chunks(f"bed-{number}", epoch=1_000_000, seconds=0.2, uv_per_bit=5.0)
        for number in range(4)
    ]
    return [chunk for turn in zip(*beds, strict=True) for chunk in turn]


def expected(chunks: list[Chunk]) -> dict[str, list[AlarmEvent]]:
    """What the beds say when nothing goes wrong, by bed."""
    beds: dict[str, Bed] = {}
    events: dict[str, list[AlarmEvent]] = {}
    for chunk in chunks:
        events.setdefault(chunk.bed, []).extend(beds.setdefault(chunk.bed, Bed(chunk.bed, BEDS)).push(chunk).alarms)
    return events


def send(server: KafkaServer, chunks: list[Chunk]) -> None:
    """Put the chunks into the log."""
    feeder = KafkaFeeder(server.bootstrap)
    for chunk in chunks:
        feeder.send(chunk.bed, encode_chunk(chunk))
    feeder.close()


def config(kafka: KafkaServer, valkey: ValkeyServer, folder: Path, worker: str = "w1") -> KafkaConfig:
    """A worker in a group of its own test."""
    return KafkaConfig(
        bootstrap=kafka.bootstrap, redis=valkey.url, worker=worker, partitions=PARTITIONS, group=folder.name,
        data_dir=folder / worker,
    )  # fmt: skip


class Reader:
    """Reads partition 0 of a topic as it grows."""

    def __init__(self, server: KafkaServer, topic: str) -> None:
        self._server = server
        self._part = TopicPartition(topic, 0)
        self.values: list[bytes] = []

    async def until(self, count: int) -> list[bytes]:
        """All values, once there are ``count``; fails if there are not within ``WITHIN_S``."""
        self.values = []
        async with AIOKafkaConsumer(bootstrap_servers=self._server.bootstrap, auto_offset_reset="earliest") as consumer:
            consumer.assign([self._part])
            async with asyncio.timeout(WITHIN_S):
                while len(self.values) < count:
                    found = await consumer.getmany(self._part, timeout_ms=100)
                    self.values += [record.value for record in found.get(self._part, ())]
        return self.values

    async def end(self) -> int:
        """How many values there are."""
        async with AIOKafkaConsumer(bootstrap_servers=self._server.bootstrap) as consumer:
            return int((await consumer.end_offsets([self._part]))[self._part])

    async def distinct(self, count: int) -> dict[str, list[AlarmEvent]]:
        """Alarm events by bed as first seen, once there are ``count`` different ones."""
        wanted = count
        while True:
            events = {event.event: event for event in map(decode_alarm, await self.until(wanted))}
            if len(events) >= count:
                by_bed: dict[str, list[AlarmEvent]] = {}
                for event in events.values():
                    by_bed.setdefault(event.bed, []).append(event)
                return by_bed
            wanted += 1


@contextlib.asynccontextmanager
async def working(settings: KafkaConfig) -> AsyncIterator[KafkaEngine]:
    """An engine at work in this process, handed over in good order at the end."""
    engine = KafkaEngine(settings, BEDS)
    task = asyncio.create_task(engine.run())
    try:
        yield engine
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.contextmanager
def worker_process(settings: KafkaConfig) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker as a process of its own, killed at the end."""
    code = (
        "import sys; from pathlib import PosixPath; from stream.bed import BedConfig\n"
        "from stream.kafka.config import KafkaConfig; from stream.kafka.engine import run_kafka_worker\n"
        f"sys.exit(run_kafka_worker({settings!r}, BedConfig(waves=False)))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def test_round_trip(kafka: KafkaServer, valkey: ValkeyServer, chunks: list[Chunk], tmp_path: Path) -> None:
    """Chunks in, the same alarms out as offline; what cannot be read is set aside; an orderly end finishes it all."""
    await ensure_topics(kafka.bootstrap, PARTITIONS)
    settings = config(kafka, valkey, tmp_path)
    wanted = expected(chunks)
    count = sum(map(len, wanted.values()))
    assert count >= 4
    async with working(settings):
        findings = follow_findings(kafka.bootstrap)
        first = asyncio.ensure_future(anext(findings))
        await asyncio.sleep(0.5)
        half = len(chunks) // 2
        await asyncio.to_thread(send, kafka, chunks[:half])
        feeder = KafkaFeeder(kafka.bootstrap)
        feeder.send("bed-0", b"\xc1 no chunk")
        feeder.close()
        await asyncio.to_thread(send, kafka, chunks[half:])
        assert await Reader(kafka, ALARMS).distinct(count) == wanted
        assert b"no chunk" in (await Reader(kafka, DEADLETTERS).until(1))[0]
        assert (await asyncio.wait_for(first, WITHIN_S)).bed in wanted
        await findings.aclose()
        async with asyncio.timeout(WITHIN_S):
            while await valkey_entries(valkey) < count:
                await asyncio.sleep(0.05)
    offsets = Offsets(kafka.bootstrap, settings.group, "test")
    starts, ends = await offsets.starts(range(PARTITIONS)), await offsets.ends(range(PARTITIONS))
    await offsets.close()
    # Windows of 10 s at four beds: the last 200 chunks, less what a partition without beds leaves to the other.
    assert all(0 <= ends[number] - starts[number] <= 250 for number in range(PARTITIONS))
    assert sum(starts.values()) > len(chunks) // 2


async def valkey_entries(valkey: ValkeyServer) -> int:
    """Alarm events that the store holds."""
    client = connect(valkey.url)
    try:
        return int(await client.xlen("wardbeat:alarms"))
    finally:
        await client.aclose()


async def test_handed_from_worker_to_worker(
    kafka: KafkaServer, valkey: ValkeyServer, chunks: list[Chunk], tmp_path: Path
) -> None:
    """One worker ends in good order and another goes on: no event is missing, and none comes twice."""
    await ensure_topics(kafka.bootstrap, PARTITIONS)
    wanted = expected(chunks)
    half = [chunk for chunk in chunks if chunk.seq < 75]
    first = expected(half)
    async with working(config(kafka, valkey, tmp_path, "w1")):
        await asyncio.to_thread(send, kafka, half)
        await Reader(kafka, ALARMS).distinct(sum(map(len, first.values())))
    async with working(config(kafka, valkey, tmp_path, "w2")):
        await asyncio.to_thread(send, kafka, [chunk for chunk in chunks if chunk.seq >= 75])
        count = sum(map(len, wanted.values()))
        assert await Reader(kafka, ALARMS).distinct(count) == wanted
    assert await Reader(kafka, ALARMS).end() == count


async def test_killed_in_the_middle(
    kafka: KafkaServer, valkey: ValkeyServer, chunks: list[Chunk], tmp_path: Path
) -> None:
    """kill -9 while alarms are being drawn: the next worker brings every event, with the ids of the first."""
    await ensure_topics(kafka.bootstrap, PARTITIONS)
    wanted = expected(chunks)
    count = sum(map(len, wanted.values()))
    with worker_process(config(kafka, valkey, tmp_path, "w1")) as process:
        await asyncio.to_thread(send, kafka, chunks[: len(chunks) * 2 // 3])
        await Reader(kafka, ALARMS).until(1)
        os.kill(process.pid, signal.SIGKILL)
    with worker_process(config(kafka, valkey, tmp_path, "w2")) as process:
        await asyncio.to_thread(send, kafka, chunks[len(chunks) * 2 // 3 :])
        assert await Reader(kafka, ALARMS).distinct(count) == wanted
        process.send_signal(signal.SIGTERM)
        until = time.monotonic() + WITHIN_S
        while process.poll() is None and time.monotonic() < until:
            await asyncio.sleep(0.05)
        assert process.returncode == 0
