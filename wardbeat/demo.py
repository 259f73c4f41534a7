"""``wardbeat demo``: a small ward on parts that start by themselves."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from rich.console import Console

from api.auth import issue_token
from ecg.chunk import Chunk
from ecg.synthetic import Script, SyntheticPatient
from stream.embedded.server import ValkeyServer
from stream.feed import FeedCounts, feed
from wardbeat.feeding import beginnings, now_ms, open_source, patient_chunks
from wardbeat.probe import Probe, Report
from wardbeat.settings import DEMO_ENV, Settings

# Every bed tells a story of its own. The first ones alarm within seconds, so that a short run of a few beds shows it.
STORIES = (
    "sinus(rate=74) 3s, sinus(rate=74)+leads_off(V1+V2) 12s, sinus(rate=74) 80s",
    "sinus(rate=78) 6s, af(rate=135) 60s, sinus(rate=76) 40s",
    "sinus(rate=66) 8s, asystole 9s, sinus(rate=62) 60s",
    "sinus(rate=84) 60s, pvc(rate=84) 60s",
    "sinus(rate=70) 10s, brady(rate=38) 25s, sinus(rate=68) 60s",
    "sinus(rate=72) 120s",
    "sinus(rate=90) 20s, vt(rate=172) 10s, sinus(rate=95) 60s",
    "flutter(rate=75) 60s, sinus(rate=80)+noise(150) 40s",
)
START_S = 180.0  # the first start compiles the kernels: half a minute, more on a busy machine
DRAIN_S = 20.0
RESTART_S = 0.5


class Part:
    """A process of the demo, started again when it dies."""

    def __init__(self, name: str, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "wardbeat", *arguments]
        self._environment = environment
        self._log = log
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def watch(self, console: Console) -> None:
        """Start it again if it has ended."""
        code = self.process.poll()
        if code is not None:
            console.print(f"[yellow]{self.name} ended with {code}; starting it again[/] (log: {self._log})")
            time.sleep(RESTART_S)
            self.process = self._start()

    def stop(self) -> None:
        """End it in good order, or else by force."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_demo(settings: Settings, beds: int, seconds: float | None, in_step: bool, console: Console) -> int:
    """Run the demo until interrupted, or for ``seconds``; the exit code.

    ``in_step``: all monitors begin at one instant, and the windows of all beds are complete at once: the worst case.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wardbeat-demo-")))
        settings = _with_parts(settings, folder, stack, console)
        places = {
            "WARDBEAT_ENGINE": settings.engine,
            "WARDBEAT_KAFKA": settings.kafka,
            "WARDBEAT_PARTITIONS": str(settings.partitions),
            "WARDBEAT_REDIS": settings.redis,
            "WARDBEAT_SECRET": settings.secret,
            "WARDBEAT_PORT": str(settings.port),
        }
        environment = os.environ | places | {"WARDBEAT_WORKER": "demo-worker", "WARDBEAT_DATA_DIR": str(folder)}
        parts = []
        for name in ("worker", "api"):
            part = Part(name, [name], environment, folder / f"{name}.log")
            stack.callback(part.stop)
            parts.append(part)
        url = f"http://127.0.0.1:{settings.port}"
        token = issue_token(settings.secret, "demo", "nurse", 12 * 3600)
        probe = Probe(settings, url, token)
        with console.status("starting the worker and the API (the first time kernels are compiled)"):
            _wait_until_up(url, parts, probe, folder)
        if seconds is None:
            stack.enter_context(_found_by_others(places))
            link = f"{url}/#token={token}"
            console.print("\nThe ward is running. Open this page:\n")
            console.print(link, style=f"bold link {link}", highlight=False)
            console.print(
                "\nFrom another terminal in this folder `wardbeat watch` shows its alarms, and "
                "`wardbeat replay RECORD` adds a bed.\nCtrl-C ends it. Research use only.",
                highlight=False,
            )
            _run(settings, _monitors(beds, in_step), parts, console, None)
            return 0
        return _measured(settings, _monitors(beds, in_step), seconds, parts, probe, console)


@contextlib.contextmanager
def _found_by_others(places: dict[str, str]) -> Iterator[None]:
    DEMO_ENV.parent.mkdir(exist_ok=True)
    DEMO_ENV.touch(mode=0o600)
    DEMO_ENV.write_text("".join(f"{name}={value}\n" for name, value in places.items()))
    try:
        yield
    finally:
        DEMO_ENV.unlink(missing_ok=True)


def _with_parts(settings: Settings, folder: Path, stack: contextlib.ExitStack, console: Console) -> Settings:
    valkey = stack.enter_context(ValkeyServer(folder / "valkey"))
    update: dict[str, object] = {
        "redis": valkey.url,
        "secret": settings.secret or secrets.token_hex(32),
        "port": settings.port if "port" in settings.model_fields_set else free_port(),
    }
    if settings.engine == "kafka":
        from stream.kafka.broker import KafkaServer
        from stream.kafka.topics import ensure_topics

        with console.status("starting Apache Kafka (the first time its jars are fetched)"):
            kafka = stack.enter_context(KafkaServer(folder / "kafka"))
            asyncio.run(ensure_topics(kafka.bootstrap, settings.partitions, settings.replication))
        update["kafka"] = kafka.bootstrap
    return settings.model_copy(update=update)


def _wait_until_up(url: str, parts: list[Part], probe: Probe, folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        for part in parts:
            if part.process.poll() is not None:
                text = (folder / f"{part.name}.log").read_text(errors="replace")[-2000:]
                raise OSError(f"the {part.name} ended with {part.process.returncode} while starting:\n{text}")
        if _answers(f"{url}/live") and probe.worker_is_up():
            return
        time.sleep(0.1)
    logs = "\n".join((folder / f"{part.name}.log").read_text(errors="replace")[-1000:] for part in parts)
    raise OSError(f"the ward was not up after {START_S:.0f} s:\n{logs}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _monitors(beds: int, in_step: bool) -> list[Iterator[Chunk]]:
    epochs = [now_ms()] * beds if in_step else beginnings(beds)
    return [
        patient_chunks(
            SyntheticPatient(Script.parse(STORIES[number % len(STORIES)]), number + 1, loop=True),
            f"bed-{number + 1:02d}",
            epoch,
        )
        for number, epoch in enumerate(epochs)
    ]


def _run(
    settings: Settings,
    monitors: list[Iterator[Chunk]],
    parts: list[Part],
    console: Console,
    seconds: float | None,
    sent: list[Chunk] | None = None,
) -> FeedCounts:
    stop = threading.Event()
    previous = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    source = open_source(settings)
    began = time.monotonic()
    with ThreadPoolExecutor(1) as thread:
        kept = sent.append if sent is not None else lambda _: None
        feeding = thread.submit(feed, monitors, source, stop=stop, sent=kept)
        try:
            while not feeding.done() and not stop.is_set():
                if seconds is not None and time.monotonic() - began >= seconds:
                    break
                for part in parts:
                    part.watch(console)
                time.sleep(0.2)
        except KeyboardInterrupt:
            console.print("stopping", highlight=False)
        finally:
            stop.set()
            counts = feeding.result()
            source.close()
            signal.signal(signal.SIGTERM, previous)
    return counts


def _measured(
    settings: Settings,
    monitors: list[Iterator[Chunk]],
    seconds: float,
    parts: list[Part],
    probe: Probe,
    console: Console,
) -> int:
    sent: list[Chunk] = []
    with probe:
        counts = _run(settings, monitors, parts, console, seconds, sent)
        probe.drain(counts.chunks, DRAIN_S)
    report: Report = probe.report(len(monitors), seconds, sent, settings.beds(waves=False))
    print(msgspec.json.encode(report).decode(), flush=True)
    if report.lost:
        console.print(f"[red]{report.lost} chunks or alarm events were lost or invented[/]", highlight=False)
    elif not report.alarms_delivered:
        console.print("[red]no alarm was delivered[/]: too short a run for these patients?", highlight=False)
    return 1 if report.lost or not report.alarms_delivered else 0
