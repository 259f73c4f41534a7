"""Topics, feeder and log on a real Kafka: where beds go, what is refused, and what survives in which order."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.partitioner import murmur2
from kafka.partitioner.default import DefaultPartitioner

from alarms.alarm import AlarmEvent, Kind, Phase, Priority, State, alarm_id, event_id
from stream.engine import Batch
from stream.kafka.broker import KafkaServer
from stream.kafka.feeder import KafkaFeeder
from stream.kafka.log import KafkaLog
from stream.kafka.topics import TopicsError, ensure_topics
from stream.wire import ALARMS, CHECKPOINTS, CHUNKS, COMMANDS, DEADLETTERS, DeadLetter, decode_alarm

pytest_plugins = ["tests.kafka_broker"]


def alarm(at: int) -> AlarmEvent:
    """An event as the rules would make it."""
    name = alarm_id("b1", 1000, Kind.TACHY, 0)
    return AlarmEvent(
        id=name, event=event_id(name, Phase.START, at), bed="b1", epoch=1000, kind=Kind.TACHY,
        priority=Priority.MEDIUM, phase=Phase.START, state=State.ACTIVE, onset=0, at=at, text="HR 134 > 120",
    )  # fmt: skip


def checkpoint(bed: str, position: int) -> bytes:
    """A checkpoint with nothing in it but its place."""
    return msgspec.msgpack.encode({"bed": bed, "position": position})


async def read_all(server: KafkaServer, topic: str, partition: int = 0) -> list[bytes]:
    """Every value of a partition, in order."""
    part = TopicPartition(topic, partition)
    values: list[bytes] = []
    async with AIOKafkaConsumer(bootstrap_servers=server.bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([part])
        end = (await consumer.end_offsets([part]))[part]
        while await consumer.position(part) < end:
            values += [record.value for record in (await consumer.getmany(part, timeout_ms=100)).get(part, ())]
    return values


@pytest.fixture
async def log(kafka: KafkaServer) -> AsyncIterator[KafkaLog]:
    """The log of a worker on fresh topics."""
    await ensure_topics(kafka.bootstrap, 2)
    log = KafkaLog(kafka.bootstrap, "w1")
    await log.start()
    yield log
    await log.stop()


async def test_topics_fit_together(kafka: KafkaServer) -> None:
    """One worker owns all of a bed only if chunks, commands and checkpoints are parted alike; alarms have one order."""
    made = await ensure_topics(kafka.bootstrap, 3)
    again = await ensure_topics(kafka.bootstrap, 3)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    counts = {found["topic"]: len(found["partitions"]) for found in await admin.describe_topics(made)}
    await admin.close()
    assert counts[CHUNKS] == counts[COMMANDS] == counts[CHECKPOINTS] == 3
    assert counts[ALARMS] == counts[DEADLETTERS] == 1
    assert len(made) == 6
    assert again == []


async def test_broker_stamps_the_chunks(kafka: KafkaServer) -> None:
    """Ages of chunks are told by the broker's clock, whatever the monitor claims."""
    await ensure_topics(kafka.bootstrap, 1)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, CHUNKS)])
    await admin.close()
    settings = {entry[0]: entry[1] for answer in answers for entry in answer.resources[0][4]}
    assert settings["message.timestamp.type"] == "LogAppendTime"


async def test_other_partition_count_is_refused(kafka: KafkaServer) -> None:
    """Faust would crash on such topics, or half a ward would go to nobody: refused by name before anything runs."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(CHUNKS, 5, 1)])
    await admin.close()
    with pytest.raises(TopicsError, match=r"ecg\.chunks: expected 3 partitions, got 5"):
        await ensure_topics(kafka.bootstrap, 3)


async def test_impossible_replication_is_told(kafka: KafkaServer) -> None:
    """Asking one node for three copies fails with the broker's own reason."""
    with pytest.raises(TopicsError, match=r"InvalidReplicationFactorError: .*replication factor"):
        await ensure_topics(kafka.bootstrap, 1, replication=3)


def test_partition_of_a_bed() -> None:
    """Java's test values: a monitor in any language puts a bed where our own feeder and the commands put it."""
    known = {"21": -973932308, "foobar": -790332482, "a-little-bit-longer-string": -1486304829, "abc": 479470107}
    for key, java in known.items():
        assert murmur2(key.encode()) == java & 0xFFFFFFFF
        parts = _Cluster(range(7))
        ours = DefaultPartitioner().partition(CHUNKS, key, key.encode(), None, b"", parts)
        assert ours == (java & 0x7FFFFFFF) % 7


class _Cluster:
    """A topic of some partitions, as the partitioner asks for it."""

    def __init__(self, partitions: range) -> None:
        self._partitions = set(partitions)

    def topics(self) -> set[str]:
        return {CHUNKS}

    def partitions_for_topic(self, _: str) -> set[int]:
        return self._partitions

    def available_partitions_for_topic(self, _: str) -> set[int]:
        return self._partitions


def test_feeder_keeps_the_order_of_a_bed(kafka: KafkaServer) -> None:
    """All chunks of a bed stand in one partition in the order they were sent, and every one is accounted for."""
    asyncio.run(ensure_topics(kafka.bootstrap, 4))
    delivered: list[int] = []
    feeder = KafkaFeeder(kafka.bootstrap, delivered.append)
    for number in range(200):
        feeder.send(f"bed-{number % 10}", b"%d:%d" % (number % 10, number))
    feeder.flush()
    feeder.close()
    assert (feeder.sent, feeder.confirmed, feeder.failed, sum(delivered)) == (200, 200, 0, 200)
    places: dict[bytes, set[int]] = {}
    for partition in range(4):
        values = [value.split(b":") for value in asyncio.run(read_all(kafka, CHUNKS, partition))]
        for bed in {bed for bed, _ in values}:
            places.setdefault(bed, set()).add(partition)
            numbers = [int(number) for name, number in values if name == bed]
            assert numbers == sorted(numbers)
            assert len(numbers) == 20
    assert all(len(partitions) == 1 for partitions in places.values())
    assert len(places) == 10


async def test_published_is_kept_in_order(kafka: KafkaServer, log: KafkaLog) -> None:
    """Once publish returns, alarms stand in the log in order, and so does a dead letter of the largest chunk."""
    letter = DeadLetter(topic=CHUNKS, partition=0, position=1, reason="no map", value=bytes(1_048_000))
    await log.publish(0, Batch(alarms=[alarm(at) for at in range(50)], deadletters=[letter]))
    assert [decode_alarm(value).at for value in await read_all(kafka, ALARMS)] == list(range(50))
    assert len(await read_all(kafka, DEADLETTERS)) == 1


async def test_newest_checkpoint_is_by_position(kafka: KafkaServer, log: KafkaLog) -> None:
    """A worker that lost its partition and writes once more must not turn the next owner's clock back."""
    await log.save_checkpoints(1, {"b1": checkpoint("b1", 10), "b2": checkpoint("b2", 11)})
    await log.save_checkpoints(1, {"b1": checkpoint("b1", 30)})
    await log.save_checkpoints(1, {"b1": checkpoint("b1", 20)})
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        await producer.send_and_wait(CHECKPOINTS, b"\xc1 no checkpoint", key=b"b2", partition=1)
    assert await log.load_checkpoints(1) == {"b1": checkpoint("b1", 30), "b2": checkpoint("b2", 11)}
    assert await log.load_checkpoints(0) == {}


async def test_acknowledged_in_order(log: KafkaLog) -> None:
    """Faust commits across a hole: what is below the position is acknowledged, in order, and nothing above it."""
    acknowledged: list[int] = []
    for offset in (5, 6, 7, 9):
        log.taken(0, offset, lambda offset=offset: acknowledged.append(offset))
    log.taken(1, 3, lambda: acknowledged.append(-3))
    await log.commit(0, 7)
    assert acknowledged == [5, 6]
    await log.commit(0, 8)
    assert acknowledged == [5, 6, 7]
    log.forget(0)
    await log.commit(0, 10)
    assert acknowledged == [5, 6, 7]


async def test_publish_outlasts_a_frozen_broker(kafka: KafkaServer, log: KafkaLog) -> None:
    """While the broker does not answer, nothing counts as kept; once it is back, all stands there once, in order."""
    kafka.freeze()
    try:
        publishing = asyncio.create_task(log.publish(0, Batch(alarms=[alarm(at) for at in range(5)])))
        await asyncio.sleep(1)
        assert not publishing.done()
    finally:
        kafka.thaw()
    await asyncio.wait_for(publishing, 30)
    assert [decode_alarm(value).at for value in await read_all(kafka, ALARMS)] == list(range(5))
