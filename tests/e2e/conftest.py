"""The engines that every fault is tried on."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ward import Ward


def needs_java() -> None:
    """Skip where Apache Kafka cannot run, by name."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: Apache Kafka cannot run")


@pytest.fixture(params=["embedded", "kafka"])
def ward(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ward]:
    """A ward on each engine, its parts not started yet."""
    if request.param == "kafka":
        needs_java()
    with Ward(request.param, tmp_path) as ward:
        yield ward


@pytest.fixture
def kafka_ward(tmp_path: Path) -> Iterator[Ward]:
    """A ward on Apache Kafka."""
    needs_java()
    with Ward("kafka", tmp_path) as ward:
        yield ward
