"""Intervals by patient."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardbeat.evaluation.bootstrap import Estimate, estimate, estimate_metric
from wardbeat.evaluation.metrics import Floats, auroc, f1

PATIENTS = st.lists(
    st.tuples(st.integers(0, 5).map(str), st.floats(-100, 100, allow_subnormal=False)), min_size=1, max_size=30
)


def mean_of(values: Floats):
    return lambda weight: float(weight @ values / weight.sum())


@settings(deadline=None)
@given(PATIENTS, st.integers(0, 3))
def test_the_interval_contains_the_estimate(rows: list[tuple[str, float]], seed: int) -> None:
    """Of a mean: no draw of patients lies apart from all of them."""
    who, values = [name for name, _ in rows], np.array([value for _, value in rows])
    found = estimate(mean_of(values), who, seed=seed, draws=300)
    assert found.value == pytest.approx(values.mean())
    assert (found.n, found.subjects) == (len(rows), len(set(who)))
    if found.subjects == 1:
        assert (found.low, found.high) == (None, None)
    else:
        assert values.min() - 1e-9 <= found.low <= found.value + 1e-9
        assert found.value - 1e-9 <= found.high <= values.max() + 1e-9


def test_patients_are_drawn_not_windows() -> None:
    """A hundred windows of two patients tell no more than two windows: each draw has 0, 1 or 2 times the one."""
    who = ["a"] * 50 + ["b"] * 50
    found = estimate(mean_of(np.r_[np.zeros(50), np.ones(50)]), who)
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_the_interval_has_the_width_of_the_standard_error() -> None:
    """For a mean of many patients the percentiles are those of the normal distribution, to what 4000 draws tell."""
    values = np.random.default_rng(5).normal(size=400)
    found = estimate(mean_of(values), [f"p{i}" for i in range(400)], draws=4000)
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_a_seed_gives_the_same_interval_whatever_the_order_of_windows() -> None:
    """Reports can be made again, from rows in any order."""
    rng = np.random.default_rng(1)
    y, p = (rng.random(200) < 0.3).astype(float), rng.random(200)
    who = np.array([f"p{i}" for i in rng.integers(20, size=200)])
    order = rng.permutation(200)
    first = estimate_metric(auroc, y, p, who, seed=3)
    again = estimate_metric(auroc, y[order], p[order], who[order], seed=3)
    other = estimate_metric(auroc, y, p, who, seed=4)
    assert (first.low, first.high) == pytest.approx((again.low, again.high))
    assert (first.low, first.high) != (other.low, other.high)


def test_draws_of_one_class_are_undefined_and_told() -> None:
    """One patient of twenty has AF: a third of the draws lacks him, so there is no interval. With ten there is one."""
    y, p = np.tile([0.0, 0.0, 1.0, 0.0], 20), np.tile([0.1, 0.2, 0.9, 0.95], 20)
    who = np.repeat([f"p{i}" for i in range(20)], 4)
    few = estimate_metric(auroc, np.where(who == "p0", y, 0), p, who)
    assert few.value is not None
    assert (few.low, few.high) == (None, None)
    assert few.undefined == pytest.approx(0.95**20, abs=0.05)
    some = estimate_metric(auroc, np.where(np.char.str_len(who) == 2, y, 0), p, who)
    assert some.low is not None
    assert some.undefined == pytest.approx(0.5**20, abs=0.001)


def test_what_is_undefined_has_neither_value_nor_interval() -> None:
    """No AF at all: no F1, whatever was called; no rows at all: nobody was counted."""
    assert estimate_metric(f1, [0, 0], [0.1, 0.9], ["a", "b"]) == Estimate(None, None, None, 2, 2, 1.0)
    assert estimate_metric(f1, [], [], []) == Estimate(None, None, None, 0, 0, 1.0)


def test_unknown_truth_counts_no_patient() -> None:
    """The n beside a number is what it was computed from."""
    found = estimate_metric(auroc, [0, 1, np.nan, np.nan], [0.1, 0.8, 0.5, np.nan], ["a", "b", "b", "c"])
    assert (found.n, found.subjects) == (2, 2)


def test_a_number_without_its_n_cannot_be_made() -> None:
    """Nor can one be read."""
    with pytest.raises(ValueError, match=r"0\.9 of 0 counted in 0 subjects"):
        Estimate(0.9, None, None, 0, 0)


def test_infinite_bounds_are_left_open() -> None:
    """A median delay that is infinite in many draws has no upper bound, but still a lower one."""
    values = np.array([5.0, 6.0, 7.0, np.inf])
    found = estimate(lambda weight: float(np.max(values[weight > 0])), list("abcd"))
    assert found.value is None
    assert (found.low, found.high) == (6.0, None)


def test_wrong_draws_are_refused() -> None:
    """Quoted, as all errors are."""
    with pytest.raises(ValueError, match=r"0, 0\.95"):
        estimate(np.sum, ["a", "b"], draws=0)
    with pytest.raises(ValueError, match=r"\(2,\), \(2,\), \(3,\)"):
        estimate_metric(auroc, [0, 1], [0, 1], ["a", "b", "c"])
