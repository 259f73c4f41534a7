"""Order: the first copy of each sample, holes given up when they must be."""

import numpy as np

from windowing.order import Reorder, Segment
from windowing.ring import Ring
from windowing.state import SavedSegment


def segment(first: int, end: int, value: int) -> Segment:
    return Segment(first, end, np.array([0]), 1.0, np.full((1, end - first), value, dtype="<i2"))


def taken(order: Reorder, *, drain: bool = False) -> list[tuple[int, int, int | None]]:
    got = []
    while (part := order.take(drain=drain)) is not None:
        got.append((part.first, part.end, None if part.is_gap else int(part.counts[0, part.at])))
    return got


def test_of_each_sample_the_first_copy() -> None:
    """What waits is not overwritten by a later copy; only what is new of that is taken, on both sides."""
    order = Reorder(bound=100)
    assert order.offer(segment(10, 20, 1)) == 10
    assert order.offer(segment(30, 40, 2)) == 10
    assert order.offer(segment(5, 45, 3)) == 20
    assert order.offer(segment(12, 18, 4)) == 0
    assert order.offer(segment(0, 8, 5)) == 5
    assert taken(order) == [(0, 5, 5), (5, 10, 3), (10, 20, 1), (20, 30, 3), (30, 40, 2), (40, 45, 3)]
    assert order.offer(segment(40, 50, 6)) == 5
    assert taken(order) == [(45, 50, 6)]


def test_a_cut_segment_still_reads_its_own_samples() -> None:
    """A part of a part begins at the right column, saved and read again too."""
    whole = Segment(100, 110, np.array([0]), 1.0, np.arange(10, dtype="<i2")[None])
    part = whole.cut(103, 109).cut(105, 107)
    assert part.counts[0, part.at] == 5
    saved = SavedSegment.of(part).segment()
    assert (saved.first, saved.end) == (105, 107)
    assert saved.counts.tolist() == [[5, 6]]


def test_a_hole_is_given_up_at_the_bound_and_not_before() -> None:
    """The decision falls at exactly ``bound`` samples beyond the hole's beginning."""
    order = Reorder(bound=50)
    order.offer(segment(20, 49, 1))
    assert taken(order) == []
    order.offer(segment(49, 50, 2))
    assert taken(order) == [(0, 20, None), (20, 49, 1), (49, 50, 2)]
    assert order.was_given_up(segment(19, 22, 3))
    assert not order.was_given_up(segment(20, 22, 3))
    order.forget(20)
    assert order.gaps == []


def test_draining_gives_up_every_hole() -> None:
    """At an epoch's end nothing waits any longer."""
    order = Reorder(bound=1000)
    order.offer(segment(10, 20, 1))
    order.offer(segment(30, 40, 2))
    assert taken(order, drain=True) == [(0, 10, None), (10, 20, 1), (20, 30, None), (30, 40, 2)]


def test_the_mirror_gives_every_stretch_as_one_view() -> None:
    """A stretch across the ring's end reads as if it did not end there, without a copy."""
    ring = Ring(100)
    samples = np.arange(12 * 100, dtype=np.float32).reshape(12, 100)
    ring.write(70, samples, samples > 500)
    microvolts, mask = ring.view(70, 170)
    assert (microvolts == samples).all()
    assert (mask == (samples > 500)).all()
    assert np.shares_memory(microvolts, ring.microvolts)
    assert (ring.view(95, 105)[0] == samples[:, 25:35]).all()
