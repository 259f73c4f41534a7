"""How tasks and workers live: until they are told to stop, and then end for certain."""

import asyncio
import logging
import signal
from collections.abc import Coroutine, Iterable
from typing import Any

log = logging.getLogger(__name__)

CANCEL_AGAIN_S = 0.1


async def end_tasks(tasks: "Iterable[asyncio.Task[Any]]") -> None:
    """Cancel the tasks until they have ended.

    Once is not enough: redis-py sends with ``asyncio.wait_for``, which before Python 3.12 forgets a cancellation that
    comes just after what it waits for. Of workers that were cancelled while they connected, one in four went on as if
    nothing had been said.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


async def run_until_first(*works: Coroutine[Any, Any, object]) -> None:
    """Run all until one returns or raises, end the others, and raise what the first in order raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_tasks(tasks)
    errors = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    if errors:
        raise errors[0]


async def run_until_told(work: Coroutine[Any, Any, None]) -> int:
    """Run ``work`` until SIGTERM or SIGINT; the exit code, not 0 where a supervisor should start it again.

    ``work`` is cancelled once, for it hands over in good order then: it must not wait where a cancellation gets lost.
    """
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("worker stopped in good order")
        return 0
    except Exception:
        log.exception("the worker cannot go on")
    return 1
