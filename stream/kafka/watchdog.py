"""Ends a worker that no longer does its work, so that its supervisor starts a new one and another takes its beds.

Faust agents have been seen to stop silently (issues 175, 523, 640), and a rebalance to go on for ever (594). A process
that is up and does nothing is the worst worker: its heartbeats keep its beds from everybody else.
"""

import faulthandler
import logging
import os
import threading
import time
from collections.abc import Mapping

log = logging.getLogger(__name__)

STUCK_S = 30.0  # messages wait and none is processed: a run takes under a second
UNCONFIRMED_S = 60.0  # brokers take nothing, and a new connection helps more often than waiting; nothing is lost by it
REBALANCING_S = 60.0  # a rebalance waits 10 s for a member that is gone; several workers starting make it begin anew
EXIT_STUCK = 70  # EX_SOFTWARE


def end_process(reason: str) -> None:
    """End the process at once with ``EXIT_STUCK``, leaving in the log what each thread was doing."""
    log.critical("%s: ending the process", reason)
    faulthandler.dump_traceback(all_threads=True)
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(EXIT_STUCK)  # a thread that hangs would keep an orderly exit waiting


class _Since:
    """How long something has been so."""

    def __init__(self) -> None:
        self._key: object = None
        self._at: float | None = None

    def seconds(self, key: object, now: float) -> float:
        """Seconds for which ``key`` has been the same without a break; None as the key is the break."""
        if key is None:
            self._at = None
        elif self._at is None or key != self._key:
            self._at = now
        self._key = key
        return now - self._at if self._at is not None else 0.0


class Watchdog:
    """Judges what it is shown; ``complaint`` says what is wrong, or None."""

    def __init__(self) -> None:
        self._pump = _Since()
        self._rebalance = _Since()
        self._behind: dict[int, _Since] = {}

    def complaint(
        self, *, waiting: int, progressed_at: float, unconfirmed_since: float | None, rebalancing: bool, now: float
    ) -> str | None:
        """What is wrong with this worker itself.

        Args:
            waiting: messages that were taken and not processed.
            progressed_at: when the last one was processed.
            unconfirmed_since: since when the brokers have confirmed nothing; None while they do.
            rebalancing: the group is giving its partitions out anew.
            now: monotonic seconds, as the other times.
        """
        if unconfirmed_since is not None:
            self._pump.seconds(None, now)
            silent = now - unconfirmed_since
            return f"the brokers have confirmed nothing for {silent:.0f} s" if silent > UNCONFIRMED_S else None
        stuck = self._pump.seconds(progressed_at if waiting else None, now)
        if stuck > STUCK_S:
            return f"{waiting} messages wait and none was processed for {stuck:.0f} s"
        lasting = self._rebalance.seconds(True if rebalancing else None, now)
        return f"rebalancing for {lasting:.0f} s" if lasting > REBALANCING_S else None

    def behind(self, taken: Mapping[int, int], ends: Mapping[int, int], now: float) -> str | None:
        """What is wrong with the way from the log to this worker.

        Args:
            taken: partition → offset after the last message that was handed to the pump; at which it begins, before.
            ends: partition → offset after the last message of the log, as the broker says.
            now: monotonic seconds.
        """
        for partition in self._behind.keys() - taken.keys():
            del self._behind[partition]
        for partition, offset in taken.items():
            waits = ends[partition] > offset
            lasting = self._behind.setdefault(partition, _Since()).seconds(offset if waits else None, now)
            if lasting > STUCK_S:
                return f"partition {partition} stands at {offset} of {ends[partition]} for {lasting:.0f} s"
        return None

    def broker_away(self, now: float) -> None:
        """The broker did not say how far the log goes: nothing can be told of the way from it."""
        for since in self._behind.values():
            since.seconds(None, now)


class LoopGuard(threading.Thread):
    """Ends the process when the event loop itself stands still, which nobody on it could see."""

    def __init__(self, stuck_s: float = STUCK_S) -> None:
        super().__init__(name="loop-guard", daemon=True)
        self._stuck_s = stuck_s
        self._beat = time.monotonic()
        self._ended = threading.Event()

    def beat(self) -> None:
        """The loop is alive."""
        self._beat = time.monotonic()

    def end(self) -> None:
        """Watch no longer."""
        self._ended.set()

    def run(self) -> None:
        """See ``threading.Thread``."""
        looked = time.monotonic()
        while not self._ended.wait(self._stuck_s / 30):
            now = time.monotonic()
            if now - looked > self._stuck_s / 2:
                self._beat = now  # we were frozen ourselves (SIGSTOP, a suspended laptop): the loop gets a fresh start
            looked = now
            if now - self._beat > self._stuck_s:
                end_process(f"the event loop has stood still for {now - self._beat:.0f} s")
