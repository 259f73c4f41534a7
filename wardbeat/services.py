"""Starting the parts: worker, API, topics, tokens."""

import asyncio
import logging
import signal
import sys

from rich.console import Console

from wardbeat.settings import Settings, SettingsError

log = logging.getLogger("wardbeat")


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
    return asyncio.run(_until_told(engine))


async def _until_told(engine: "EmbeddedEngine") -> int:  # type: ignore[name-defined]  # noqa: F821
    task = asyncio.create_task(engine.run())
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("worker stopped in good order")
        return 0
    return 1


def secret_of(settings: Settings) -> str:
    """The secret that signs the tokens. Raises SettingsError while it is missing."""
    if len(settings.secret) < 32:
        raise SettingsError(
            f"secret: expected at least 32 characters, got {len(settings.secret)}; set WARDBEAT_SECRET, "
            "e.g. to what `openssl rand -hex 32` prints"
        )
    return settings.secret


def create_token(settings: Settings, name: str, role: str, days: float) -> str:
    """A signed token. Raises ValueError for a role that there is not."""
    from api.auth import issue_token

    return issue_token(secret_of(settings), name, role, days * 86400)


def create_topics(settings: Settings, console: Console) -> None:
    """Create the topics. Raises ValueError where they are there in another shape."""
    from stream.kafka.topics import TopicsError, ensure_topics

    try:
        asyncio.run(ensure_topics(settings.kafka, settings.partitions, settings.replication))
    except TopicsError as error:
        raise ValueError(str(error)) from None
    console.print(f"the topics stand on {settings.kafka}, {settings.partitions} partitions", highlight=False)
