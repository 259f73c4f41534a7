"""Processes that help a command, and end with it."""

import os
import threading
from multiprocessing import connection, parent_process

ABANDONED = 1  # exit code; nobody is there to read it


def end_with_parent() -> None:
    """Initialiser of a pool's process: it ends when the process that began it does, even by a kill.

    Otherwise it would wait for work for ever: the pipe it listens on is also held by its siblings.
    """
    parent = parent_process()
    if parent is not None:  # the command itself does the work where there is one job
        threading.Thread(target=_watch, args=(parent.sentinel,), name="parent", daemon=True).start()


def _watch(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(ABANDONED)
