"""Feeding: several monitors at their own pace, or as fast as the log takes it."""

import heapq
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from ecg.chunk import Chunk
from stream.engine import Source
from stream.wire import encode_chunk

NAP_S = 0.02  # how finely the pace is kept; a chunk holds ten times as much


@dataclass
class FeedCounts:
    """What was fed so far."""

    chunks: int = 0
    seconds: float = 0.0


def feed(
    monitors: Iterable[Iterator[Chunk]],
    source: Source,
    *,
    speed: float | None = 1.0,
    stop: threading.Event | None = None,
    sent: Callable[[Chunk], None] = lambda _: None,
) -> FeedCounts:
    """Send the chunks of all monitors, each when its last sample is due; returns when all have ended.

    A monitor begins as long after the first one as the epoch of its first chunk says.

    Args:
        monitors: one iterator of chunks a bed.
        source: where they go.
        speed: times real time; None is as fast as the log takes it.
        stop: set it to end early.
        sent: called with every chunk as it was sent (its ``sent_at`` is set here).
    """
    stop = stop or threading.Event()
    counts = FeedCounts()
    iterators = [iter(monitor) for monitor in monitors]
    firsts = {number: chunk for number, iterator in enumerate(iterators) if (chunk := next(iterator, None))}
    earliest = min((chunk.epoch for chunk in firsts.values()), default=0)
    offsets = {number: (chunk.epoch - earliest) / 1000 for number, chunk in firsts.items()}
    heap = [(offsets[number] + chunk.end / chunk.fs, number, chunk) for number, chunk in firsts.items()]
    heapq.heapify(heap)
    began = time.monotonic()
    while heap and not stop.is_set():
        due, number, chunk = heap[0]
        if speed is not None:
            wait = due / speed - (time.monotonic() - began)
            if wait > 0:
                source.flush()
                stop.wait(min(wait, NAP_S))
                continue
        stamped = msgspec.structs.replace(chunk, sent_at=time.time() * 1000)
        source.send(stamped.bed, encode_chunk(stamped))
        sent(stamped)
        counts.chunks += 1
        counts.seconds += chunk.n / chunk.fs
        following = next(iterators[number], None)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (offsets[number] + following.end / following.fs, number, following))
    source.flush()
    return counts
