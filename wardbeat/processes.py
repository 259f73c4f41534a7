"""Processes that help a command, and end with it."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from typing import Protocol, TypeVar

ABANDONED = 1  # exit code; nobody is there to read it
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # helpers share the cores; no kernel of numba is parallel

T = TypeVar("T")
R = TypeVar("R")


class Map(Protocol):
    """As the built-in ``map``; ``chunksize`` items are handed out at a time."""

    def __call__(self, work: Callable[[T], R], items: Iterable[T], /, *, chunksize: int = 1) -> Iterator[R]:
        """The results in the order of the items."""


@contextmanager
def helpers(jobs: int, prepare: Callable[..., None] | None = None, *given: object) -> Iterator[Map]:
    """A ``map`` over ``jobs`` processes; one job the command does itself.

    The processes start afresh: a fork could inherit a lock that some thread of the command holds, and wait for ever.

    Args:
        jobs: how many.
        prepare: called once in each process, or here where there is one job, with ``given``.

    Raises:
        ChildProcessError: a process died in the middle of its work.
    """
    if jobs == 1:
        if prepare is not None:
            prepare(*given)
        yield _map
        return
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (prepare, given))
    try:
        yield pool.map
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"one of {jobs} helping processes died at its work; if memory ran out, fewer jobs need less"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _map(work: Callable[[T], R], items: Iterable[T], /, *, chunksize: int = 1) -> Iterator[R]:  # noqa: ARG001
    return map(work, items)  # nothing is handed out


def _begin(prepare: Callable[..., None] | None, given: tuple[object, ...]) -> None:
    # Abandoned, it would wait for work for ever: the pipe it listens on is also held by its siblings.
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_watch, args=(parent.sentinel,), name="parent", daemon=True).start()
    if prepare is not None:
        prepare(*given)


def _watch(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(ABANDONED)
