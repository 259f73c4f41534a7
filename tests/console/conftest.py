"""A real browser before the real API before the real store; only the worker's place is taken by the test."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from api.auth import issue_token
from stream.embedded.server import ValkeyServer

from .ward import LiveWard

SECRET = "the console's tests sign with this, and nobody else does"
HERE = Path(__file__).parent
START_S = 30.0
# Without a GPU and without calls home; the browser is the distribution's, nothing is downloaded.
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What Chromium itself says when a server is gone, and of the tests' own looking at pixels; no fault of the page.
NO_FAULT = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "willReadFrequently")


def chromium() -> str:
    """Path of the browser.

    Raises:
        RuntimeError: there is none.
    """
    found = os.environ.get("WARDBEAT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise RuntimeError("no Chromium: install the package 'chromium', or name the program in WARDBEAT_CHROMIUM")
    return found


class Api:
    """The API as a process that a test can end and start again on the same port."""

    def __init__(self, store: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._store = store
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, str(HERE / "serve.py"), str(self.port), self._store, SECRET]
        self._process = subprocess.Popen(command, cwd=HERE.parent.parent)
        deadline = time.monotonic() + START_S
        while True:
            try:
                with urllib.request.urlopen(f"{self.address}/live", timeout=1):
                    return
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the API at {self.address} did not start: {error}") from error
                time.sleep(0.05)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def link(self, *, ttl: float = 3600.0) -> str:
        """The link that opens the console."""
        return f"{self.address}/#token={issue_token(SECRET, 'wall', 'viewer', ttl)}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """A Valkey server of the module's own."""
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="module")
def api(store: ValkeyServer) -> Iterator[Api]:
    """The API on that store."""
    api = Api(store.url)
    api.start()
    yield api
    api.kill()


@pytest.fixture(scope="module")
def ward(store: ValkeyServer) -> Iterator[LiveWard]:
    """Four beds that live."""
    ward = LiveWard(store.url, ["1", "2", "3", "10"])
    yield ward
    ward.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. It must be there: a console that nobody looked at is not tested."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Opens an address in a new profile. At the end no page may have complained: no error, no CSP violation."""
    complaints: list[str] = []
    pages: list[Page] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(word in message.text for word in NO_FAULT):
            complaints.append(f"{message.type}: {message.text}")

    def open_page(address: str) -> Page:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(10_000)
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
        page.goto(address)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []


@pytest.fixture
def wall(api: Api, ward: LiveWard, open_page: Callable[[str], Page]) -> Page:
    """The wall with all beds live."""
    page = open_page(api.link())
    for bed in ward.beds:
        page.wait_for_selector(f'bed-sector[data-bed="{bed}"][data-connection="live"][data-stale="false"]')
    return page


@pytest.fixture
def js(api: Api, open_page: Callable[[str], Page]) -> Callable[..., Any]:
    """Runs the body of an async function in the page; it may import the console's modules."""
    page = open_page(api.address)

    def run(body: str, argument: Any = None) -> Any:
        return page.evaluate(f"async (argument) => {{ {body} }}", argument)

    return run
