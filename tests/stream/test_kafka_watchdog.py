"""A worker that is up and does nothing is ended; one that waits for others is not."""

import subprocess
import sys
from pathlib import Path

from stream.kafka.watchdog import EXIT_STUCK, REBALANCING_S, STUCK_S, UNCONFIRMED_S, Watchdog

ROOT = Path(__file__).parents[2]


def complain(
    dog: Watchdog, now: float, *, waiting: int = 0, progressed_at: float = 0.0,
    unconfirmed_since: float | None = None, rebalancing: bool = False,
) -> str | None:  # fmt: skip
    """What the watchdog says of a worker that is well but for what is given."""
    return dog.complaint(
        waiting=waiting, progressed_at=progressed_at, unconfirmed_since=unconfirmed_since, rebalancing=rebalancing,
        now=now,
    )  # fmt: skip


def test_a_ward_without_chunks_is_not_stuck() -> None:
    """An empty ward is quiet for hours, and the first chunk after that is not late."""
    dog = Watchdog()
    assert complain(dog, 10_000.0) is None
    assert complain(dog, 10_001.0, waiting=3) is None


def test_a_pump_that_stands_still() -> None:
    """Messages that wait while none is processed end the process; one that is processed starts the time anew."""
    dog = Watchdog()
    assert complain(dog, 0.0, waiting=1) is None
    assert complain(dog, STUCK_S, waiting=9) is None
    assert complain(dog, STUCK_S + 1, waiting=9, progressed_at=STUCK_S) is None
    assert complain(dog, 2 * STUCK_S + 2, waiting=9, progressed_at=STUCK_S) == (
        "9 messages wait and none was processed for 31 s"
    )


def test_brokers_that_are_away_are_not_our_standstill() -> None:
    """Fifteen seconds without a broker are outlasted, and more; a minute without any confirmation is not."""
    dog = Watchdog()
    assert complain(dog, 0.0, waiting=1) is None
    assert complain(dog, UNCONFIRMED_S, waiting=9, unconfirmed_since=1.0) is None
    assert complain(dog, UNCONFIRMED_S + 1, waiting=9) is None
    assert complain(dog, UNCONFIRMED_S + 2, unconfirmed_since=1.0) == "the brokers have confirmed nothing for 61 s"


def test_a_rebalance_without_end() -> None:
    """A group that never settles serves nobody."""
    dog = Watchdog()
    assert complain(dog, 0.0, rebalancing=True) is None
    assert complain(dog, 1.0) is None
    assert complain(dog, 2.0, rebalancing=True) is None
    assert complain(dog, REBALANCING_S + 1, rebalancing=True) is None
    assert complain(dog, REBALANCING_S + 3, rebalancing=True) == "rebalancing for 61 s"


def test_a_partition_that_is_no_longer_read() -> None:
    """An agent that stopped silently is seen from the log's end, for its partition alone and only while it is known."""
    dog = Watchdog()
    assert dog.behind({0: 5, 1: 0}, {0: 5, 1: 0}, 0.0) is None
    assert dog.behind({0: 5, 1: 7}, {0: 8, 1: 9}, 10.0) is None
    dog.broker_away(20.0)
    assert dog.behind({0: 5, 1: 7}, {0: 8, 1: 9}, 30.0) is None
    assert dog.behind({0: 5, 1: 8}, {0: 9, 1: 9}, 50.0) is None
    assert dog.behind({0: 5, 1: 9}, {0: 9, 1: 9}, 61.0) == "partition 0 stands at 5 of 9 for 31 s"


def test_a_loop_that_stands_still_ends_the_process() -> None:
    """Nobody on a blocked event loop can see that it is blocked: a thread does, says where, and ends the process."""
    code = (
        "import logging, time; from stream.kafka.watchdog import LoopGuard; logging.basicConfig()\n"
        "def blocking_call(): time.sleep(60)\n"
        "LoopGuard(0.5).start(); blocking_call()"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == EXIT_STUCK
    assert "the event loop has stood still" in run.stderr
    assert "in blocking_call" in run.stderr
