"""What one API process holds: the connection to the store, its readers, and the tasks that run behind the requests."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from fastapi import Request

from api.board import Board
from api.config import ApiConfig
from api.hub import AlarmHub
from api.waves import WaveHub
from stream.lifetime import end_tasks
from stream.store_keys import StoreKeys, connect
from stream.store_reader import StoreReader

log = logging.getLogger(__name__)

SHUTDOWN = "the server is going down"


class WardService:
    """The parts of the API, wired."""

    def __init__(self, config: ApiConfig) -> None:
        self.config = config
        self._client = connect(config.redis_url)
        self.reader = StoreReader(self._client, config.prefix)
        self.hub = AlarmHub(self.reader)
        self.board = Board(self.reader, self.hub)
        self.waves = WaveHub(self._client, StoreKeys(config.prefix))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the readers meanwhile."""
        tasks = [asyncio.create_task(work) for work in (self.hub.run(), self.board.run(), self.waves.run())]
        for task in tasks:
            task.add_done_callback(_tell_defect)
        try:
            yield
        finally:
            await end_tasks(tasks)
            await self._client.aclose()


def _tell_defect(task: "asyncio.Task[None]") -> None:
    """A reader ends only if it is cancelled; anything else is a defect that must not pass in silence."""
    if not task.cancelled() and task.exception() is not None:
        log.critical("a reader of the API ended by a defect", exc_info=task.exception())


def ward_of(request: Request) -> WardService:
    """The parts, for a request."""
    ward: WardService = request.app.state.ward
    return ward
