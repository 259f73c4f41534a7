"""The loop that both engines share: messages → ward core → log → store → checkpoint → commit, in that order."""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from stream.bed import BedConfig
from stream.checkpoint import BedCheckpoint, encode_checkpoint
from stream.engine import Log, Message
from stream.lifetime import run_until_first
from stream.outflow import Outflow
from stream.states import BedState, WorkerState
from stream.ward import Progress, WardCore

log = logging.getLogger(__name__)

RUN_S = 0.03  # of work in one run of the core: what it gave is kept after it, and must not wait for all that waits
HEARTBEAT_S = 1.0
STATE_S = 1.0  # bed states are written this often


class Pump:
    """Drives the ward cores of the partitions that this worker owns.

    The order within a run is the guarantee: alarms and dead letters are confirmed by the log, then checkpoints that
    stand behind them, and only then is the position committed.
    """

    def __init__(
        self,
        worker: str,
        engine: str,
        log_: Log,
        outflow: Outflow,
        config: BedConfig,
        *,
        now_ms: Callable[[], float] = lambda: time.time() * 1000,
    ) -> None:
        self._worker = worker
        self._engine = engine
        self._log = log_
        self._outflow = outflow
        self._config = config
        self._now_ms = now_ms
        self._cores: dict[int, WardCore] = {}
        self._waiting: dict[int, list[Message]] = defaultdict(list)
        self._there = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ward")
        self._states_at: dict[str, float] = {}
        self._lost_counters: Counter[str] = Counter()
        self._backlog_ms = 0.0
        self.progressed_at = time.monotonic()

    @property
    def waiting(self) -> int:
        """Messages taken from the log and not yet processed."""
        return sum(map(len, self._waiting.values()))

    def submit(self, message: Message) -> None:
        """Hand over the next message of its partition; returns at once."""
        self._waiting[message.partition].append(message)
        self._there.set()

    async def run(self) -> None:
        """Work until cancelled."""
        await run_until_first(self._work(), self._beat(), self._outflow.run())

    async def release(self, partitions: Sequence[int]) -> None:
        """Another worker takes these partitions: finish what runs, write their checkpoints, forget them."""
        for number in partitions:
            self._waiting.pop(number, None)
        await self._idle.wait()
        for number in partitions:
            core = self._cores.pop(number, None)
            if core is not None:
                await self._settle(core, core.all_checkpoints())
                self._lost_counters += core.counters
                for bed, counts in ((name, bed.counts) for name, bed in core.beds.items()):
                    self._states_at.pop(bed, None)
                    self._lost_counters.update(counts)

    async def _work(self) -> None:
        while True:
            await self._there.wait()
            self._there.clear()
            self._idle.clear()
            try:
                for number in list(self._waiting):
                    await self._run(number)
            finally:
                self._idle.set()

    async def _run(self, number: int) -> None:
        waiting = self._waiting[number]
        if not waiting:
            del self._waiting[number]
            return
        core = self._cores.get(number)
        if core is None:
            core = WardCore(number, self._config, await self._log.load_checkpoints(number))
            self._cores[number] = core
        loop = asyncio.get_running_loop()
        progress = await loop.run_in_executor(self._thread, partial(core.process, tuple(waiting), RUN_S))
        newest = waiting[progress.taken - 1]
        del waiting[: progress.taken]
        if waiting:
            self._there.set()
        await self._log.publish(number, progress.batch)
        self._backlog_ms = max(0.0, self._now_ms() - newest.received_at)
        self._show(core, progress)
        due = await loop.run_in_executor(self._thread, core.checkpoints_due)
        await self._settle(core, due)
        self.progressed_at = time.monotonic()

    async def _settle(self, core: WardCore, checkpoints: list[BedCheckpoint]) -> None:
        if checkpoints:
            await self._log.save_checkpoints(
                core.partition, {checkpoint.bed: encode_checkpoint(checkpoint) for checkpoint in checkpoints}
            )
        position = core.confirm(checkpoints)
        if position is not None:
            await self._log.commit(core.partition, position)

    def _show(self, core: WardCore, progress: Progress) -> None:
        now = self._now_ms()
        states = []
        beds = core.beds
        for name, step in progress.steps.items():
            bed = beds[name]
            if bed.epoch is None or (now - self._states_at.get(name, 0.0) < STATE_S * 1000 and not step.alarms):
                continue
            self._states_at[name] = now
            states.append(
                BedState(
                    bed=name,
                    epoch=bed.epoch,
                    sample=bed.end,
                    hr_bpm=bed.hr_bpm,
                    usable=bed.usable_now,
                    quality=bed.latest_quality,
                    leads=bed.leads,
                    limits={"hr_low": self._config.limits.hr_low, "hr_high": self._config.limits.hr_high},
                    received_at=core.received_at(name),
                    processed_at=now,
                    model=bed.model,
                    worker=self._worker,
                    rhythm=bed.rhythm_state,
                )
            )
        strips = [(name, second) for name, step in progress.steps.items() for second in step.strips]
        self._outflow.show(states, progress.frames, strips)

    async def _beat(self) -> None:
        while True:
            counters = Counter(self._lost_counters)
            beds = 0
            for core in self._cores.values():
                counters.update(core.counters)
                beds += len(core.beds)
                for bed in core.beds.values():
                    counters.update(bed.counts)
            self._outflow.beat(
                WorkerState(
                    worker=self._worker,
                    engine=self._engine,
                    at=self._now_ms(),
                    partitions=tuple(sorted(self._cores)),
                    beds=beds,
                    backlog_s=self._backlog_ms / 1000 if self.waiting else 0.0,
                    counters=dict(counters),
                )
            )
            await asyncio.sleep(HEARTBEAT_S)
