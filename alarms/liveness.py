"""Technical conditions of the service: what the clock says of a bed's monitor, worker and cache.

These are never in the alarm log, which is a function of the chunks alone: whoever shows a bed derives them from when it
last heard of it. Times are Unix milliseconds of one clock, that of the broker and the machines beside it.
"""

from enum import StrEnum
from hashlib import blake2b

import msgspec

OFFLINE_AFTER_MS = 3_000  # fifteen chunks of 200 ms: no network hiccup, and a nurse still comes in time
BEHIND_AFTER_MS = 3_000  # what an alarm may be late before the 10 s of IEC 60601-2-27 are in danger
UNSERVED_AFTER_MS = 5_000  # five missed heartbeats: a garbage collection or a slow write is no dead worker
CACHE_AFTER_MS = (
    3_000  # the cache answers in under a millisecond; reconnecting after a restart takes one or two seconds
)


class Connection(StrEnum):
    """How a bed's stream stands."""

    LIVE = "live"
    OFFLINE = "offline"
    BEHIND = "behind"
    UNSERVED = "unserved"


class InopKind(StrEnum):
    """Why nothing current is known of a bed."""

    MONITOR_OFFLINE = "monitor_offline"
    ANALYSIS_BEHIND = "analysis_behind"
    UNSERVED = "unserved"
    CACHE_DOWN = "cache_down"


class Inop(msgspec.Struct, frozen=True, kw_only=True):
    """A technical condition that the clock tells.

    Attributes:
        id: digest of bed, epoch, kind and last sample: the same silence has the same id in every API process.
        kind: the condition.
        text: what the nurse reads.
        since_ms: Unix milliseconds since which nothing current is known.
    """

    id: str
    kind: InopKind
    text: str
    since_ms: float


def judge_connection(
    now_ms: float,
    received_at: float | None,
    processed_at: float | None,
    worker_seen_at: float | None,
    *,
    bed: str,
    epoch: int,
    sample: int,
    cache_seen_at: float | None = None,
    backlog_s: float = 0.0,
) -> tuple[Connection, tuple[Inop, ...]]:
    """How the stream of ``bed`` stands at ``now_ms``, and what to tell of it.

    Only the condition that explains the others is told: without the cache nothing is known of the worker, and without
    the worker nothing of the monitor.

    Args:
        now_ms: the time.
        received_at: when the broker took the newest chunk that was processed; None if there was none.
        processed_at: when the worker had processed it.
        worker_seen_at: last heartbeat of the worker that owns the bed; None if no worker does.
        bed: the bed.
        epoch: its epoch, Unix milliseconds of sample 0.
        sample: analysis index of the newest processed sample; with bed and epoch it makes the ids.
        cache_seen_at: when the cache last answered, if it does not answer now; None while it does.
        backlog_s: age in seconds of the oldest chunk that waits for the worker, as the worker tells.
    """

    def inop(kind: InopKind, text: str, since_ms: float) -> tuple[Inop, ...]:
        digest = blake2b(f"{bed}\0{epoch}\0{kind}\0{sample}".encode(), digest_size=8).hexdigest()
        return (Inop(id=digest, kind=kind, text=text, since_ms=since_ms),)

    if cache_seen_at is not None and now_ms - cache_seen_at > CACHE_AFTER_MS:
        text = f"NO ANALYSIS (cache down {_seconds(now_ms - cache_seen_at)})"
        return Connection.UNSERVED, inop(InopKind.CACHE_DOWN, text, cache_seen_at)
    if worker_seen_at is None:
        since = now_ms if processed_at is None else processed_at
        return Connection.UNSERVED, inop(InopKind.UNSERVED, "NO ANALYSIS (no worker)", since)
    if now_ms - worker_seen_at > UNSERVED_AFTER_MS:
        text = f"NO ANALYSIS (worker gone {_seconds(now_ms - worker_seen_at)})"
        return Connection.UNSERVED, inop(InopKind.UNSERVED, text, worker_seen_at)
    if received_at is None or processed_at is None:
        return Connection.OFFLINE, inop(InopKind.MONITOR_OFFLINE, "NO DATA", now_ms)
    behind_ms = max(processed_at - received_at, 1000 * backlog_s)
    if behind_ms > BEHIND_AFTER_MS:
        text = f"ANALYSIS {_seconds(behind_ms)} BEHIND"
        return Connection.BEHIND, inop(InopKind.ANALYSIS_BEHIND, text, received_at)
    if now_ms - received_at > OFFLINE_AFTER_MS:
        text = f"NO DATA {_seconds(now_ms - received_at)}"
        return Connection.OFFLINE, inop(InopKind.MONITOR_OFFLINE, text, received_at)
    return Connection.LIVE, ()


def _seconds(ms: float) -> str:
    return f"{int(ms / 1000)} s"
