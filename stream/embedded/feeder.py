"""A monitor's way into the embedded engine."""

import logging
import time
from collections.abc import Callable

import redis

from stream.embedded.log import RETRY_S, Keys

log = logging.getLogger(__name__)

RETENTION_S = 1800  # chunks that no worker took for half an hour are no longer news, and memory is finite
BATCH = 64  # chunks in one round trip


class EmbeddedFeeder:
    """``stream.engine.Source`` on Valkey.

    Args:
        url: address of the server.
        prefix: of all keys.
        delivered: called with the number of chunks that the log has taken.
    """

    def __init__(self, url: str, prefix: str, delivered: Callable[[int], None] = lambda _: None) -> None:
        self._client = redis.from_url(url)
        self._key = Keys(prefix).chunks
        self._delivered = delivered
        self._batch: list[bytes] = []

    def send(self, bed: str, value: bytes) -> None:
        """See ``Source``. ``bed`` is not needed: there is one partition."""
        del bed
        self._batch.append(value)
        if len(self._batch) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """See ``Source``. A server that is away is waited for; what it had taken before is sent twice then."""
        while self._batch:
            try:
                self._write()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                log.warning("the log does not answer, trying again: %s", error)
                time.sleep(RETRY_S)

    def _write(self) -> None:
        oldest = f"{int((time.time() - RETENTION_S) * 1000)}-0"
        with self._client.pipeline(transaction=False) as pipe:
            for value in self._batch:
                pipe.xadd(self._key, {"v": value}, minid=oldest, approximate=True)
            pipe.execute()
        self._delivered(len(self._batch))
        self._batch.clear()

    def close(self) -> None:
        """See ``Source``."""
        self.flush()
        self._client.close()
