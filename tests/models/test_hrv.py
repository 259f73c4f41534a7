"""RR features: equal to neurokit2 where it has them, masked where too little is known, invariant as they must be."""

import warnings
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.synthetic.rhythms import af_rr_s, sinus_rr_s
from ecg.synthetic.traits import draw_traits
from models.features.hrv import FEATURE_NAMES, N_FEATURES, rr_features

FS = 500
Indices = npt.NDArray[np.int64]

series = st.lists(st.integers(150, 700), min_size=20, max_size=150).map(
    lambda rr: np.concatenate([[0], np.cumsum(rr)]).astype(np.int64)
)


def peaks_of(rr_s: npt.NDArray[np.float64]) -> Indices:
    return np.rint(np.concatenate([[0.0], np.cumsum(rr_s)]) * FS).astype(np.int64)


def named(peaks: Indices) -> dict[str, float]:
    return rr_features(peaks, int(peaks[-1]), since=int(peaks[-1]) - 60 * FS).named()


def minute(peaks: Indices) -> Indices:
    """The beats of the last 60 s."""
    return peaks[peaks > peaks[-1] - 60 * FS]


@pytest.fixture(scope="module")
def nk() -> ModuleType:
    """neurokit2; what its own imports warn of is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import neurokit2

    return neurokit2


@pytest.fixture(params=["sinus", "af"])
def peaks(request: pytest.FixtureRequest) -> Indices:
    rng = np.random.default_rng(11)
    rr_s = sinus_rr_s(80, 90, draw_traits(rng), rng) if request.param == "sinus" else af_rr_s(100, 90, rng)
    return peaks_of(rr_s)


def test_time_domain_equals_neurokit(nk: ModuleType, peaks: Indices) -> None:
    """Mean, median, SDNN, RMSSD and their ratios are those of the field's reference, in ms and with n − 1."""
    ours, beats = named(peaks), minute(peaks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SDANN and the like need longer series than a minute
        theirs = nk.hrv_time({"ECG_R_Peaks": beats - beats[0]}, sampling_rate=FS).iloc[0]
    for name, theirs_name in {
        "rr_mean_ms": "HRV_MeanNN",
        "rr_median_ms": "HRV_MedianNN",
        "rr_min_ms": "HRV_MinNN",
        "rr_max_ms": "HRV_MaxNN",
        "rr_sdnn_ms": "HRV_SDNN",
        "rr_cv": "HRV_CVNN",
        "rr_rmssd_ms": "HRV_RMSSD",
        "rr_cvsd": "HRV_CVSD",
    }.items():
        assert ours[name + "_60s"] == pytest.approx(float(theirs[theirs_name]), rel=1e-5), name
    n = len(beats) - 1  # neurokit2 divides by the number of RR, we by that of ΔRR; it gives per cent
    assert ours["rr_pnn50_60s"] == pytest.approx(float(theirs["HRV_pNN50"]) / 100 * n / (n - 1), rel=1e-5)
    assert ours["rr_pnn20_60s"] == pytest.approx(float(theirs["HRV_pNN20"]) / 100 * n / (n - 1), rel=1e-5)


def test_poincare_equals_neurokit(nk: ModuleType, peaks: Indices) -> None:
    """SD1 and SD2 are the axes of the Poincaré plot as the reference draws them."""
    ours, beats = named(peaks), minute(peaks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its fractal and multiscale indices complain of a short series
        theirs = nk.hrv_nonlinear({"ECG_R_Peaks": beats - beats[0]}, sampling_rate=FS).iloc[0]
    for name, theirs_name in {
        "rr_sd1_ms": "HRV_SD1",
        "rr_sd2_ms": "HRV_SD2",
        "rr_sd_ratio": "HRV_SD1SD2",
    }.items():
        assert ours[name + "_60s"] == pytest.approx(float(theirs[theirs_name]), rel=1e-5), name


def test_sample_entropy_equals_neurokit_and_the_definition(nk: ModuleType, peaks: Indices) -> None:
    """The entropies count the templates that Richman & Moorman count; CosEn is that count with a fixed tolerance."""
    ours = named(peaks)
    rr = np.diff(minute(peaks)) * 2.0
    for tolerance, got in (
        (0.2 * rr.std(ddof=1), ours["rr_sampen_60s"]),
        (30.0, ours["rr_cosen_60s"] - np.log(60.0) + np.log(rr.mean())),
    ):
        theirs, _ = nk.entropy_sample(rr, delay=1, dimension=1, tolerance=tolerance)
        one = np.abs(rr[:-1, None] - rr[None, :-1]) <= tolerance
        two = one & (np.abs(rr[1:, None] - rr[None, 1:]) <= tolerance)
        n = len(rr) - 1
        assert got == pytest.approx(-np.log((two.sum() - n) / (one.sum() - n)), rel=1e-5)
        assert got == pytest.approx(float(theirs), rel=1e-5)


def test_cosen_widens_its_tolerance_where_nothing_matches() -> None:
    """A short irregular series has a finite CosEn, with the tolerance at which five templates match."""
    rr = np.array([400, 900, 520, 760, 1100, 640, 480, 980, 580, 830]) / 1000
    got = rr_features(peaks_of(rr), int(peaks_of(rr)[-1])).named()["rr_cosen_10s"]
    ms = rr * 1000
    pairs = [(i, j) for i in range(9) for j in range(i + 1, 9)]
    one = np.array([abs(ms[i] - ms[j]) for i, j in pairs])
    two = np.array([max(abs(ms[i] - ms[j]), abs(ms[i + 1] - ms[j + 1])) for i, j in pairs])
    r = np.sort(two)[4]
    assert r > 30
    expected = np.log((one <= r).sum() / (two <= r).sum()) + np.log(2 * r) - np.log(ms.mean())
    assert got == pytest.approx(expected, rel=1e-5)


def test_the_other_features_of_a_series_worked_out_by_hand() -> None:
    """What no reference has (turning, histograms, maps, ectopy) is what its definition says."""
    rr = np.array([800, 800, 600, 1000, 800, 810, 790, 800, 500, 900]) / 1000
    f = rr_features(peaks_of(rr), int(peaks_of(rr)[-1])).named()
    assert f["rr_count_10s"] == 11
    assert f["rr_turning_10s"] == pytest.approx(7 / 8)
    assert f["rr_early_10s"] == pytest.approx(2 / 10)
    assert f["rr_early_pause_10s"] == pytest.approx(2 / 10)
    assert f["rr_early_compensated_10s"] == pytest.approx(1 / 10)
    assert [f[f"rr_{n}_10s"] for n in ("below_80", "80_93", "93_107", "107_120", "above_120")] == pytest.approx(
        [0.2, 0, 0.6, 0.1, 0.1]
    )
    assert [f[f"rr_step_{n}_10s"] for n in ("0_2", "2_5", "5_10", "10_20", "over_20")] == pytest.approx(
        [3 / 9, 1 / 9, 0, 0, 5 / 9]
    )
    assert f["rr_lorenz_cells_10s"] == 1.0
    assert f["rr_lorenz_origin_10s"] == pytest.approx(2 / 8)
    # Steps 0 −200 400 −200 10 −20 10 −300 400: products of neighbours over the mean of their squares.
    assert f["rr_step_corr_10s"] == pytest.approx(-285_400 / 410_600, rel=1e-5)
    assert f["rr_median_step_10s"] == pytest.approx(200 / 800)
    shares = np.array([5, 1, 1, 1, 1, 1]) / 10  # 800 (four times) and 810 lie in one bin of 25 ms
    assert f["rr_shannon25ms_10s"] == pytest.approx(-(shares * np.log(shares)).sum() / np.log(10), rel=1e-5)


def test_the_step_correlation_parts_chance_from_breathing_and_bigeminy() -> None:
    """Marked sinus arrhythmia is as uneven as AF, and what parts the two by RR alone is this."""
    rng = np.random.default_rng(0)
    beat = np.arange(90)
    drawn = {
        "chance": rng.lognormal(-0.3, 0.2, 90),
        "breathing": 0.8 + 0.15 * np.sin(2 * np.pi * beat / 4.6) + 0.01 * rng.standard_normal(90),
        "bigeminy": np.where(beat % 2 == 0, 0.55, 1.05) + 0.01 * rng.standard_normal(90),
    }
    found = {what: named(peaks_of(rr))["rr_step_corr_60s"] for what, rr in drawn.items()}
    assert -0.65 < found["chance"] < -0.35
    assert found["breathing"] > -0.05
    assert found["bigeminy"] < -0.95


@settings(max_examples=40, deadline=None)
@given(series, st.integers(-(10**9), 10**12))
def test_time_shift_changes_nothing(peaks: Indices, shift: int) -> None:
    """Features depend on intervals, not on how long the epoch already lasts."""
    one, other = named(peaks), named(peaks + shift)
    assert one == other


@settings(max_examples=40, deadline=None)
@given(series)
def test_longer_intervals_scale_what_has_a_unit(peaks: Indices) -> None:
    """Twice the RR: twice the mean, SDNN, RMSSD, SD1, SD2; ratios stay."""
    peaks = minute(peaks)
    peaks = peaks[peaks >= peaks[-1] - 14 * FS]
    doubled = peaks * 2
    one, two = named(peaks), named(doubled)
    for name in ("rr_mean_ms", "rr_sdnn_ms", "rr_rmssd_ms", "rr_sd1_ms", "rr_sd2_ms"):
        assert two[name + "_60s"] == pytest.approx(2 * one[name + "_60s"], rel=1e-5, abs=1e-4)
    for name in ("rr_cv", "rr_cvsd", "rr_median_step", "rr_turning", "rr_early", "rr_shannon16"):
        if name + "_60s" in one:
            assert two[name + "_60s"] == pytest.approx(one[name + "_60s"], rel=1e-5, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(series, st.integers(0, 60 * FS))
def test_only_beats_of_the_span_count(peaks: Indices, extra: int) -> None:
    """Beats older than 60 s and beats after now change nothing; the mask says exactly where a value is."""
    now = int(peaks[-1])
    before = np.arange(now - 200 * FS, now - 60 * FS + 1, 350, dtype=np.int64)
    after = np.arange(now + 1 + extra, now + 60 * FS + extra, 410, dtype=np.int64)
    inside = minute(peaks)
    values, mask = rr_features(inside, now, since=now - 60 * FS)
    again = rr_features(np.concatenate([before, inside, after]), now, since=now - 60 * FS)
    np.testing.assert_array_equal(values, again.values)
    np.testing.assert_array_equal(mask, np.isfinite(values))


@pytest.mark.parametrize("beats", [0, 1, 3])
def test_too_few_beats_are_masked(beats: int) -> None:
    """With fewer than three intervals only the count is known; nothing is invented."""
    peaks = np.arange(beats, dtype=np.int64) * 400 + 29000
    f = rr_features(peaks, 30000, since=0).named()
    assert set(f) == {f"rr_count_{s}s" for s in (10, 30, 60)}
    assert set(f.values()) == {float(beats)}


def test_short_series_have_spread_but_no_entropy() -> None:
    """Four beats have a mean and an SD; entropies, histograms and turning points wait for eight intervals."""
    f = rr_features(np.array([100, 500, 920, 1300], np.int64), 5000).named()
    assert "rr_sdnn_ms_10s" in f
    assert not {"rr_sampen_10s", "rr_cosen_10s", "rr_turning_10s", "rr_step_corr_10s", "rr_below_80_10s"} & set(f)


def test_a_steady_pulse_is_defined_where_it_can_be() -> None:
    """A paced rhythm has no sample entropy at r = 0 and no SD1/SD2, but a CosEn and no variability."""
    f = named(np.arange(80, dtype=np.int64) * 400)
    assert "rr_sampen_60s" not in f
    assert "rr_sd_ratio_60s" not in f
    assert f["rr_sdnn_ms_60s"] == f["rr_rmssd_ms_60s"] == f["rr_shannon16_60s"] == 0
    assert f["rr_cosen_60s"] == pytest.approx(np.log(60 / 800))


def test_spans_that_were_not_watched_are_masked() -> None:
    """Fifteen seconds after the start a minute is not known: its features stay masked, those of 30 s begin."""
    peaks = np.arange(0, 15 * FS, 380, dtype=np.int64)
    spans = {name.rsplit("_", 1)[1] for name in rr_features(peaks, 15 * FS).named()}
    assert spans == {"10s", "30s"}
    later = rr_features(peaks + 10**6, 10**6 + 15 * FS, since=10**6)
    assert {name.rsplit("_", 1)[1] for name in later.named()} == {"10s", "30s"}


def test_silences_break_the_series() -> None:
    """A gap of the signal is no interval, and no difference is taken across it."""
    steady = np.arange(20, dtype=np.int64) * 400
    gap = np.concatenate([steady, steady + steady[-1] + 5 * FS])
    f = named(gap)
    assert f["rr_max_ms_60s"] == 800
    assert f["rr_rmssd_ms_60s"] == 0
    assert f["rr_count_60s"] == 40
    slower = np.concatenate([steady, steady[-1] + 5 * FS + np.arange(20, dtype=np.int64) * 500])
    f = named(slower)
    assert f["rr_sdnn_ms_60s"] > 50
    assert f["rr_rmssd_ms_60s"] == f["rr_sd1_ms_60s"] == f["rr_step_over_20_60s"] == 0


def test_fibrillation_is_the_most_irregular() -> None:
    """On synthetic patients AF stands above sinus rhythm in what tells irregularity, at each span."""
    rng = np.random.default_rng(5)
    for _ in range(5):
        sinus, af = named(peaks_of(sinus_rr_s(90, 80, draw_traits(rng), rng))), named(peaks_of(af_rr_s(90, 80, rng)))
        for span in ("10s", "30s", "60s"):
            for name in ("rr_cv", "rr_cvsd", "rr_median_step", "rr_cosen", "rr_map_cells", "rr_shannon25ms"):
                assert af[f"{name}_{span}"] > sinus[f"{name}_{span}"], (name, span)
            assert af[f"rr_lorenz_origin_{span}"] < sinus[f"rr_lorenz_origin_{span}"]


def test_wrong_input_is_refused_by_name() -> None:
    """A caller that passes seconds or beats out of order is told so."""
    with pytest.raises(ValueError, match=r"r_peaks: expected \(b,\) int64, got \(2,\) float64"):
        rr_features(np.array([0.0, 1.0]), 10)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected ascending, got 5 after 5"):
        rr_features(np.array([0, 5, 5], np.int64), 10)


def test_names_are_one_a_value() -> None:
    """Whoever trains on the features can name each of them."""
    values, mask = rr_features(np.empty(0, np.int64), 0)
    assert len(set(FEATURE_NAMES)) == N_FEATURES == len(values) == len(mask)
    assert values.dtype == np.float32
