"""What the clock says of a bed: one condition at a time, the one that explains the others."""

from typing import Any

import pytest

from alarms.liveness import Connection, Inop, InopKind, judge_connection

NOW = 1_700_000_000_000.0


def judge(
    *,
    now: float = NOW,
    chunk: float | None = 0.2,
    processed: float | None = 0.2,
    worker: float | None = 0.5,
    **more: Any,
) -> tuple[Connection, tuple[Inop, ...]]:
    """Judge a bed whose latest chunk, processing and worker heartbeat are so many seconds old."""
    ago = [None if age is None else NOW - 1000 * age for age in (chunk, processed, worker)]
    return judge_connection(now, *ago, **({"bed": "b", "epoch": 7, "sample": 1500} | more))


@pytest.mark.parametrize(
    ("ages", "connection", "kind", "text"),
    [
        ({"chunk": 12.4, "processed": 12.3}, Connection.OFFLINE, InopKind.MONITOR_OFFLINE, "NO DATA 12 s"),
        ({"chunk": 5.6, "processed": 0.1}, Connection.BEHIND, InopKind.ANALYSIS_BEHIND, "ANALYSIS 5 s BEHIND"),
        ({"backlog_s": 5.0}, Connection.BEHIND, InopKind.ANALYSIS_BEHIND, "ANALYSIS 5 s BEHIND"),
        ({"worker": 8.2}, Connection.UNSERVED, InopKind.UNSERVED, "NO ANALYSIS (worker gone 8 s)"),
        ({"worker": None}, Connection.UNSERVED, InopKind.UNSERVED, "NO ANALYSIS (no worker)"),
        ({"chunk": None, "processed": None}, Connection.OFFLINE, InopKind.MONITOR_OFFLINE, "NO DATA"),
        (
            {"chunk": 30.0, "processed": 30.0, "worker": 30.0},
            Connection.UNSERVED,
            InopKind.UNSERVED,
            "NO ANALYSIS (worker gone 30 s)",
        ),
        (
            {"chunk": 30.0, "processed": 30.0, "worker": 30.0, "cache_seen_at": NOW - 7100},
            Connection.UNSERVED,
            InopKind.CACHE_DOWN,
            "NO ANALYSIS (cache down 7 s)",
        ),
    ],
)
def test_a_silence_is_named_by_its_cause(
    ages: dict[str, Any], connection: Connection, kind: InopKind, text: str
) -> None:
    """A dead worker must not be shown as a dead monitor, nor the other way round."""
    found, inops = judge(**ages)
    assert found is connection
    assert [(inop.kind, inop.text) for inop in inops] == [(kind, text)]


def test_just_within_each_threshold_is_live() -> None:
    """No INOP may flicker on a ward that works."""
    for ages in (
        {"chunk": 3.0, "processed": 2.9},
        {"chunk": 3.0, "processed": 0.0},
        {"worker": 5.0},
        {"backlog_s": 3.0},
    ):
        assert judge(**ages) == (Connection.LIVE, ())
    assert judge(cache_seen_at=NOW - 3000) == (Connection.LIVE, ())


def test_a_clock_ahead_of_ours_is_live() -> None:
    """The broker's clock may lead by a little: an age below zero is no silence."""
    assert judge(chunk=-2.0, processed=-1.9, worker=-1.0) == (Connection.LIVE, ())


def test_the_id_lasts_as_long_as_the_silence() -> None:
    """A console that reconnects to another API process must recognise the same INOP."""
    first = judge(chunk=5.0, processed=5.0)[1][0]
    later = judge_connection(NOW + 60_000, NOW - 5000, NOW - 5000, NOW + 60_000, bed="b", epoch=7, sample=1500)[1][0]
    assert first.id == later.id
    assert first.since_ms == later.since_ms == NOW - 5000
    ids = {
        judge(chunk=5.0, processed=5.0, **other)[1][0].id for other in ({"bed": "c"}, {"epoch": 8}, {"sample": 2000})
    }
    assert len(ids | {first.id}) == 4
