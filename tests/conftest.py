"""What many tests need: the places of real recordings, and refusing to skip where nothing may be skipped."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("WARDBEAT_DATA", ROOT / ".data"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """With WARDBEAT_SKIP_NOTHING a skipped test is a failed one: a green run then means that everything ran."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("WARDBEAT_SKIP_NOTHING"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped though nothing may be: {reason}"


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the unpacked real recordings."""
    if not (DATA / "index.csv").exists():
        pytest.skip(f"no real recordings in {DATA}: unpack them there or set WARDBEAT_DATA")
    return DATA
