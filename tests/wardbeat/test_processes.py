"""Processes that help a command."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from wardbeat.processes import helpers

PROGRAM = """
import os, time
from wardbeat.processes import helpers
def pid(_):
    return os.getpid()
if __name__ == "__main__":
    with helpers(2) as map_over:
        print(*set(map_over(pid, range(9))), flush=True)
        time.sleep(60)
"""
LOCK = threading.Lock()


def lock_is_free(_: int) -> bool:
    """Whether this process can take the lock."""
    return LOCK.acquire(timeout=1)


def die(_: int) -> None:
    """End as the kernel ends a process when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_helpers_end_with_a_command_that_is_killed(tmp_path: Path) -> None:
    """Protects the machine's memory: an evaluation that was killed left its processes behind for ever."""
    program = tmp_path / "command.py"
    program.write_text(PROGRAM)
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        found = [psutil.Process(int(pid)) for pid in command.stdout.readline().split()]
        assert found
        command.send_signal(signal.SIGKILL)
        command.wait()
    deadline = time.monotonic() + 10
    while any(helper.is_running() and helper.status() != psutil.STATUS_ZOMBIE for helper in found):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_helpers_inherit_no_lock() -> None:
    """Protects `--jobs` from standing still: a lock that a thread of the command holds, of its progress bar say, was
    held for ever in processes forked meanwhile."""
    with LOCK, helpers(2) as map_over:
        assert list(map_over(lock_is_free, range(1))) == [True]


@pytest.mark.timeout(60)
def test_a_helper_that_is_killed_is_told() -> None:
    """Protects a long preparation from waiting for ever for the record of a process that is no more."""

    def work() -> None:
        with helpers(2) as map_over:
            list(map_over(die, range(3)))

    with pytest.raises(ChildProcessError, match="one of 2 helping processes died"):
        work()


def test_one_job_needs_no_helper() -> None:
    """A command that does the work itself is prepared for it as a helper would be."""
    prepared: list[str] = []
    with helpers(1, prepared.append, "tools") as map_over:
        assert prepared == ["tools"]
        assert list(map_over(lambda item: (item, os.getpid()), range(2))) == [(0, os.getpid()), (1, os.getpid())]
