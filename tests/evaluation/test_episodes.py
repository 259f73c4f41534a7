"""AF episodes told against annotated ones, after EC57, by hand and by what must always hold."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardbeat.evaluation.episodes import (
    Alarm,
    Comparison,
    Record,
    average,
    compare,
    false_alarms,
    gross,
)
from wardbeat.evaluation.intervals import Interval, Intervals, common, intervals, length, without

END = 200
FIGURES = ("episode_sensitivity", "episode_ppv", "duration_sensitivity", "duration_ppv")


@st.composite
def lists(draw: st.DrawFn, smallest: int = 0) -> Intervals:
    edges = draw(st.lists(st.integers(0, END), min_size=2 * smallest, max_size=12, unique=True))
    return intervals(zip(*[iter(sorted(edges))] * 2, strict=False)) if len(edges) > 1 else ()


def record(reference: Intervals, told: Intervals, **rest: object) -> Record:
    return Record("r", "s", 10, Interval(0, END), intervals(reference), intervals(told), **rest)  # type: ignore[arg-type]


def covered(parts: Intervals) -> np.ndarray:
    samples = np.zeros(END, bool)
    for onset, offset in parts:
        samples[onset:offset] = True
    return samples


@given(lists(), lists())
def test_interval_arithmetic_is_that_of_sets(a: Intervals, b: Intervals) -> None:
    """What lies in both, and in one only, sample by sample; and the lists stay in order."""
    assert (covered(common(a, b)) == (covered(a) & covered(b))).all()
    assert (covered(without(a, b)) == (covered(a) & ~covered(b))).all()
    assert length(a) == covered(a).sum()
    intervals(common(a, b))
    intervals(without(a, b))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(5, 5)], r"AF: \(5, 5\) is empty"),
        ([(5, 9), (8, 12)], r"AF: \(8, 12\) begins before \(5, 9\) ends"),
        ([(10, 12), (1, 3)], r"\(1, 3\) begins before"),
    ],
)
def test_intervals_that_are_none_are_refused(pairs: list[tuple[int, int]], message: str) -> None:
    """Empty, overlapping or out of order: quoted."""
    with pytest.raises(ValueError, match=message):
        intervals(pairs, "AF")


@given(lists(smallest=1))
def test_the_truth_is_perfect(episodes: Intervals) -> None:
    """Identical lists: everything is 1, and no burden is wrong."""
    same = compare(record(episodes, episodes))
    assert [getattr(same, figure) for figure in FIGURES] == [1, 1, 1, 1]
    assert same.called_af_s == same.af_s


@given(lists(), lists())
def test_sensitivity_is_the_predictivity_of_the_swapped_lists(a: Intervals, b: Intervals) -> None:
    """Sensitivity asks of one list what predictivity asks of the other."""
    one, other = compare(record(a, b)), compare(record(b, a))
    for sensitivity, ppv in (FIGURES[:2], FIGURES[2:]):
        assert getattr(one, sensitivity) == pytest.approx(getattr(other, ppv), nan_ok=True)
        assert getattr(one, ppv) == pytest.approx(getattr(other, sensitivity), nan_ok=True)
    assert (one.called_af_s, one.af_s) == (other.af_s, other.called_af_s)


@given(lists(), lists())
def test_durations_are_those_of_the_samples(a: Intervals, b: Intervals) -> None:
    """Seconds of AF, told, and both, counted sample by sample."""
    found = compare(record(a, b))
    af, told = covered(a), covered(b)
    assert found.reference_s == pytest.approx(af.sum() / 10)
    assert found.told_s == pytest.approx(told.sum() / 10)
    assert found.detected_s == found.true_s == pytest.approx((af & told).sum() / 10)
    assert (found.called_af_s, found.af_s) == pytest.approx((told.sum() / 10, af.sum() / 10))


@given(lists(), lists(), lists())
def test_more_told_never_detects_less(a: Intervals, b: Intervals, more: Intervals) -> None:
    """Sensitivities grow with what is told."""
    all_told = intervals(sorted({*without(more, b), *b}))
    before, after = compare(record(a, b)), compare(record(a, all_told))
    assert after.detected_episodes >= before.detected_episodes
    assert after.detected_s >= before.detected_s - 1e-9


def test_counts_by_hand() -> None:
    """Two of three annotated are hit, one of them twice; three of four told hit one; ends that touch are no overlap."""
    found = compare(record(((10, 30), (50, 60), (100, 140)), ((5, 12), (20, 25), (60, 70), (120, 180))))
    assert (found.reference_episodes, found.detected_episodes) == (3, 2)
    assert (found.told_episodes, found.true_episodes) == (4, 3)
    assert (found.reference_s, found.detected_s) == (7.0, 2.7)
    assert (found.told_s, found.true_s) == (8.2, 2.7)
    assert (found.episode_sensitivity, found.episode_ppv) == (2 / 3, 3 / 4)
    assert (found.called_af_s, found.af_s, found.judged_s) == (8.2, 7.0, END / 10)


def test_flutter_is_left_out_of_predictivity_only() -> None:
    """AF told in flutter is neither right nor wrong there (epicmp), but it is burden and it is no AF."""
    found = compare(record(((10, 20),), ((15, 40), (60, 70)), flutter=intervals([(20, 50), (60, 80)])))
    assert (found.told_episodes, found.true_episodes) == (1, 1)
    assert (found.told_s, found.true_s) == (0.5, 0.5)
    assert (found.reference_s, found.detected_s) == (1.0, 0.5)
    assert found.called_af_s == 3.5
    with pytest.raises(ValueError, match=r"as AF and as flutter: \(15, 20\)"):
        record(((10, 20),), (), flutter=intervals([(15, 40)]))


def test_only_what_is_analysed_and_known_counts() -> None:
    """Episodes are clipped to the span; those outside it or wholly in unknown rhythm are no episodes."""
    found = compare(
        Record(
            "r",
            "s",
            10,
            analysed=Interval(50, 150),
            reference=intervals([(10, 20), (40, 60), (100, 110), (145, 170)]),
            told=intervals([(0, 55), (100, 105), (160, 170)]),
            unknown=intervals([(90, 120)]),
        )
    )
    assert (found.reference_episodes, found.detected_episodes) == (2, 1)
    assert (found.told_episodes, found.true_episodes) == (1, 1)
    assert (found.judged_s, found.reference_s, found.told_s) == (7.0, 1.5, 0.5)


def test_an_episode_around_unknown_rhythm_is_one() -> None:
    """Its time shrinks, its number does not grow."""
    found = compare(record(((10, 50),), ((10, 50),), unknown=intervals([(20, 30)])))
    assert (found.reference_episodes, found.told_episodes, found.reference_s) == (1, 1, 3.0)


def test_gross_pools_and_average_weighs_records_alike() -> None:
    """A record without AF has no sensitivity to average, but its false episode weighs on the pool."""
    long = compare(record(((0, 100),), ((0, 50),)))
    short = compare(record(((0, 10),), ((0, 10),)))
    none = compare(record((), ((0, 40),)))
    pooled = gross([long, short, none])
    assert pooled.duration_sensitivity == pytest.approx(60 / 110)
    assert pooled.duration_ppv == pytest.approx(60 / 100)
    mean = average([long, short, none], "duration_sensitivity")
    assert (mean.value, mean.records) == (0.75, 2)
    assert average([long, short, none], "duration_ppv").value == pytest.approx(2 / 3)
    assert average([none], "episode_sensitivity").records == 0
    assert all(getattr(gross([]), field.name) == 0 for field in fields(Comparison))


def test_without_af_nothing_is_claimed() -> None:
    """No AF and none told: every figure is undefined, none is perfect."""
    found = compare(record((), ()))
    assert all(np.isnan(getattr(found, figure)) for figure in FIGURES)
    assert (found.called_af_s, found.af_s) == (0, 0)


def test_false_alarms_by_hand() -> None:
    """Overlapping AF by one sample is true; in flutter it is false; where nobody knows it does not count."""
    day = 86_400
    watched = Record(
        "r",
        "s",
        1,
        analysed=Interval(0, 2 * day),
        reference=intervals([(1000, 1000 + day // 2)]),
        told=(),
        flutter=intervals([(60_000, 61_000)]),
        unknown=intervals([(day, day + day // 4)]),
    )
    found = false_alarms(
        watched,
        [
            Alarm(900, 1001, 950, 980),
            Alarm(60_100, 60_200, 60_150, 60_190),
            Alarm(900, 1000, 950),
            Alarm(day + 10, day + 20, day + 15, day + 16),
        ],
    )
    assert (found.alarms, found.false, found.false_confirmed) == (3, 2, 1)
    assert found.bed_days == 1.25
    with pytest.raises(ValueError, match=r"r: alarm: \(5, 5\) is empty"):
        false_alarms(watched, [Alarm(5, 5, 5)])


@given(lists(), lists())
def test_an_alarm_is_false_exactly_where_no_af_is(a: Intervals, b: Intervals) -> None:
    """As many false alarms as episodes told that are not true."""
    found = false_alarms(record(a, b), [Alarm(onset, offset, offset) for onset, offset in b])
    compared = compare(record(a, b))
    assert (found.alarms, found.false) == (compared.told_episodes, compared.told_episodes - compared.true_episodes)
