"""How a worker lives: until it is told to stop, or cannot go on."""

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


async def run_until_told(work: Coroutine[Any, Any, None]) -> int:
    """Run ``work`` until SIGTERM or SIGINT; the exit code, not 0 where a supervisor should start it again."""
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
