"""The topics: made before anything uses them, and refused where they do not fit together."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from stream.wire import ALARMS, CHECKPOINTS, CHUNKS, COMMANDS, DEADLETTERS, FINDINGS

MAX_MESSAGE = 4 << 20  # bytes: a chunk may have 1 MB, and a dead letter or a checkpoint wraps a little more around it
KNOWN_S = 15  # brokers tell each other of a new topic within milliseconds; a busy controller takes seconds
_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS


class TopicsError(RuntimeError):
    """A topic is there in a shape that this ward cannot use, or could not be made."""


@dataclass(frozen=True)
class Topic:
    """A topic as it is made: its number of partitions and its settings that differ from the broker's own."""

    name: str
    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)


def topics(partitions: int = 8) -> tuple[Topic, ...]:
    """The ward's topics, with ``partitions`` parts where beds are spread over workers."""
    return (
        Topic(
            CHUNKS,
            partitions,
            {
                # When the broker took a chunk, by one clock for the whole ward: monitors' clocks differ by minutes.
                "message.timestamp.type": "LogAppendTime",
                # 50 beds of 12 leads give 2 GB an hour; what no worker took for two hours is no longer news.
                "retention.ms": str(120 * _MINUTE_MS),
                "segment.bytes": str(64 << 20),  # only whole segments are let go of
            },
        ),
        Topic(COMMANDS, partitions, {"retention.ms": str(7 * _DAY_MS)}),
        Topic(FINDINGS, partitions, {"retention.ms": str(_DAY_MS), "segment.bytes": str(64 << 20)}),
        # One partition, one total order. The truth about alarms: a year, at half a kilobyte an event.
        Topic(ALARMS, 1, {"retention.ms": str(365 * _DAY_MS)}),
        Topic(
            CHECKPOINTS,
            partitions,
            {
                "cleanup.policy": "compact",
                # A worker reads its partitions to their end before it begins: they must stay short, and the segment
                # that is written to is never compacted.
                "segment.bytes": str(8 << 20),
                "segment.ms": str(_MINUTE_MS),
                "min.cleanable.dirty.ratio": "0.1",
                # A worker that lost its partition may still write one late, older checkpoint. Readers go by the
                # position inside, so the newer one must still be there for them.
                "min.compaction.lag.ms": str(_MINUTE_MS),
                "max.message.bytes": str(MAX_MESSAGE),
            },
        ),
        Topic(DEADLETTERS, 1, {"retention.ms": str(30 * _DAY_MS), "max.message.bytes": str(MAX_MESSAGE)}),
    )


async def ensure_topics(bootstrap: str, partitions: int = 8, replication: int = 1) -> list[str]:
    """Make the ward's topics where they are not there yet; repeating it changes nothing.

    Args:
        bootstrap: ``host:port[,host:port…]`` of the brokers.
        partitions: how many parts the beds are spread over: at least as many as there will ever be workers.
        replication: copies of each partition; 3 for a hospital, and then two must have taken a message.

    Returns:
        the names of those that were not there.

    Raises:
        TopicsError: a topic is there with another number of partitions, or the broker refused to make one.
        aiokafka.errors.KafkaConnectionError: no broker answers.
    """
    wanted = {topic.name: topic for topic in topics(partitions)}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        present = set(await admin.list_topics())
        missing = [topic for name, topic in wanted.items() if name not in present]
        if missing:
            await _create(admin, missing, replication)
        for name, count in (await _counts(admin, sorted(wanted))).items():
            if count != wanted[name].partitions:
                raise TopicsError(f"topic {name}: expected {wanted[name].partitions} partitions, got {count}")
        return [topic.name for topic in missing]
    finally:
        await admin.close()


async def _counts(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    """Partitions of each topic; a topic that was made a moment ago is waited for until the brokers know of it."""
    until = time.monotonic() + KNOWN_S
    while True:
        found = await admin.describe_topics(names)
        unknown = {topic["topic"]: for_code(topic["error_code"]).__name__ for topic in found if topic["error_code"]}
        if not unknown:
            return {topic["topic"]: len(topic["partitions"]) for topic in found}
        if time.monotonic() > until:
            raise TopicsError(f"the brokers do not know of their topics after {KNOWN_S} s: {unknown}")
        await asyncio.sleep(0.1)


async def _create(admin: AIOKafkaAdminClient, missing: list[Topic], replication: int) -> None:
    copies = {"min.insync.replicas": "2"} if replication > 2 else {}
    answer = await admin.create_topics(
        [
            NewTopic(topic.name, topic.partitions, replication, topic_configs={**copies, **topic.settings})
            for topic in missing
        ]
    )
    for name, code, reason in answer.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):  # another worker that starts now may have been faster
            raise TopicsError(f"topic {name} could not be made: {for_code(code).__name__}: {reason}")
