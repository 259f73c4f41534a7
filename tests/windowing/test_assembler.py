"""The assembler's decisions, one by one: spans and windows, gaps, epochs, restarts, jumps, the end."""

import tracemalloc
from collections.abc import Iterable

import numpy as np
import pytest

from ecg.chunk import Chunk
from windowing.assembler import Assembler, Output
from windowing.spans import EpochEnd, EpochStart, Span

EPOCH = 1_700_000_000_000


def chunk(first: int, end: int, value: int = 100, **changes: object) -> Chunk:
    """A chunk of one lead of one level at 500 Hz, sent when its last sample was measured."""
    fs = int(str(changes.get("fs", 500)))
    fields = {
        "bed": "b1",
        "epoch": EPOCH,
        "seq": first // 100,
        "first_sample": first,
        "fs": fs,
        "leads": ("II",),
        "uv_per_bit": 1.0,
        "sent_at": EPOCH + 1000 * end / fs,
        "samples": np.full(end - first, value, dtype="<i2").tobytes(),
    }
    return Chunk(**(fields | changes)).check()  # type: ignore[arg-type]


def live(n: int, **changes: object) -> Iterable[Chunk]:
    """The first ``n`` samples in chunks of 200 ms."""
    return (chunk(first, min(first + 100, n), **changes) for first in range(0, n, 100))


def push(assembler: Assembler, chunks: Iterable[Chunk]) -> list[Output]:
    """All that comes out; only the latest views are still good."""
    return [out for c in chunks for out in assembler.push(c)]


def marks(outputs: Iterable[Output]) -> list[Output]:
    return [out for out in outputs if not isinstance(out, Span)]


def spans(outputs: Iterable[Output]) -> list[Span]:
    return [out for out in outputs if isinstance(out, Span)]


def level(span: Span) -> float:
    """Lead II's level where it is real."""
    return float(span.microvolts[1, span.mask[1]].mean())


def test_live_chunks_become_spans_and_the_first_window_ends_at_ten_seconds() -> None:
    """200 ms in, 100 samples out, with the sent_at of the chunk that brought them; then a window every hop."""
    out = push(Assembler(), live(6500))
    assert out[0] == EpochStart(EPOCH)
    assert [(s.first, s.end) for s in spans(out)] == [(a, a + 100) for a in range(0, 6500, 100)]
    assert [s.sent_at for s in spans(out)] == [EPOCH + 2 * s.end for s in spans(out)]
    windows = [s.window for s in spans(out) if s.window]
    assert [w.end for w in windows] == [5000, 5500, 6000, 6500]
    assert windows[-1].microvolts.shape == windows[-1].mask.shape == (12, 5000)
    assert all(s.window.end == s.end for s in spans(out) if s.window)


@pytest.mark.parametrize(("hop_s", "hop"), [(0.5, 250), (0.7, 350), (1.0, 500), (4.9, 2450), (5.0, 2500)])
def test_no_span_crosses_a_hop(hop_s: float, hop: int) -> None:
    """In one long chunk every hop is one span, and windows end where spans do."""
    out = spans(push(Assembler(hop_s), [chunk(0, 5000), chunk(5000, 10000)]))
    ends = [s.end for s in out]
    assert ends == [*range(5000 % hop or hop, 10001, hop)] + ([10000] if (10000 - 5000) % hop else [])
    assert [s.end for s in out if s.window] == [*range(5000, 10001, hop)]


@pytest.mark.parametrize("hop_s", [0, 0.4, 5.1, 1.05, float("nan"), -1])
def test_a_hop_off_the_grid_is_refused(hop_s: float) -> None:
    """A hop outside 0.5 … 5 s, or between the blocks, is refused by its value."""
    with pytest.raises(ValueError, match=f"hop_s.*{hop_s}"):
        Assembler(hop_s)


@pytest.mark.parametrize("settings", [{"window_s": 4}, {"window_s": 10.01}, {"reorder_s": 0}, {"reorder_s": 11}])
def test_wrong_settings_are_refused(settings: dict[str, float]) -> None:
    """Window and reorder bound too."""
    ((name, value),) = settings.items()
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        Assembler(**settings)


def test_a_hole_is_masked_once_the_bound_is_reached_and_a_late_chunk_is_counted() -> None:
    """Nothing comes while the hole may still be filled; then it is masked, and its chunk is late for good."""
    assembler = Assembler(reorder_s=1.0)
    assert len(push(assembler, [chunk(0, 100)])) == 2
    assert push(assembler, (chunk(a, a + 100) for a in range(200, 500, 100))) == []
    out = spans(push(assembler, [chunk(500, 600)]))
    assert [(s.first, s.end, s.sent_at) for s in out] == [(100, 500, EPOCH + 1200), (500, 600, EPOCH + 1200)]
    assert not out[0].mask[:, :100].any()
    assert out[0].mask[1, 100:].all()
    assert push(assembler, [chunk(100, 200), chunk(300, 400)]) == []
    assert (assembler.counts.gaps, assembler.counts.gap_samples) == (1, 100)
    assert (assembler.counts.late, assembler.counts.duplicates) == (1, 1)


def test_the_first_copy_counts() -> None:
    """An overlapping chunk adds only what is new in it."""
    assembler = Assembler()
    push(assembler, [chunk(0, 100, 1), chunk(50, 200, 2)])
    (span,) = spans(push(assembler, [chunk(150, 250, 3)]))
    assert span.first == 200
    assert level(span) == 3
    assert assembler.counts.overlaps == 2


def test_a_final_chunk_ends_the_epoch_where_the_signal_ends() -> None:
    """The last block is filled up with masked samples, and whatever comes then is late."""
    assembler = Assembler()
    out = push(assembler, [*live(5100), chunk(5100, 5120, final=True)])
    assert out[-1] == EpochEnd(EPOCH, 5120, EPOCH + 10240)
    last = spans(out)[-1]
    assert (last.first, last.end) == (5100, 5150)
    assert last.mask[1].tolist() == [True] * 20 + [False] * 30
    assert push(assembler, [chunk(5120, 5200), chunk(0, 100)]) == []
    assert assembler.counts.late == 2
    assert list(assembler.end()) == []


def test_a_final_chunk_waits_its_turn() -> None:
    """The epoch ends once what lies before the final chunk has come."""
    assembler = Assembler()
    assert marks(push(assembler, [chunk(0, 100), chunk(200, 300, final=True)])) == [EpochStart(EPOCH)]
    assert marks(push(assembler, [chunk(100, 200)])) == [EpochEnd(EPOCH, 300, EPOCH + 400)]


def test_a_record_shorter_than_a_window_is_one_masked_window() -> None:
    """Three seconds and a bit: one window ending at 10 s, masked from where the signal ends."""
    (*_, end) = out = push(Assembler(hop_s=2.0), [chunk(0, 1510, final=True)])
    assert end == EpochEnd(EPOCH, 1510, EPOCH + 3020)
    windows = [s.window for s in spans(out) if s.window]
    assert [w.end for w in windows] == [5000]
    assert windows[0].mask[1, :1510].all()
    assert windows[0].mask.sum() == 1510


def test_the_end_of_a_resampled_epoch_is_told_at_500_hz() -> None:
    """1801 samples at 360 Hz are 2501.4 at 500 Hz: the last output lies before the 2502nd."""
    out = push(Assembler(), [chunk(0, 1801, fs=360, final=True)])
    assert marks(out)[-1] == EpochEnd(EPOCH, 2502, EPOCH + 1000 * 1801 / 360)


def test_a_later_epoch_ends_the_present_one() -> None:
    """What waits is handed on first, the hole masked; a straggler of the old epoch is dropped and counted."""
    assembler = Assembler()
    push(assembler, [chunk(0, 100), chunk(200, 300)])
    later = EPOCH + 60_000
    out = push(assembler, [chunk(0, 100, epoch=later, fs=250), chunk(300, 400)])
    assert marks(out) == [EpochEnd(EPOCH, 300, EPOCH + 400), EpochStart(later)]
    assert [s.epoch for s in spans(out)][-1] == later
    assert (assembler.epoch, assembler.counts.old_epoch, assembler.counts.gaps) == (later, 1, 1)


def restarted(first: int, end: int, value: int, *, after_ms: int = 20_000, **changes: object) -> Chunk:
    return chunk(first, end, value, sent_at=EPOCH + after_ms + 2.0 * end, **changes)


def test_a_numbering_that_begins_again_is_a_new_epoch() -> None:
    """Sent later, numbered lower, far below: an epoch of its own; the declared epoch's chunks belong to it now."""
    assembler = Assembler()
    old = list(live(4000))
    push(assembler, old[:-1])
    out = push(assembler, [restarted(100, 200, 7), restarted(0, 100, 7), old[-1], old[3], restarted(200, 300, 7)])
    implied = EPOCH + 20_000
    assert marks(out) == [EpochEnd(EPOCH, 3900, EPOCH + 20_400), EpochStart(implied)]
    new = [s for s in spans(out) if s.epoch == implied]
    assert [(s.first, s.end, level(s)) for s in new] == [(0, 200, 7), (200, 300, 7)]
    assert (assembler.counts.restarts, assembler.counts.old_epoch) == (1, 2)
    again = push(assembler, [chunk(0, 100, epoch=EPOCH + 1)])
    assert marks(again)[-1] == EpochStart(implied + 1)


def test_a_duplicate_is_no_restart() -> None:
    """The broker delivers the first minute once more: all of it is dropped, and the stream goes on."""
    assembler = Assembler()
    chunks = list(live(30_000))
    push(assembler, chunks)
    assert push(assembler, chunks) == []
    assert (assembler.counts.restarts, assembler.counts.duplicates) == (0, 300)
    assert len(spans(push(assembler, [chunk(30_000, 30_100)]))) == 1


def test_a_restart_within_the_reorder_bound_costs_no_more_than_the_bound() -> None:
    """It cannot be told from lateness; the bed is heard again as soon as the new numbering passes the old."""
    assembler = Assembler(reorder_s=2.0)
    push(assembler, live(900))
    out = push(assembler, (restarted(a, a + 100, 7) for a in range(0, 1200, 100)))
    assert [(s.first, level(s)) for s in spans(out)] == [(900, 7), (1000, 7), (1100, 7)]
    assert marks(out) == []


def test_a_restart_after_the_end_is_heard() -> None:
    """A monitor that said final and then counts from 0 again, in the same epoch, is not dropped for ever."""
    assembler = Assembler()
    push(assembler, [*live(4000), chunk(4000, 4100, final=True)])
    assert marks(push(assembler, [restarted(0, 100, 7)])) == [EpochStart(EPOCH + 20_000)]


def test_another_rate_in_one_epoch_is_refused() -> None:
    """The error quotes both rates, and the stream goes on as before; a restart may change the rate."""
    assembler = Assembler()
    push(assembler, live(300))
    with pytest.raises(ValueError, match="500 Hz, got 250 Hz"):
        assembler.push(chunk(300, 400, fs=250))
    assert len(spans(push(assembler, [chunk(300, 400)]))) == 1
    assert assembler.counts.refused == 1
    assert marks(push(assembler, [restarted(0, 50, 7, fs=250)]))[-1] == EpochStart(EPOCH + 20_000 - 100)


@pytest.mark.parametrize("before", [0, 300])
def test_a_jump_that_the_clock_does_not_bear_out_is_refused(before: int) -> None:
    """A corrupt index neither fills the ward with empty signal nor moves the watermark, be it the epoch's first."""
    assembler = Assembler()
    push(assembler, live(before))
    with pytest.raises(ValueError, match=r"first_sample: expected at most 3600 s beyond .*, got 1000000000000"):
        assembler.push(chunk(10**12, 10**12 + 100, sent_at=EPOCH + 1000.0))
    assert len(spans(push(assembler, [chunk(before, before + 100)]))) == 1


@pytest.mark.parametrize("field", [{"sent_at": float("nan")}, {"sent_at": 1e300}, {"uv_per_bit": 1e38}])
def test_what_no_monitor_can_mean_is_refused(field: dict[str, float]) -> None:
    """Such a value would poison every sample or the order of sending."""
    ((name, _),) = field.items()
    with pytest.raises(ValueError, match=name):
        Assembler().push(chunk(0, 100, **field))


@pytest.mark.parametrize("clock_off_ms", [0, 5 * 3_600_000])
def test_a_monitor_cut_off_for_hours_is_heard_again(clock_off_ms: int) -> None:
    """Two hours on in the same numbering, and by its own clock as well: a new epoch there, not silence for ever."""
    assembler = Assembler()
    far = 2 * 3600 * 500
    zero = EPOCH + clock_off_ms
    push(assembler, (chunk(a, a + 100, sent_at=zero + 2.0 * a) for a in range(0, 300, 100)))
    out = push(assembler, (chunk(a, a + 100, sent_at=zero + 2.0 * a) for a in range(far, far + 2000, 100)))
    anew = EPOCH + 2 * (far - 1000)  # by the reorder bound earlier
    assert marks(out) == [EpochEnd(EPOCH, 300, zero + 2.0 * far), EpochStart(anew)]
    new = [s for s in spans(out) if s.epoch == anew]
    assert (new[0].first, new[-1].end, assembler.counts.jumps) == (0, 3000, 1)


def test_a_bed_joined_late_in_its_epoch_starts_there() -> None:
    """A worker that never saw the epoch's first days begins with what it has."""
    far = 3 * 86400 * 500
    out = push(Assembler(), (chunk(a, a + 100) for a in range(far, far + 2000, 100)))
    assert marks(out) == [EpochStart(EPOCH + 2 * (far - 1000))]


def test_an_hour_of_gap_costs_no_memory() -> None:
    """The hole is handed on hop by hop, 3598 spans, while next to nothing is held."""
    assembler = Assembler()
    push(assembler, live(1000))
    list(assembler.push(chunk(1000, 1100)))
    tracemalloc.start()
    seconds = sum(
        1 for out in assembler.push(chunk(3598 * 500, 3598 * 500 + 100)) if isinstance(out, Span) and out.window
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds == 3589
    assert peak < 4_000_000


def test_views_stay_intact_for_another_second() -> None:
    """The window at hand is not overwritten by the spans drawn or the second pushed after it."""
    assembler = Assembler()
    push(assembler, live(7100))
    window = next(s.window for s in spans(push(assembler, [chunk(7100, 7700)])) if s.window)
    copy = window.microvolts.copy()
    push(assembler, (chunk(a, a + 100, value=9) for a in range(7700, 8200, 100)))
    assert (window.microvolts == copy).all()
    long = iter(assembler.push(chunk(8200, 13_000, value=5)))
    for out in long:
        assert isinstance(out, Span)
        assert (out.microvolts[1, -300:] == 5).all()
        if out.window is None:
            continue
        assert (out.window.microvolts[1, -300:] == 5).all()
        assert set(np.unique(out.window.microvolts[1])) <= {5.0, 9.0, 100.0}


def test_an_iterator_must_be_drawn_to_its_end() -> None:
    """A caller that forgets loses no samples silently."""
    assembler = Assembler()
    assembler.push(chunk(0, 100))
    with pytest.raises(RuntimeError, match="not drawn"):
        assembler.push(chunk(100, 200))
    with pytest.raises(RuntimeError, match="not drawn"):
        assembler.snapshot()


def test_a_snapshot_of_other_settings_is_refused() -> None:
    """A ring of another window cannot be refilled from it."""
    with pytest.raises(ValueError, match=r"\(5000, 500, 2000\), got 1 of \(5000, 250, 2000\)"):
        Assembler().restore(Assembler(hop_s=0.5).snapshot())


def test_a_log_that_was_cut_short_is_masked_and_counted() -> None:
    """What a refill cannot bring back is not made up, and the bed lives."""
    before = Assembler()
    chunks = list(live(6000))
    push(before, chunks)
    after = Assembler()
    after.restore(before.snapshot())
    for c in chunks[30:]:
        after.refill(c)
    (span,) = [s for s in spans(push(after, [chunk(6000, 6500)])) if s.window]
    assert span.window
    assert span.window.mask[1].tolist() == [False] * 1500 + [True] * 3500
    assert after.counts.unrefilled == 1500  # the window is that of 1500 … 6500


def test_a_refused_chunk_is_not_refilled() -> None:
    """A chunk that named another rate before the numbering began again at that rate has no part in the new one."""
    before, after = Assembler(), Assembler()
    log = [
        *live(4000),
        restarted(100, 150, 1, fs=250, seq=99, after_ms=20_200),
        restarted(0, 50, 2, fs=250, seq=0),
        restarted(50, 100, 3, fs=250, seq=1, after_ms=21_000),
        restarted(0, 50, 4, fs=250, seq=0, after_ms=21_300),
        restarted(100, 300, 5, fs=250, seq=2, after_ms=21_000),
    ]
    refused = 0
    for c in log:
        try:
            push(before, [c])
        except ValueError:
            refused += 1
    assert (refused, before.counts.restarts) == (2, 1)
    after.restore(before.snapshot())
    for c in log:
        after.refill(c)
    assert after.snapshot(with_ring=True) == before.snapshot(with_ring=True)


def test_before_the_first_chunk_there_is_nothing() -> None:
    """A fresh bed has no epoch, needs nothing, ends nothing, and can be saved."""
    assembler = Assembler()
    assert (assembler.epoch, assembler.needed_from, list(assembler.end())) == (None, 0, [])
    other = Assembler()
    other.restore(assembler.snapshot(with_ring=True))
    assert marks(push(other, [chunk(0, 100)])) == [EpochStart(EPOCH)]
