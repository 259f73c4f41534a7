"""The real cache that these tests run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.embedded.server import ValkeyServer


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A Valkey server of the test's own, empty, on a Unix socket; ended with the test."""
    with ValkeyServer(tmp_path / "valkey") as server:
        yield server
