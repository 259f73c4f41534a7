"""Where things stand in Redis or Valkey, and how the store is reached."""

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

PREFIX = "wardbeat:"
CONNECT_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 2.0  # a store that hangs is as good as one that is gone: the screen must say so within seconds
BACKOFF = ExponentialWithJitterBackoff(cap=0.2, base=0.02)
RETRIES = 2  # covers a connection that a restarted server left dead; longer waits are the caller's to see and tell


class StoreKeys:
    """Names of the store's keys under one prefix."""

    def __init__(self, prefix: str = PREFIX) -> None:
        self.alarms = f"{prefix}alarms"
        self.alarm_events = f"{prefix}alarm-events"
        self.alarm_log = f"{prefix}alarm-log"
        self.beds = f"{prefix}beds"
        self.workers = f"{prefix}workers"
        self.all_waves = f"{prefix}waves:*"
        self._waves = f"{prefix}waves:"
        self._strip = f"{prefix}strip:"

    def waves(self, bed: str) -> str:
        """Pub/Sub channel of the bed's wave frames."""
        return self._waves + bed

    def bed_of_waves(self, channel: bytes) -> str:
        """The bed whose wave channel this is."""
        return channel.decode()[len(self._waves) :]

    def strip(self, bed: str) -> str:
        """Stream of the bed's full-rate seconds."""
        return self._strip + bed


def connect(url: str) -> redis.Redis:
    """A client that gives up on a silent server after ``ANSWER_TIMEOUT_S`` and finds a restarted one by itself.

    Args:
        url: ``redis://host:port/db``, ``rediss://…`` or ``unix:///path``.

    Raises:
        ValueError: the address is of another kind.
    """
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
        retry=Retry(BACKOFF, RETRIES),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError],
    )
