"""The services of docker-compose.yml: each command started as compose would, against a real Kafka and a real cache."""

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from ward import SECRET, Listener, Ward

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def compose() -> dict[str, dict[str, object]]:
    """The services, with variables filled in as compose does."""
    text = (ROOT / "docker-compose.yml").read_text()
    values = {"WARDBEAT_SECRET": SECRET, "WARDBEAT_PARTITIONS": "4"}

    def fill(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        value = values.get(name, default)
        assert value is not None, f"{name} has no value and no default"
        return value

    filled = re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}", fill, text)
    services: dict[str, dict[str, object]] = yaml.safe_load(filled)["services"]
    return services


@pytest.fixture
def processes() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Processes to be ended with the test."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_each_service_starts_and_the_ward_lives(
    kafka_ward: Ward, compose: dict[str, dict[str, object]], processes: list["subprocess.Popen[bytes]"]
) -> None:
    """Protects the engineer who types `docker compose up`: the commands and settings in the file make a ward."""
    ward = kafka_ward
    places = {"kafka:9092": ward.settings.kafka, "redis://redis:6379/0": ward.settings.redis}

    def environment(name: str) -> dict[str, str]:
        given: dict[str, object] = compose[name]["environment"]  # type: ignore[assignment]
        return os.environ | {
            **{key: places.get(str(value), str(value)) for key, value in given.items()},
            "WARDBEAT_PORT": str(ward.settings.port),
            "WARDBEAT_WORKER": name,  # in a container, its host name
            "WARDBEAT_DATA_DIR": str(ward.folder / name),
        }

    def start(name: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "wardbeat", *compose[name]["command"]]  # type: ignore[misc]
        with (ward.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment(name), stdout=log, stderr=log)
        processes.append(process)
        return process

    assert start("topics").wait(60) == 0, (ward.folder / "topics.log").read_text()
    on_gpu = ["worker-gpu"] if torch.cuda.is_available() else []
    for name in ("worker", "api", *on_gpu):
        start(name)
    if not on_gpu:
        assert start("worker-gpu").wait(60) == 1
        assert "device 'cuda'" in (ward.folder / "worker-gpu.log").read_text()
    ward.wait_for(ward.api_answers, 60, "the API answers")
    start("feeder")
    listener = Listener(ward.url)
    ward.wait_for(lambda: len(live(listener)) == 8, 60, "eight live beds")
    with urllib.request.urlopen(f"{ward.url}/ready", timeout=5) as answer:
        assert answer.status == 200, json.load(answer)
    for name in ("api", "worker", *on_gpu):
        kind, python, *rest = compose[name]["healthcheck"]["test"]  # type: ignore[index]
        assert (kind, python) == ("CMD", "python")
        command = [sys.executable, *(word.replace(":8080", f":{ward.settings.port}") for word in rest)]
        assert subprocess.run(command, env=environment(name), check=False).returncode == 0, shlex.join(command)
    ward_without = environment("worker") | {"WARDBEAT_WORKER": "nobody"}
    dead = subprocess.run([sys.executable, "-m", "wardbeat", "worker", "--check"], env=ward_without, check=False)
    assert dead.returncode == 1, "a worker that never lived passes its health check"
    listener.close()


def live(listener: Listener) -> list[str]:
    """Beds that are live in the newest status."""
    status = listener.status()
    return [bed["bed"] for bed in status["beds"] if bed["connection"] == "live"] if status else []  # type: ignore[attr-defined]


def test_every_room_is_copied_into_the_image() -> None:
    """Protects the image from a room that is added to the repository and forgotten in the Dockerfile."""
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    copied = set(re.findall(r"^COPY (\w+) \w+$", (ROOT / "Dockerfile").read_text(), re.M))
    assert rooms <= copied, rooms - copied


def test_images_run_as_a_user_without_rights() -> None:
    """Protects the host: the last USER before each image's end is not root."""
    users = re.findall(r"^USER (\w+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert users[-1] == "wardbeat"
