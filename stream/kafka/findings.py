"""Following the findings on Kafka from now on."""

from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer

from models.finding import Finding
from stream.wire import FINDINGS, decode_finding

MAX_WAIT_MS = 50  # how long the broker may hold an answer back: whoever measures latency must not add to it


async def follow_findings(bootstrap: str) -> AsyncIterator[Finding]:
    """Findings of all partitions as they are written, until the caller stops."""
    consumer = AIOKafkaConsumer(
        FINDINGS, bootstrap_servers=bootstrap, auto_offset_reset="latest", fetch_max_wait_ms=MAX_WAIT_MS
    )
    await consumer.start()
    try:
        async for record in consumer:
            yield decode_finding(record.value)
    finally:
        await consumer.stop()
