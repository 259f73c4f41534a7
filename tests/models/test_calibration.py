"""Calibration: the fit finds what was put in, keeps the order, and says how sure one may be."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from models.uncertainty.calibration import (
    LEAST_SLOPE,
    Calibration,
    equal_weights,
    fit_calibration,
    fit_pairs,
    fit_platt,
    logit,
    logit_of_log,
    sigmoid,
)
from models.uncertainty.reliability import reliability
from tests.models.unfitted import identity

Floats = npt.NDArray[np.float64]


def patients(n: int, each: int = 1) -> npt.NDArray[np.str_]:
    """(n · each,) names."""
    return np.repeat([f"p{i}" for i in range(n)], each)


def drawn(n: int, a: float, c: float, seed: int = 0) -> tuple[Floats, Floats]:
    """Logits z, and outcomes with probability σ(a z + c)."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 3, n)
    return z, (rng.random(n) < sigmoid(a * z + c)).astype(float)


@pytest.mark.parametrize(("a", "c"), [(1.0, 0.0), (0.4, -1.5), (2.5, 1.0)])
def test_the_fit_finds_what_was_put_in(a: float, c: float) -> None:
    """Overconfident, shy or shifted: the pair that made the outcomes comes back."""
    z, y = drawn(40_000, a, c)
    found = fit_platt(z, y)
    assert found == pytest.approx((a, c), rel=0.05, abs=0.05)


def test_the_fit_is_that_of_a_reference() -> None:
    """Against scikit-learn's unpenalised logistic regression with weights; the ridge is one sample of many."""
    z, y = drawn(20_000, 0.7, 0.5)
    w = np.random.default_rng(5).uniform(0.1, 3, len(z))
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(z[:, None], y, sample_weight=w)
    expected = (reference.coef_[0, 0], reference.intercept_[0])
    assert fit_platt(z, y, w) == pytest.approx(expected, abs=2e-3)


def test_a_weight_is_a_repetition() -> None:
    """Weight 2 is the sample twice; scale does not matter."""
    z, y = drawn(300, 0.5, 0.3)
    w = np.ones(300)
    w[:100] = 2
    twice = np.concatenate([np.arange(300), np.arange(100)])
    # The ridge weighs one sample of those given, 300 or 400: hence a tolerance.
    assert fit_platt(z, y, w) == pytest.approx(fit_platt(z[twice], y[twice]), abs=5e-3)
    assert fit_platt(z, y, w) == pytest.approx(fit_platt(z, y, 10 * w), abs=1e-9)


def test_databases_count_equally() -> None:
    """A database of 10 windows weighs as much as one of 1000, and all together as many windows as there are."""
    groups = np.array(["a"] * 10 + ["b"] * 1000 + ["c"] * 100)
    w = equal_weights(groups)
    assert w.sum() == pytest.approx(len(groups))
    assert [w[groups == g].sum() for g in "abc"] == pytest.approx([370] * 3)


def test_perfect_separation_and_a_network_that_is_wrong_stay_finite_and_rising() -> None:
    """Separable data would drive a to infinity; data the wrong way round would turn the order."""
    z = np.linspace(-5, 5, 50)
    a, c = fit_platt(z, (z > 0).astype(float))
    assert 1 < a < 20
    assert abs(c) < 1
    a, c = fit_platt(z, (z < -2).astype(float))
    assert a == LEAST_SLOPE
    assert sigmoid(a * z + c).mean() == pytest.approx((z < -2).mean(), abs=0.02)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-16, 16), st.booleans()), min_size=1, max_size=60),
    st.integers(0, 2**32 - 1),
)
def test_the_fit_always_ends_and_lies_in_the_minimum(samples: list[tuple[float, bool]], seed: int) -> None:
    """Whatever the data: an answer with a ≥ 0.05, and no step nearby lowers the loss."""
    z = np.array([each[0] for each in samples])
    y = np.array([float(each[1]) for each in samples])
    a, c = fit_platt(z, y)

    def loss(a: float, c: float) -> float:
        v = a * z + c
        return float((np.logaddexp(0, v) - y * v).sum() + 0.5 * ((a - 1) ** 2 + c**2))

    assert a >= LEAST_SLOPE
    for da, dc in np.random.default_rng(seed).normal(0, 0.01, (20, 2)):
        assert loss(max(a + da, LEAST_SLOPE), c + dc) >= loss(a, c) - 1e-6


@pytest.mark.parametrize(
    ("z", "y", "w", "message"),
    [
        ([1.0, np.nan], [0.0, 1.0], [1.0, 1.0], "finite"),
        ([1.0, 2.0], [0.0, 1.5], [1.0, 1.0], "target: expected 0 to 1, got 0.0 to 1.5"),
        ([1.0, 2.0], [0.0, 1.0], [1.0, -1.0], "not below 0"),
        ([1.0, 2.0], [0.0], [1.0, 1.0], "expected .n,. each"),
    ],
)
def test_what_cannot_be_fitted_is_refused(z: list[float], y: list[float], w: list[float], message: str) -> None:
    """NaN, targets beyond 0 … 1, negative weights and unequal lengths."""
    with pytest.raises(ValueError, match=message):
        fit_platt(np.array(z), np.array(y), np.array(w))


def test_an_output_seen_in_few_patients_is_left_alone() -> None:
    """A hundred windows of four patients teach the patients; unknown targets count for neither side."""
    z = np.random.default_rng(1).normal(size=(200, 3))
    target = np.full((200, 3), np.nan)
    subject = patients(20, 10)
    target[:, 0] = np.arange(200) < 50  # five patients with, fifteen without
    target[:, 1] = np.arange(200) < 40  # four with
    target[:60, 2] = np.arange(60) < 50  # five with, one without; the rest is unknown
    slopes, offsets, fitted = fit_pairs(z, target, subject)
    assert fitted.tolist() == [True, False, False]
    assert slopes[1:].tolist() == [1, 1]
    assert offsets[1:].tolist() == [0, 0]
    assert -0.5 < offsets[0] < -0.05  # twenty patients against the hundred that the network's own is worth
    assert fit_pairs(z[:, :1], target[:, :1], subject, ridge=0.1)[1][0] < -0.5
    doubled = fit_pairs(np.repeat(z, 2, 0), np.repeat(target, 2, 0), np.repeat(subject, 2))
    assert doubled[1][0] == pytest.approx(offsets[0])  # more windows of the same patients say no more


def test_unknown_targets_take_no_part() -> None:
    """The fit of a column with unknowns is that of its known rows."""
    z, y = drawn(500, 0.5, -0.5)
    target = y.copy()
    target[250:] = np.nan
    weights = np.arange(1.0, 501.0)
    slopes, offsets, _ = fit_pairs(z[:, None], target[:, None], patients(500), weights, ridge=1.0)
    assert (slopes[0], offsets[0]) == fit_platt(z[:250], y[:250], np.arange(1.0, 251.0))


def test_windows_and_seconds_are_calibrated_each_with_its_own() -> None:
    """Both fits through the whole path: an overconfident network's probabilities come to mean what they say."""
    rng = np.random.default_rng(3)
    n = 30_000
    z, z_seconds = rng.normal(0, 3, (n, 13)), rng.normal(0, 3, (n, 10, 5))
    target = (rng.random((n, 13)) < sigmoid(0.5 * z - 1)).astype(np.float32)
    seconds_target = (rng.random((n, 10, 5)) < sigmoid(0.25 * z_seconds + 0.5)).astype(np.float32)
    seconds = np.full((n, 10, 13), 0.5, np.float32)
    seconds[..., :5] = sigmoid(z_seconds)
    pooled_log = np.log(sigmoid(z)).astype(np.float32)
    fit = fit_calibration(pooled_log, seconds, target, seconds_target, patients(n))
    assert fit.windows.all()
    assert fit.seconds.all()
    calibration = fit.calibration
    assert calibration.slope == pytest.approx(np.full(13, 0.5), abs=0.08)
    assert calibration.second_slope == pytest.approx(np.full(5, 0.25), abs=0.03)
    assert calibration.windows(pooled_log) == pytest.approx(sigmoid(0.5 * z - 1), abs=0.06)
    assert calibration.seconds(seconds) == pytest.approx(sigmoid(0.25 * z_seconds + 0.5), abs=0.03)


def test_without_a_fit_nothing_changes() -> None:
    """The identity gives back the probabilities, from logarithms and directly."""
    p = np.random.default_rng(0).uniform(0.001, 0.999, (4, 10, 13))
    calibration = identity()
    assert calibration.windows(np.log(p[:, 0])) == pytest.approx(p[:, 0])
    assert calibration.seconds(p) == pytest.approx(p[..., :5])


def test_certainty_stays_finite() -> None:
    """Float32 probabilities of exactly 0 and 1 do not become infinite or NaN."""
    assert logit(np.array([0.0, 1.0], np.float32)).tolist() == pytest.approx([-16, 16], abs=1e-6)
    assert logit_of_log(np.array([-np.inf, 0.0, -200.0], np.float32)).tolist() == pytest.approx(
        [-16, 16, -16], abs=1e-6
    )


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-40, 0), min_size=2, max_size=20),
    st.floats(0.05, 5),
    st.floats(-5, 5),
)
def test_calibration_keeps_the_order(logs: list[float], a: float, c: float) -> None:
    """The likelier window stays the likelier one: alarms and AUROC do not depend on the fit."""
    calibration = Calibration(np.full(13, a), np.full(13, c), np.ones(5), np.zeros(5))
    ascending = np.repeat(np.sort(logs)[:, None], 13, axis=1)
    assert (np.diff(calibration.windows(ascending), axis=0) >= 0).all()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("slope", np.zeros(13), "slopes above 0"),
        ("offset", np.full(13, np.nan), "offset: expected finite"),
        ("second_slope", np.ones(13), r"second_slope: expected \(5,\) float64, got \(13,\)"),
        ("second_offset", np.zeros(5, np.float32), "float32"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(name: str, value: Floats, message: str) -> None:
    """What turns the order, is not a number or of another shape."""
    arrays = {**identity().arrays(), name: value}
    with pytest.raises(ValueError, match=message):
        Calibration.from_arrays(arrays)


def test_probabilities_that_are_not_are_refused() -> None:
    """NaN would pass every comparison as False; the wrong number of outputs would be another network's."""
    with pytest.raises(ValueError, match="1 of 13 are NaN"):
        identity().windows(np.where(np.arange(13) == 2, np.nan, -1.0))
    with pytest.raises(ValueError, match=r"expected \(…, 13\), got \(5,\)"):
        identity().windows(np.zeros(5))


def test_the_error_of_calibration_is_measured() -> None:
    """A probability that is 0.2 too high has an ECE of 0.2; a true one has nearly none, after the fit as well."""
    z, y = drawn(20_000, 1.0, 0.0)
    subject = patients(20_000)
    true = reliability(sigmoid(z), y, subject)
    assert true.ece < 0.02
    assert (true.windows, true.subjects, true.share) == (20_000, 20_000, y.mean())
    constant = reliability(np.full(len(y), y.mean() + 0.2), y, subject)
    assert constant.ece == pytest.approx(0.2)
    assert constant.brier == pytest.approx(y.var() + 0.04)
    assert constant.log_loss > true.log_loss
    spoilt = reliability(sigmoid(3 * z + 1), y, subject)
    a, c = fit_platt(3 * z + 1, y)
    mended = reliability(sigmoid(a * (3 * z + 1) + c), y, subject)
    assert spoilt.ece > 5 * mended.ece


def test_few_patients_make_wide_intervals() -> None:
    """The same windows of 20 patients instead of 2000 are less sure, since a patient's windows are alike."""
    rng = np.random.default_rng(4)
    bias = np.repeat(rng.normal(0, 2, 20), 100)
    z = rng.normal(0, 2, 2000)
    y = (rng.random(2000) < sigmoid(z + bias)).astype(float)
    few = reliability(sigmoid(z), y, patients(20, 100))
    many = reliability(sigmoid(z), y, patients(2000))
    assert few.ece == many.ece
    assert few.ece_high - few.ece_low > 2 * (many.ece_high - many.ece_low)


def test_reliability_leaves_out_the_unknown_and_counts_weights() -> None:
    """Unknown targets take no part; none at all is an error; weights move the share."""
    p, y = np.array([0.5, 0.5, 0.9]), np.array([1.0, 0.0, np.nan])
    found = reliability(p, y, patients(3), np.array([3.0, 1.0, 9.0]))
    assert (found.windows, found.subjects, found.share) == (2, 2, 0.75)
    with pytest.raises(ValueError, match="none of 3 is known"):
        reliability(p, np.full(3, np.nan), patients(3))
