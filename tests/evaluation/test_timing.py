"""Errors of onsets and offsets, and delays of alarms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardbeat.evaluation.episodes import Alarm, Record
from wardbeat.evaluation.intervals import Interval, intervals
from wardbeat.evaluation.timing import delays, offset_changes, onset_changes

FS = 100
R_PEAKS = np.arange(0, 60_001, 80)  # 75 beats a minute for ten minutes


def record(reference: list[tuple[int, int]], told: list[tuple[int, int]], **rest: object) -> Record:
    span = Interval(0, 60_000)
    return Record("r", "s", FS, span, intervals(reference), intervals(told), **rest)  # type: ignore[arg-type]


def seconds(changes: list) -> list[float | None]:
    return [change.seconds for change in changes]


def test_errors_in_seconds_and_in_beats() -> None:
    """Told minus annotated, also between beats; what is late is positive."""
    watched = record([(8000, 16_000)], [(8200, 15_960)])
    (onset,), (offset,) = onset_changes(watched, R_PEAKS), offset_changes(watched, R_PEAKS)
    assert (onset.seconds, onset.beats) == (2.0, 2.5)
    assert (offset.seconds, offset.beats) == (-0.4, -0.5)
    assert onset.subject == "s"


def test_beats_follow_the_rhythm() -> None:
    """A second holds two beats at 120 a minute: beats are counted, not derived from a mean rate."""
    r_peaks = np.r_[np.arange(0, 8000, 100), np.arange(8000, 16_001, 50)]
    watched = record([(8000, 14_000)], [(7900, 14_100)])
    assert onset_changes(watched, r_peaks)[0].beats == -1
    assert offset_changes(watched, r_peaks)[0].beats == 2


def test_without_beats_there_is_no_error_in_beats() -> None:
    """Unknown, not zero."""
    (change,) = onset_changes(record([(8000, 16_000)], [(8200, 15_960)]), np.array([5]))
    assert (change.seconds, change.beats) == (2.0, None)


def test_a_missed_episode_has_no_error() -> None:
    """It stays in the list, so that one sees how many were told."""
    watched = record([(8000, 16_000), (20_000, 24_000)], [(8100, 16_000)])
    assert seconds(onset_changes(watched, R_PEAKS)) == [1.0, None]
    assert seconds(offset_changes(watched, R_PEAKS)) == [0.0, None]


def test_ends_that_touch_tell_nothing() -> None:
    """An episode or alarm that ends where AF begins is not of that AF."""
    watched = record([(8000, 16_000)], [(6000, 8000), (16_000, 17_000)])
    assert seconds(onset_changes(watched, R_PEAKS)) == seconds(offset_changes(watched, R_PEAKS)) == [None]
    touching = [Alarm(6000, 8000, 7000), Alarm(16_000, 17_000, 16_500)]
    assert delays(watched, touching)[0].provisional_s == float("inf")


def test_fragments_and_mergers() -> None:
    """Of fragments the first has the onset, the last the offset; of merged episodes each end was told once."""
    fragments = record([(8000, 16_000)], [(8100, 9000), (10_000, 11_000), (14_000, 15_900)])
    assert seconds(onset_changes(fragments, R_PEAKS)) == [1.0]
    assert seconds(offset_changes(fragments, R_PEAKS)) == [-1.0]
    merged = record([(8000, 16_000), (18_000, 24_000)], [(7900, 24_300)])
    assert seconds(onset_changes(merged, R_PEAKS)) == [-1.0, None]
    assert seconds(offset_changes(merged, R_PEAKS)) == [None, 3.0]


def test_what_runs_at_the_edge_has_no_onset_to_find() -> None:
    """AF at the start or the end of the span, or beside unknown rhythm, began or ended where nobody looked."""
    reference, told = (
        [(500, 8000), (20_000, 30_000), (50_000, 60_000)],
        [(600, 8200), (20_300, 30_400), (50_500, 59_400)],
    )
    watched = record(reference, told, unknown=intervals([(30_500, 31_000)]))
    assert seconds(onset_changes(watched, R_PEAKS)) == [3.0, 5.0]
    assert seconds(offset_changes(watched, R_PEAKS)) == [2.0]
    known_for_longer = record(reference, told, unknown=intervals([(31_000, 31_500)]))
    assert seconds(offset_changes(known_for_longer, R_PEAKS)) == [2.0, 4.0]


def test_delays_by_hand() -> None:
    """The first alarm counts; an episode under which one stood already is left out; a missed one's is infinite."""
    watched = record([(8000, 16_000), (20_000, 24_000), (30_000, 34_000), (40_000, 41_000)], [])
    alarms = [
        Alarm(8100, 12_000, provisional_at=9200, confirmed_at=11_500),
        Alarm(13_000, 21_000, provisional_at=14_000, confirmed_at=17_000),
        Alarm(40_000, 41_000, provisional_at=41_500),
    ]
    found = delays(watched, alarms)
    assert [delay.provisional_s for delay in found] == [12.0, float("inf"), 15.0]
    assert [delay.confirmed_s for delay in found] == [35.0, float("inf"), float("inf")]
    assert len(delays(watched, alarms, shortest_s=40)) == 2


@given(
    st.lists(st.integers(10, 590), min_size=2, max_size=12, unique=True),
    st.integers(-5, 5),
)
def test_a_shift_is_the_error(edges: list[int], shift: int) -> None:
    """Episodes told all too late by the same time have just that error, in seconds and in beats."""
    edges = sorted(edges)[: len(edges) // 2 * 2]
    pairs = [(a * FS, b * FS) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    kept = [(a, b) for i, (a, b) in enumerate(pairs) if b - a > 500 and (i == 0 or a - pairs[i - 1][1] > 500)]
    watched = record(kept, [(a + shift * FS, b + shift * FS) for a, b in kept])
    for changes in (onset_changes(watched, R_PEAKS), offset_changes(watched, R_PEAKS)):
        for change in changes:
            assert change.seconds == shift
            assert change.beats == pytest.approx(shift / 0.8)
