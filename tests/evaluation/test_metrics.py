"""Metrics of windows, against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from wardbeat.evaluation import metrics
from wardbeat.evaluation.metrics import METRICS, Floats, confusion, weighted_median

TENTHS = st.integers(0, 10).map(lambda tenths: tenths / 10)  # few values, so that ties are common
ROWS = st.lists(st.tuples(st.integers(0, 1), TENTHS, st.integers(0, 3)), min_size=4, max_size=40).filter(
    lambda rows: {y for y, _, w in rows if w} == {0, 1}
)


def columns(rows: list[tuple[int, float, int]]) -> tuple[Floats, Floats, Floats]:
    y, p, w = np.array(rows, np.float64).T
    return y, p, w


@settings(deadline=None)
@given(ROWS)
def test_metrics_are_those_of_scikit_learn(rows: list[tuple[int, float, int]]) -> None:
    """Ties, weights and windows that a draw leaves out: every number is what the field's library computes."""
    y, p, w = columns(rows)
    called = (p >= 0.5).astype(float)
    assert metrics.auroc(y, p, w) == pytest.approx(sk.roc_auc_score(y, p, sample_weight=w))
    assert metrics.auprc(y, p, w) == pytest.approx(sk.average_precision_score(y, p, sample_weight=w))
    assert metrics.brier(y, p, w) == pytest.approx(np.average((p - y) ** 2, weights=w))
    assert metrics.sensitivity(y, p, w) == pytest.approx(sk.recall_score(y, called, sample_weight=w))
    assert metrics.specificity(y, p, w) == pytest.approx(sk.recall_score(y, called, sample_weight=w, pos_label=0))
    assert metrics.f1(y, p, w) == pytest.approx(sk.f1_score(y, called, sample_weight=w))
    if (w * called).any():
        assert metrics.ppv(y, p, w) == pytest.approx(sk.precision_score(y, called, sample_weight=w))
    else:
        assert np.isnan(metrics.ppv(y, p, w))


@settings(deadline=None)
@given(ROWS, st.sampled_from([0.01, 0.25, 0.5]))
def test_sensitivity_at_false_positives_is_a_point_of_the_roc_curve(
    rows: list[tuple[int, float, int]], rate: float
) -> None:
    """The best point of the ROC curve that keeps to the rate, never one between two thresholds."""
    y, p, w = columns(rows)
    false, true, _ = sk.roc_curve(y[w > 0], p[w > 0], sample_weight=w[w > 0], drop_intermediate=False)
    expected = true[false <= rate + 1e-12].max()
    assert metrics.sensitivity_at_false_positives(y, p, w, rate) == pytest.approx(expected)


@settings(deadline=None)
@given(ROWS)
def test_a_weight_is_that_many_copies(rows: list[tuple[int, float, int]]) -> None:
    """The bootstrap weighs instead of copying: both have to be the same."""
    y, p, w = columns(rows)
    copies = w.astype(int)
    for name, metric in METRICS.items():
        repeated = metric(np.repeat(y, copies), np.repeat(p, copies), None)
        assert metric(y, p, w) == pytest.approx(repeated, nan_ok=True), name


def test_sensitivity_at_one_percent_by_hand() -> None:
    """Of 200 negatives two may be called: the third highest bars the positives at and below it."""
    negatives = np.linspace(0, 0.5, 200)
    negatives[:3] = (0.9, 0.8, 0.7)
    y = np.r_[np.zeros(200), np.ones(4)]
    p = np.r_[negatives, 0.95, 0.75, 0.7, 0.1]
    assert metrics.sensitivity_at_false_positives(y, p) == 0.5


def test_calibration_error_against_scikit_learn() -> None:
    """Bins of equal width, each counting with its windows."""
    rng = np.random.default_rng(3)
    p = rng.random(500)
    y = (rng.random(500) < p**2).astype(float)
    true, mean = sk_calibration(y, p)
    n = np.bincount(np.minimum((p * 15).astype(int), 14), minlength=15)
    assert metrics.calibration_error(y, p) == pytest.approx(np.sum(n * np.abs(true - mean)) / 500)
    assert metrics.calibration_error([1, 0], [1.0, 0.0]) == 0
    with pytest.raises(ValueError, match=r"0 … 1: 0\.5 … 1\.5"):
        metrics.calibration_error([1, 0], [1.5, 0.5])


def sk_calibration(y: Floats, p: Floats) -> tuple[Floats, Floats]:
    from sklearn.calibration import calibration_curve

    true, mean = calibration_curve(y, p, n_bins=15)
    assert len(true) == 15
    return true, mean


@pytest.mark.parametrize("name", METRICS)
def test_windows_of_unknown_truth_do_not_count(name: str) -> None:
    """NaN truth changes nothing, even where there is no score."""
    y, p = np.array([0, 1, 0, 1, 1.0]), np.array([0.2, 0.9, 0.6, 0.4, 0.7])
    with_unknown = METRICS[name](np.r_[y, np.nan, np.nan], np.r_[p, 0.1, np.nan], None)
    assert with_unknown == METRICS[name](y, p, None)


@pytest.mark.parametrize("name", METRICS)
def test_a_missing_score_is_an_error(name: str) -> None:
    """A window without an answer is not dropped in silence."""
    with pytest.raises(ValueError, match="1 of 3 scores are not finite"):
        METRICS[name]([0, 1, 1], [0.1, np.nan, 0.5], None)


def test_what_is_refused() -> None:
    """Truth that is no truth, arrays of different lengths and negative weights are quoted."""
    with pytest.raises(ValueError, match=r"0, 1 or NaN: 0\.5 at 1"):
        metrics.auroc([0, 0.5], [0.1, 0.2])
    with pytest.raises(ValueError, match="alike"):
        metrics.auroc([0, 1], [0.1])
    with pytest.raises(ValueError, match=r"not be negative: -1\.0"):
        metrics.auroc([0, 1], [0.1, 0.2], [1, -1])


def test_one_class_alone_defines_no_ranking() -> None:
    """A metric that the data cannot define is NaN, not 0 and not 1."""
    ones, zeros, p = np.ones(3), np.zeros(3), np.array([0.2, 0.6, 0.9])
    for undefined in (
        metrics.auroc(ones, p),
        metrics.auroc(zeros, p),
        metrics.auprc(zeros, p),
        metrics.f1(zeros, p),
        metrics.sensitivity(zeros, p),
        metrics.specificity(ones, p),
        metrics.ppv(ones, p / 2),
        metrics.sensitivity_at_false_positives(ones, p),
        metrics.sensitivity_at_false_positives(zeros, p),
        *(metric([], [], None) for metric in METRICS.values()),
    ):
        assert np.isnan(undefined)
    assert metrics.specificity(zeros, p) == pytest.approx(1 / 3)


def test_the_threshold_itself_is_positive() -> None:
    """0.5 is called: the same side everywhere."""
    at = confusion([1, 0, 1, 0], [0.5, 0.5, 0.49, 0.49])
    assert (at.tp, at.fp, at.fn, at.tn) == (1, 1, 1, 1)


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 3)), min_size=1).filter(lambda r: any(w for _, w in r)))
def test_weighted_median_is_the_median_of_copies(rows: list[tuple[int, int]]) -> None:
    """Also between two values."""
    x, w = np.array(rows).T
    assert weighted_median(x, w) == np.median(np.repeat(x, w))


def test_median_with_missed_episodes() -> None:
    """An infinite delay stays infinite where half were missed, and there is no median of nothing."""
    assert weighted_median([1, 2, np.inf]) == 2
    assert weighted_median([1, np.inf]) == np.inf
    assert np.isnan(weighted_median([]))
    with pytest.raises(ValueError, match="1 of 2 values are NaN"):
        weighted_median([1, np.nan])
