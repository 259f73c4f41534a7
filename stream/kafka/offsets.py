"""How far the log of chunks goes and where the group stands, asked without Faust: to judge Faust by."""

from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from stream.wire import CHUNKS


class Offsets:
    """Asks the brokers. Every call raises aiokafka.errors.KafkaError where they do not answer.

    Args:
        bootstrap: ``host:port[,host:port…]`` of the brokers.
        group: the consumer group.
        worker: this worker's name.
    """

    def __init__(self, bootstrap: str, group: str, worker: str) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._worker = worker
        self._consumer: AIOKafkaConsumer | None = None

    async def ends(self, partitions: Collection[int]) -> dict[int, int]:
        """Partition → offset after its last message."""
        found = await (await self._reader()).end_offsets([TopicPartition(CHUNKS, number) for number in partitions])
        return {part.partition: end for part, end in found.items()}

    async def starts(self, partitions: Collection[int]) -> dict[int, int]:
        """Partition → offset at which a worker begins that takes it over now."""
        parts = [TopicPartition(CHUNKS, number) for number in partitions]
        first = await (await self._reader()).beginning_offsets(parts)
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        try:
            await admin.start()
            committed = await admin.list_consumer_group_offsets(self._group, partitions=parts)
        finally:
            await admin.close()
        # -1: nothing was committed yet
        return {part.partition: max(first[part], committed[part].offset if part in committed else -1) for part in parts}

    async def close(self) -> None:
        """Let go of the connection."""
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None

    async def _reader(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap, client_id=f"{self._worker}-watchdog", enable_auto_commit=False
            )
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            self._consumer = consumer
        return self._consumer
