"""A real Apache Kafka for tests: name this module in ``pytest_plugins`` and ask for ``kafka``."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from stream.kafka.broker import VERSION, KafkaServer

JARS = Path(__file__).parent.parent / ".kafka" / f"libs-{VERSION}"
GONE_S = 10


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """One broker for all tests of the session."""
    if shutil.which("java") is None:
        pytest.skip("no Java on this machine: Kafka cannot run")
    if not JARS.is_dir() and shutil.which("mvn") is None:
        pytest.skip(f"no Kafka jars in {JARS} and no Maven to fetch them")
    with KafkaServer(tmp_path_factory.mktemp("kafka"), jars=JARS) as server:
        yield server


@pytest.fixture
def kafka(kafka_server: KafkaServer) -> KafkaServer:
    """The broker without any topic of the ward."""
    asyncio.run(_clear(kafka_server.bootstrap))
    return kafka_server


async def _clear(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        until = time.monotonic() + GONE_S
        while ours := [name for name in await admin.list_topics() if name.startswith("ecg.")]:
            assert time.monotonic() < until, f"topics that cannot be deleted: {ours}"
            await admin.delete_topics(ours)
    finally:
        await admin.close()
