"""A monitor's way into Kafka.

The bed is the key, and the key chooses the partition: murmur2 of its UTF-8 bytes, as Java's, kafka-python's and
aiokafka's producers do by default. librdkafka (C, C++, Go, .NET, confluent-kafka) does otherwise by default: set
``partitioner=murmur2_random`` there, or one bed's chunks and commands end at two workers.
"""

import threading
from collections.abc import Callable

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from stream.wire import CHUNKS

LINGER_MS = 5  # fewer requests for a delay that nobody sees: a chunk already holds 200 ms
BLOCK_MS = 5_000  # how long one call waits for room before it asks again
DELIVERY_MS = 15 * 60_000  # a broker that is away is waited for; a chunk older than this is no longer news
BUFFERED = 20_000  # chunks under way, at most: 50 MB, eighty seconds of 50 beds


class DeliveryError(RuntimeError):
    """Chunks that were handed over did not reach the log."""


class KafkaFeeder:
    """``stream.engine.Source`` on Kafka.

    Args:
        bootstrap: ``host:port[,host:port…]`` of the brokers.
        delivered: called with the number of chunks that the log has taken.

    Raises:
        kafka.errors.KafkaError: no broker answers.
    """

    def __init__(self, bootstrap: str, delivered: Callable[[int], None] = lambda _: None) -> None:
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap.split(","),
            acks="all",
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            batch_size=64 << 10,
            max_block_ms=BLOCK_MS,
            delivery_timeout_ms=DELIVERY_MS,
            reconnect_backoff_max_ms=1000,  # a broker that is back must be found at once, not after 30 s
            allow_auto_create_topics=False,
        )
        self._delivered = delivered
        self._room = threading.Semaphore(BUFFERED)
        self._lock = threading.Lock()
        self._reason: BaseException | None = None
        self._reported = 0
        self.sent = 0
        self.confirmed = 0
        self.failed = 0

    def send(self, bed: str, value: bytes) -> None:
        """See ``Source``. Blocks while the brokers are away and the buffer is full."""
        self._room.acquire()
        while True:
            try:
                future = self._producer.send(CHUNKS, key=bed.encode(), value=value)
                break
            except KafkaTimeoutError:
                continue  # brokers away: no metadata yet
            except BaseException:
                self._room.release()
                raise
        self.sent += 1
        future.add_callback(self._taken)
        future.add_errback(self._lost)

    def flush(self) -> None:
        """See ``Source``.

        Raises:
            DeliveryError: chunks were lost since the last call; says how many, and why the last one was.
        """
        while True:
            try:
                self._producer.flush(timeout=BLOCK_MS / 1000)
                break
            except KafkaTimeoutError:
                continue  # the producer itself gives up after DELIVERY_MS
        with self._lock:
            lost, self._reported = self.failed - self._reported, self.failed
            reason = self._reason
        if lost:
            raise DeliveryError(f"{lost} chunks did not reach {CHUNKS}: {reason!r}") from reason

    def close(self) -> None:
        """See ``Source``."""
        try:
            self.flush()
        finally:
            self._producer.close(timeout=BLOCK_MS / 1000)

    def _taken(self, _: object) -> None:
        with self._lock:
            self.confirmed += 1
        self._room.release()
        self._delivered(1)

    def _lost(self, error: KafkaError) -> None:
        with self._lock:
            self.failed += 1
            self._reason = error
        self._room.release()
