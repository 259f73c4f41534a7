"""Ways into the ward: the producer of the README, and records faster than real time."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from ward import Listener, Ward

from ecg.readers import read_recording
from stream.offline import analyze_recording

ROOT = Path(__file__).parent.parent.parent


class MonitorOffError(Exception):
    """The monitor of the test has sent all it has."""


def test_the_producer_of_the_readme_feeds_a_bed(kafka_ward: Ward) -> None:
    """Protects who writes a producer by the README: its code, run as it stands, makes a live bed with its leads."""
    ward = kafka_ward
    ward.start_worker()
    ward.wait_for_worker()
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert code is not None
    sent = 0

    def read_from_my_monitor(n: int) -> np.ndarray:
        nonlocal sent
        if sent == 60:
            raise MonitorOffError
        sent += 1
        return np.full((3, n), sent, dtype=np.int16)

    try:
        program = code[1].replace("localhost:9092", ward.settings.kafka) + "\n"
        exec(compile(program, "README.md", "exec"), {"read_from_my_monitor": read_from_my_monitor})
    except MonitorOffError:
        pass
    ward.wait_for(lambda: counted(ward, "chunks") == 60, 20, "sixty chunks processed")
    assert counted(ward, "deadletters") == 0
    assert ward.bed_states()["bed-07"]["leads"] == ["I", "II", "V1"]


def test_records_are_replayed_as_fast_as_the_ward_takes_them(ward: Ward, tmp_path: Path) -> None:
    """Protects `replay --speed max`: a record poured in gives the alarms of the offline analysis."""
    ward.start_worker()
    ward.start_api()
    listener = Listener(ward.url)
    ward.wait_for_worker()
    environment = os.environ | {
        "WARDBEAT_ENGINE": ward.engine,
        "WARDBEAT_KAFKA": ward.settings.kafka,
        "WARDBEAT_REDIS": ward.settings.redis,
    }
    wardbeat = [sys.executable, "-m", "wardbeat"]
    record = tmp_path / "patient"
    script = "sinus(rate=70) 60s, asystole 9s, sinus(rate=70)+leads_off(V3) 40s, brady(rate=35) 60s"
    simulate = [*wardbeat, "simulate", "--script", script, "--out", str(record)]
    subprocess.run(simulate, env=environment, check=True)
    subprocess.run([*wardbeat, "replay", str(record), "--speed", "max"], env=environment, check=True)
    offline = analyze_recording(read_recording(record), ward.settings.beds(waves=False), bed="patient")
    expected = {(event.kind, event.phase, event.at, event.text) for event in offline.alarms}
    assert len(expected) >= 6
    ward.wait_for(
        lambda: {(e.kind, e.phase, e.at, e.text) for e in listener.events} == expected, 30, "the alarms of the record"
    )
    listener.close()


def counted(ward: Ward, name: str) -> int:
    """A counter over all workers."""
    return sum(int(state["counters"].get(name, 0)) for state in ward.worker_states().values())  # type: ignore[attr-defined]
