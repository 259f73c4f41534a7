"""Processes that help a command."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PROGRAM = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from wardbeat.processes import end_with_parent
if __name__ == "__main__":
    pool = ProcessPoolExecutor(2, mp_context=get_context("{method}"), initializer=end_with_parent)
    print(*{{pool.submit(os.getpid).result() for _ in range(9)}}, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_helpers_end_with_a_command_that_is_killed(method: str, tmp_path: Path) -> None:
    """Protects the machine's memory: an evaluation that was killed left its processes behind for ever."""
    program = tmp_path / "command.py"
    program.write_text(PROGRAM.format(method=method))
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        helpers = [psutil.Process(int(pid)) for pid in command.stdout.readline().split()]
        assert helpers
        command.send_signal(signal.SIGKILL)
        command.wait()
    deadline = time.monotonic() + 10
    while any(helper.is_running() and helper.status() != psutil.STATUS_ZOMBIE for helper in helpers):
        assert time.monotonic() < deadline, helpers
        time.sleep(0.05)
