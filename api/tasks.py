"""Ending tasks for certain."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

CANCEL_AGAIN_S = 0.1


async def end_tasks(tasks: "Iterable[asyncio.Task[None]]") -> None:
    """Cancel the tasks until they have ended.

    Once is not enough: with redis-py 8.1 one in ten tasks that were cancelled while a pipeline opened its connection
    went on as if nothing had been said.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


async def run_until_first(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one returns or raises, end the others, and raise what the first in order raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_tasks(tasks)
    errors = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    if errors:
        raise errors[0]
