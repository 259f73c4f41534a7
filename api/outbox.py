"""What waits for one client of the alarms: never dropped, never without bound."""

import asyncio
from collections import deque
from collections.abc import Iterable

CLOSE_TOO_SLOW = 4408
CLOSE_RESTART = 1012


class Outbox:
    """Alarms in order, the newest status, and the end once it is decided.

    Args:
        limit: alarms that may wait; one more, and the client is ended as too slow.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.live = False
        self.alarms: deque[tuple[int, str]] = deque()
        self.status: str | None = None
        self.ended: tuple[int, str] | None = None
        self._news = asyncio.Event()

    def go_live(self, missing: Iterable[tuple[int, str]]) -> None:
        """From now on take every alarm; ``missing`` are those between the client's last and now."""
        self.live = True
        self.alarms.extend(missing)
        self._news.set()

    def put_alarm(self, n: int, text: str) -> None:
        """Queue an alarm for a live client; one that replays reads it from the store when it gets there."""
        if not self.live or self.ended:
            return
        if len(self.alarms) >= self.limit:
            self.end(CLOSE_TOO_SLOW, f"too slow: {self.limit} alarms wait")
            return
        self.alarms.append((n, text))
        self._news.set()

    def put_status(self, text: str) -> None:
        """Replace the status that waits: only the newest is of use."""
        self.status = text
        self._news.set()

    def end(self, code: int, reason: str) -> None:
        """Decide that the connection closes; the first reason counts."""
        self.ended = self.ended or (code, reason)
        self._news.set()

    async def wait(self, seconds: float) -> None:
        """Return at the next news, or after ``seconds``."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()
