"""What the screen sees, written to the store beside the flow: it may be lost or late, never hold up an alarm."""

import asyncio
import logging
from collections import deque

import redis.asyncio as redis

from stream.states import BedState, WorkerState
from stream.store import StoreWriter
from stream.waves import StripSecond

log = logging.getLogger(__name__)

FLUSH_S = 0.02  # a frame holds 200 ms; the eye does not see 20 ms more
MAX_FRAMES = 2000  # half a second of 500 beds: older frames are no longer live
MAX_STRIPS = 1000
RETRY_S = 0.5  # while the cache is away


class Outflow:
    """Collects states, frames and strips, and writes them in one round trip each few milliseconds."""

    def __init__(self, store: StoreWriter) -> None:
        self._store = store
        self._states: dict[str, BedState] = {}
        self._frames: deque[tuple[str, bytes]] = deque(maxlen=MAX_FRAMES)
        self._strips: deque[tuple[str, StripSecond]] = deque(maxlen=MAX_STRIPS)
        self._worker: WorkerState | None = None
        self._there = asyncio.Event()
        self.failures = 0

    def show(
        self, states: list[BedState], frames: list[tuple[str, bytes]], strips: list[tuple[str, StripSecond]]
    ) -> None:
        """Hand over what is new; returns at once."""
        self._states |= {state.bed: state for state in states}
        self._frames.extend(frames)
        self._strips.extend(strips)
        self._there.set()

    def beat(self, worker: WorkerState) -> None:
        """Hand over the worker's heartbeat."""
        self._worker = worker
        self._there.set()

    async def run(self) -> None:
        """Write until cancelled; a cache that is away is asked again."""
        while True:
            await self._there.wait()
            self._there.clear()
            try:
                await self._write()
            except (redis.RedisError, OSError) as error:
                if not self.failures:
                    log.warning("the store does not answer, the screen will lag: %s", error)
                self.failures += 1
                await asyncio.sleep(RETRY_S)
                continue
            self.failures = 0
            await asyncio.sleep(FLUSH_S)

    async def _write(self) -> None:
        states, self._states = list(self._states.values()), {}
        worker, self._worker = self._worker, None
        frames, strips = list(self._frames), list(self._strips)
        self._frames.clear()
        self._strips.clear()
        await self._store.show(states=states, frames=frames, strips=strips, worker=worker)
