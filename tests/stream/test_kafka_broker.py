"""The broker that demo and tests run on: it keeps what it was given, and dies with whoever started it."""

import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from stream.kafka.broker import BrokerError, KafkaServer

pytest_plugins = ["tests.kafka_broker"]

ROOT = Path(__file__).parents[2]


def test_no_second_broker_on_a_port(kafka_server: KafkaServer, tmp_path: Path) -> None:
    """A taken port is said, not mistaken for a broker that is up."""
    with pytest.raises(BrokerError, match=f"port {kafka_server.port} on 127.0.0.1 is taken"):
        KafkaServer(tmp_path, kafka_server.port, jars=kafka_server.jars).start()


def test_why_it_does_not_start_is_quoted(kafka_server: KafkaServer, tmp_path: Path) -> None:
    """Whoever starts a broken broker reads the reason from its log, not just an exit code."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=7\n")
    with pytest.raises(BrokerError, match=r"ended with exit code 1 while starting\n(.|\n)*node.id"):
        KafkaServer(tmp_path, jars=kafka_server.jars).start()


def fetch(folder: Path, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """What ``make kafka-jars`` runs, in a folder."""
    command = [sys.executable, "-m", "stream.kafka.broker"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_make_fetches_the_jars(kafka_server: KafkaServer) -> None:
    """Protects ``make kafka-jars``: it once ended well and fetched nothing."""
    run = fetch(ROOT)
    assert (run.returncode, run.stdout) == (0, f"Kafka's jars are in {kafka_server.jars}\n"), run.stderr


def test_missing_maven_is_named(tmp_path: Path) -> None:
    """Without Maven and without jars one is told what is missing."""
    run = fetch(tmp_path, {"PATH": str(tmp_path)})
    assert run.returncode == 1
    assert run.stderr.startswith("Kafka's jars are not in ")
    assert "Maven (mvn), which fetches them, is not installed" in run.stderr


def test_frozen_is_frozen(kafka_server: KafkaServer) -> None:
    """A frozen broker answers nothing, not even a moment later: every test of a broker that hangs stands on it."""
    body = struct.pack(">hhih", 18, 0, 1, -1)  # ApiVersions 0, without a client's name
    request = struct.pack(">i", len(body)) + body
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", kafka_server.port), timeout=10) as connection:
            connection.sendall(request)
            assert connection.recv(4096)
            kafka_server.freeze()
            try:
                connection.sendall(request)
                connection.settimeout(0.05)
                with pytest.raises(TimeoutError):
                    connection.recv(4096)
            finally:
                kafka_server.thaw()


def test_dies_with_its_starter(kafka_server: KafkaServer, tmp_path: Path) -> None:
    """A killed demo or test run leaves no broker behind that holds memory and port."""
    code = (
        "import os, signal, sys; from pathlib import Path; from stream.kafka.broker import KafkaServer\n"
        f"server = KafkaServer(Path({str(tmp_path)!r}), jars=Path({str(kafka_server.jars)!r})).start()\n"
        "server.freeze(); print(server.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    broker = int(run.stdout)
    until = time.monotonic() + 10
    while psutil.pid_exists(broker) and psutil.Process(broker).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, f"the broker, process {broker}, outlived its starter"
        time.sleep(0.05)
