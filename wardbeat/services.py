"""Starting the parts: worker, API, topics, tokens."""

import asyncio
import logging
import sys
import time
from typing import cast

import msgspec
from rich.console import Console

from stream.lifetime import run_until_told
from stream.states import WorkerState
from stream.store_keys import StoreKeys
from wardbeat.settings import Settings, SettingsError

ALIVE_MS = 10_000  # ten heartbeats


def set_up_logging() -> None:
    """One line an event on standard error."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)


def run_worker(settings: Settings) -> int:
    """Run the worker of the engine that the settings name, until told to stop; the exit code."""
    set_up_logging()
    if settings.engine == "kafka":
        from stream.kafka.engine import run_kafka_worker

        return run_kafka_worker(settings.kafka_config(), settings.beds())
    from stream.embedded.engine import EmbeddedEngine

    engine = EmbeddedEngine(settings.redis, settings.prefix, settings.worker, settings.beds())
    return asyncio.run(run_until_told(engine.run()))


def worker_is_alive(settings: Settings) -> bool:
    """Whether the worker of this name gave a sign of life lately: for health checks."""
    import redis

    client = redis.from_url(settings.redis)
    try:
        data = cast("bytes | None", client.hget(StoreKeys(settings.prefix).workers, settings.worker))
    finally:
        client.close()
    return data is not None and time.time() * 1000 - msgspec.json.decode(data, type=WorkerState).at < ALIVE_MS


def run_api(settings: Settings) -> None:
    """Serve until told to stop. Raises SettingsError without a secret, OSError where the port is taken."""
    from api.config import ApiConfig
    from api.serve import serve

    set_up_logging()
    config = ApiConfig(
        redis_url=settings.redis,
        secret=_secret(settings),
        prefix=settings.prefix,
        open_metrics=settings.metrics_open,
    )
    serve(config, settings.host, settings.port)


def create_token(settings: Settings, name: str, role: str, days: float) -> str:
    """A signed token. Raises ValueError for a role that there is not, SettingsError without a secret."""
    from api.auth import issue_token

    return issue_token(_secret(settings), name, role, days * 86400)


def _secret(settings: Settings) -> str:
    from api.auth import check_secret

    try:
        return check_secret(settings.secret)
    except ValueError as error:
        raise SettingsError(f"{error}; set WARDBEAT_SECRET, e.g. to what `openssl rand -hex 32` prints") from None


def create_topics(settings: Settings, console: Console) -> None:
    """Create the topics. Raises ValueError where they are there in another shape."""
    from stream.kafka.topics import TopicsError, ensure_topics

    try:
        asyncio.run(ensure_topics(settings.kafka, settings.partitions, settings.replication))
    except TopicsError as error:
        raise ValueError(str(error)) from None
    console.print(f"the topics stand on {settings.kafka}, {settings.partitions} partitions", highlight=False)
