"""Prediction sets: each rhythm that is so stands in at least 90 % of its sets, and no set is empty."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.classes import AF, FLUTTER, NOISE, RHYTHMS, SINUS
from models.uncertainty.conformal import Conformal, coverage, fit_conformal, least_subjects, threshold, wilson
from tests.models.unfitted import all_five

Floats = npt.NDArray[np.float64]


def names(who: npt.NDArray[np.int64]) -> npt.NDArray[np.str_]:
    """Patients by number."""
    return np.array([f"p{i}" for i in who])


def ward(
    rng: np.random.Generator, patients: int, windows: int = 8, skill: float = 2.0
) -> tuple[Floats, Floats, npt.NDArray[np.str_]]:
    """Probabilities (n, 5), targets (n, 5) and patients (n,): each has one rhythm, manners of their own and 1 to
    ``windows`` windows."""
    rhythm = rng.integers(0, 5, patients)
    manner = rng.normal(0, 1.5, (patients, 5))
    who = np.repeat(np.arange(patients), rng.integers(1, windows + 1, patients))
    target = np.eye(5)[rhythm[who]]
    z = skill * target + manner[who] + rng.normal(0, 1, (len(who), 5))
    return 1 / (1 + np.exp(-z)), target, names(who)


def test_the_threshold_is_the_textbook_one_with_a_window_a_patient() -> None:
    """⌈(n + 1)(1 − α)⌉ of n must reach it: all of 9, 18 of 19, 27 of 29."""
    for n, reach in ((9, 9), (10, 10), (18, 18), (19, 18), (20, 19), (29, 27), (99, 90), (100, 91)):
        assert reach == int(np.ceil((n + 1) * 0.9 - 1e-9))
        p = np.random.default_rng(n).permutation(np.linspace(0.1, 0.9, n))
        assert (p >= threshold(p, names(np.arange(n)), 0.1)).sum() == reach


def test_too_few_patients_rule_nothing_out() -> None:
    """Eight patients promise nothing at 90 %, however many windows they have."""
    assert [least_subjects(alpha) for alpha in (0.1, 0.05, 0.2)] == [9, 19, 4]
    who = np.repeat(np.arange(8), 50)
    assert threshold(np.full(400, 0.9), names(who), 0.1) == 0
    assert threshold(np.full(450, 0.9), names(np.repeat(np.arange(9), 50)), 0.1) == 0.9
    assert threshold(np.zeros(0), names(np.zeros(0, np.int64)), 0.1) == 0


def test_a_patient_counts_once_however_long() -> None:
    """Copying one patient's windows a hundred times changes no threshold; counting windows would."""
    p, target, subject = ward(np.random.default_rng(1), 300)
    once = fit_conformal(p, target, subject)
    again = np.concatenate([np.arange(len(p)), np.repeat(np.nonzero(subject == subject[0])[0], 100)])
    more = fit_conformal(p[again], target[again], subject[again])
    assert np.array_equal(once.thresholds, more.thresholds)
    assert np.array_equal(once.subjects, more.subjects)
    assert more.windows.sum() > once.windows.sum()


def test_each_rhythm_is_covered_in_patients_not_seen() -> None:
    """The promise itself, over many draws of calibration and new patients: 90 % for each rhythm, and little more."""
    rng = np.random.default_rng(2)
    found = []
    for _ in range(60):
        conformal = fit_conformal(*ward(rng, 200))
        found.append([each.covered for each in coverage(conformal, *ward(rng, 200))])
    mean, error = np.mean(found, 0), np.std(found, 0) / np.sqrt(len(found))
    assert (mean >= 0.9 - 3 * error).all()
    assert (mean <= 0.94).all()


def test_counting_windows_as_if_each_were_a_patient_breaks_the_promise() -> None:
    """What the patients are for: the usual count over windows falls short where few patients have many windows."""
    rng = np.random.default_rng(3)
    by_patient, by_window = [], []
    for _ in range(300):
        p, target, who = ward(rng, 60, windows=40)
        new, new_target, new_who = ward(rng, 100, windows=40)
        new[:, SINUS] = 1.0  # the likeliest is in every set: of AF the threshold alone shall tell
        alone = names(np.arange(len(p)))
        by_patient.append(coverage(fit_conformal(p, target, who), new, new_target, new_who)[AF].covered)
        by_window.append(coverage(fit_conformal(p, target, alone), new, new_target, new_who)[AF].covered)
    assert np.mean(by_patient) >= 0.9
    assert np.mean(by_window) < 0.885


@settings(max_examples=12, deadline=None, derandomize=True)
@example(seed=0, patients=12, alpha=0.1, skill=1.0, windows=1)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([12, 25, 60]),
    st.sampled_from([0.05, 0.1, 0.2]),
    st.floats(-1, 4),
    st.integers(1, 12),
)
def test_coverage_holds_for_any_exchangeable_data(
    seed: int, patients: int, alpha: float, skill: float, windows: int
) -> None:
    """Whatever the sizes and however bad the network: a patient left out at random is covered at least 1 − α.

    The tolerance is four standard errors of 1,500 draws; without the patient to come in the count, the example fails.
    """
    rng = np.random.default_rng(seed)
    hits = []
    for _ in range(1500):
        who = np.repeat(np.arange(patients + 1), rng.integers(1, windows + 1, patients + 1))
        p = 1 / (1 + np.exp(-(skill + rng.normal(0, 1.5, patients + 1)[who] + rng.normal(0, 1, len(who)))))
        new = who == patients
        bar = threshold(p[~new], names(who[~new]), alpha)
        hits.append(float((p[new] >= bar).mean()))
    assert np.mean(hits) >= 1 - alpha - 4 * max(float(np.std(hits)), 0.05) / np.sqrt(len(hits))


def test_calibration_does_not_change_what_reaches_its_threshold() -> None:
    """A rising map of each rhythm's probability moves its threshold along: both may be fitted on the same patients."""
    p, target, subject = ward(np.random.default_rng(5), 150)
    new, *_ = ward(np.random.default_rng(6), 100)
    plain = fit_conformal(p, target, subject)
    slope, offset = np.array([0.5, 2, 1, 0.7, 3]), np.array([-1, 0, 1, 2, -0.5])

    def mapped(p: Floats) -> Floats:
        return np.asarray(1 / (1 + np.exp(-(np.log(p / (1 - p)) * slope + offset))))

    other = fit_conformal(mapped(p), target, subject)
    assert (~plain.unusual(new)).sum() > 50
    assert np.array_equal(new >= plain.thresholds, mapped(new) >= other.thresholds)
    assert np.array_equal(plain.unusual(new), other.unusual(mapped(new)))


def test_two_rhythms_in_a_window_count_for_both_and_unknown_ones_for_none() -> None:
    """A window in which AF begins stands in the calibration of sinus and of AF; NaN in neither."""
    p, target, subject = ward(np.random.default_rng(7), 200)
    both = target.copy()
    both[target[:, AF] == 1, SINUS] = 1
    found = fit_conformal(p, both, subject)
    assert found.windows[SINUS] == target[:, AF].sum() + target[:, SINUS].sum()
    unknown = np.where(target == 1, target, np.nan)
    unknown[target[:, FLUTTER] == 1] = np.nan
    found = fit_conformal(p, unknown, subject)
    plain = fit_conformal(p, target, subject)
    assert found.windows[FLUTTER] == 0
    assert found.thresholds[FLUTTER] == 0
    assert found.thresholds[AF] == plain.thresholds[AF]


def conformal(thresholds: list[float]) -> Conformal:
    """With these thresholds, fitted well enough to have them."""
    return Conformal(np.array([0.1]), np.array(thresholds), np.full(5, 50), np.full(5, 50))


def test_a_set_names_what_cannot_be_ruled_out_likeliest_first() -> None:
    """The order is that of the probabilities; reaching the threshold is enough."""
    sets = conformal([0.3, 0.5, 0.4, 0.9, 0.9])
    assert sets.prediction_set(np.array([0.3, 0.7, 0.1, 0.1, 0.1])) == ("flutter", "af")
    assert sets.prediction_set(np.array([0.29, 0.7, 0.1, 0.1, 0.1])) == ("flutter",)


def test_the_likeliest_is_in_every_set() -> None:
    """A common rhythm's threshold is high: sinus at 70 % stands in the set beside what cannot be excluded."""
    sets = conformal([0.3, 0.01, 0.83, 0.06, 0.2])
    assert sets.prediction_set(np.array([0.16, 0.02, 0.7, 0.25, 0.03])) == ("sinus", "other", "flutter")


def test_no_set_is_empty_and_the_unusual_is_told() -> None:
    """Where nothing reaches its threshold the likeliest stands alone, marked; that can only raise coverage."""
    sets = conformal([0.6, 0.6, 0.6, 0.6, 0.6])
    p = np.array([[0.2, 0.1, 0.4, 0.3, 0.1], [0.7, 0.1, 0.4, 0.3, 0.1]])
    assert [sets.prediction_set(each) for each in p] == [("sinus",), ("af",)]
    assert sets.unusual(p).tolist() == [True, False]
    assert sets.members(p).sum(1).tolist() == [1, 1]


def test_without_a_fit_nothing_is_ruled_out() -> None:
    """An unfitted model knows nothing, and says all five."""
    assert set(all_five().prediction_set(np.zeros(5))) == set(RHYTHMS)


def test_coverage_tells_what_a_reader_needs() -> None:
    """Counted by hand: shares by patient and by window, size, sets of one, unusual ones; a rhythm never seen is NaN."""
    sets = conformal([0.5, 0.5, 0.5, 0.5, 0.5])
    p = np.array([[0.9, 0.6, 0, 0, 0], [0.4, 0.1, 0, 0, 0], [0.2, 0.9, 0, 0, 0], [0.8, 0, 0, 0, 0]])
    target = np.zeros((4, 5))
    target[:, AF] = 1
    found = coverage(sets, p, target, np.array(["a", "a", "a", "b"]))
    af = found[AF]
    assert (af.rhythm, af.windows, af.subjects) == ("af", 4, 2)
    assert af.covered == pytest.approx((2 / 3 + 1) / 2)
    assert af.covered_windows == 0.75
    assert af.size == 1.25
    assert af.alone == 0.5
    assert af.unusual == 0.25
    assert af.low < af.covered < af.high
    assert found[NOISE].windows == 0
    assert np.isnan(found[NOISE].covered)


def test_the_interval_is_the_known_one() -> None:
    """Wilson's interval of 81 of 263 (Newcombe 1998) and of none missed."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    low, high = wilson(1.0, 20)
    assert low == pytest.approx(0.8389, abs=1e-4)
    assert high == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("alpha", np.array([0.0]), "alpha: expected above 0 and below 1, got 0.0"),
        ("thresholds", np.full(5, np.nan), "thresholds: expected 0 to 1"),
        ("thresholds", np.zeros(4), r"thresholds: expected \(5,\)"),
        ("subjects", np.full(5, 8), "expected 0 with so few subjects"),
        ("windows", np.full(5, -1), "none below 0"),
    ],
)
def test_thresholds_that_cannot_be_are_refused(name: str, value: npt.NDArray[np.generic], message: str) -> None:
    """A threshold that its patients cannot carry is a promise nobody made."""
    arrays = {**conformal([0.5] * 5).arrays(), name: value}
    with pytest.raises(ValueError, match=message):
        Conformal.from_arrays(arrays)


def test_nan_is_refused() -> None:
    """NaN reaches no threshold: the set would rule out what nobody looked at."""
    with pytest.raises(ValueError, match="1 of 5 are NaN"):
        all_five().prediction_set(np.array([0.5, np.nan, 0, 0, 0]))
