"""Stretches of a record, half-open in sample indices, and what can be done with sorted lists of them."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple


class Interval(NamedTuple):
    """From the sample ``onset`` up to, but without, the sample ``offset``."""

    onset: int
    offset: int


Intervals = tuple[Interval, ...]


def intervals(pairs: Iterable[Sequence[int]], what: str = "intervals") -> Intervals:
    """The (onset, offset) pairs, checked.

    Raises:
        ValueError: one is empty, or they are not in order, or two overlap.
    """
    checked = tuple(Interval(int(onset), int(offset)) for onset, offset in pairs)
    for interval in checked:
        if interval.offset <= interval.onset:
            raise ValueError(f"{what}: {tuple(interval)} is empty")
    for before, after in pairwise(checked):
        if after.onset < before.offset:
            raise ValueError(f"{what}: {tuple(after)} begins before {tuple(before)} ends")
    return checked


def length(parts: Iterable[Interval]) -> int:
    """Samples in all."""
    return sum(part.offset - part.onset for part in parts)


def common(a: Sequence[Interval], b: Sequence[Interval]) -> Intervals:
    """What lies in both."""
    found, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        onset, offset = max(a[i].onset, b[j].onset), min(a[i].offset, b[j].offset)
        if onset < offset:
            found.append(Interval(onset, offset))
        if a[i].offset <= b[j].offset:
            i += 1
        else:
            j += 1
    return tuple(found)


def without(a: Sequence[Interval], b: Sequence[Interval]) -> Intervals:
    """What lies in ``a`` but not in ``b``."""
    left = []
    for onset, offset in a:
        for cut in common((Interval(onset, offset),), b):
            if onset < cut.onset:
                left.append(Interval(onset, cut.onset))
            onset = cut.offset
        if onset < offset:
            left.append(Interval(onset, offset))
    return tuple(left)
