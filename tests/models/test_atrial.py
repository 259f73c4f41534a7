"""Atrial features on made-up atria: sinus rhythm, fibrillation and flutter in the right order, or masked."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.features.atrial import FEATURE_NAMES, atrial_features
from models.features.qrs_shapes import FS, group_shapes

N = 10 * FS
SHARE = np.array([0.6, 1.0, 0.4, -0.8, 0.2, 0.7, -0.4, -0.5, 0.6, 1.2, 1.1, 0.8])
ATRIA = np.array([0.5, 1.0, 0.6, -0.7, 0.2, 0.8, 0.9, 0.5, 0.3, 0.3, 0.3, 0.3])
AF_STEPS = np.array([310, 520, 390, 280, 610, 350, 450, 300, 540, 330, 410])
REGULAR = np.arange(300, N - 300, 400, dtype=np.int64)
IRREGULAR = np.cumsum(np.concatenate([[250], AF_STEPS])).astype(np.int64)
Signal = tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]


def heart(r_peaks: npt.NDArray[np.int64], atria: npt.NDArray[np.float64], noise_uv: float = 8.0) -> Signal:
    """(12, 5000) µV of QRS and T at ``r_peaks`` with the atrial wave (5000,) in mV, and a mask of real leads."""
    t = (np.arange(N)[None, :] - r_peaks[:, None]) / FS
    wave = np.exp(-0.5 * (t / 0.012) ** 2) - 0.25 * np.exp(-0.5 * ((t - 0.03) / 0.01) ** 2)
    wave += 0.2 * np.exp(-0.5 * ((t - 0.26) / 0.04) ** 2)
    noise = np.random.default_rng(5).normal(0, noise_uv, (12, N))
    x = 1000 * (SHARE[:, None] * wave.sum(axis=0) + ATRIA[:, None] * atria) + noise
    return x.astype(np.float32), np.ones((12, N), dtype=np.bool_)


def sinus(r_peaks: npt.NDArray[np.int64] = REGULAR) -> Signal:
    """A P wave 160 ms before each QRS."""
    t = (np.arange(N)[None, :] - r_peaks[:, None]) / FS
    return heart(r_peaks, (0.12 * np.exp(-0.5 * ((t + 0.16) / 0.022) ** 2)).sum(axis=0))


def fibrillation(hz: float = 6.5) -> Signal:
    """Irregular beats and f waves whose rate wanders a little around ``hz``."""
    t = np.arange(N) / FS
    phase = 2 * np.pi * (hz * t + 0.15 * np.sin(2 * np.pi * 0.4 * t))
    return heart(IRREGULAR, 0.06 * np.sin(phase) + 0.02 * np.sin(2 * phase))


def flutter() -> Signal:
    """A sawtooth at 5 Hz, every fourth wave conducted: 75 /min, and locked to the beats."""
    phase = (np.arange(N) - 300) / FS * 5.0
    return heart(REGULAR, 0.15 * (0.5 - phase % 1.0))


def named(names: Sequence[str], made: tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]) -> dict[str, float]:
    """Feature name → value; the mask must say exactly what is NaN."""
    values, mask = made
    assert values.dtype == np.float32
    assert values.shape == (len(names),)
    np.testing.assert_array_equal(mask, ~np.isnan(values))
    return dict(zip(names, values.tolist(), strict=True))


def features(signal: Signal, r_peaks: npt.NDArray[np.int64]) -> dict[str, float]:
    """Atrial features by name."""
    return named(FEATURE_NAMES, atrial_features(group_shapes(*signal, r_peaks)))


def test_sinus_rhythm_repeats_its_p_waves_and_fibrillation_does_not() -> None:
    """The feature that parts AF best on real records, also where the sinus rhythm is as irregular as AF."""
    steady, uneven = features(sinus(), REGULAR), features(sinus(IRREGULAR), IRREGULAR)
    af = features(fibrillation(), IRREGULAR)
    for view in ("best", "median", "II", "V1"):
        assert min(steady[f"p_alike_{view}"], uneven[f"p_alike_{view}"]) > 0.8
        assert af[f"p_alike_{view}"] < 0.5
    assert min(steady["p_alike_pooled"], uneven["p_alike_pooled"]) > 0.8 > 0.5 > af["p_alike_pooled"]
    assert steady["pr_jitter_ms_II"] < 6 < af["pr_jitter_ms_II"]
    assert steady["p_to_scatter_log_II"] > af["p_to_scatter_log_II"] + 1


@pytest.mark.parametrize("hz", [5.2, 6.5, 8.0])
def test_f_waves_are_found_in_what_the_beats_leave(hz: float) -> None:
    """Dominant atrial frequency to a bin or two; more power in the band, more left and less locked than in sinus."""
    af, sr = features(fibrillation(hz), IRREGULAR), features(sinus(), REGULAR)
    for view in ("best", "II", "V1"):
        assert af[f"f_hz_{view}"] == pytest.approx(hz, abs=0.5)
        assert af[f"f_band_log_{view}"] > sr[f"f_band_log_{view}"] + 0.3
        assert af[f"f_amplitude_log_{view}"] > sr[f"f_amplitude_log_{view}"] + 0.3
        assert af[f"unlocked_share_{view}"] > sr[f"unlocked_share_{view}"] + 0.1
    assert af["f_concentration_best"] > sr["f_concentration_best"]


def test_flutter_locked_to_the_beats_is_seen_although_subtraction_takes_it_away() -> None:
    """Regular 4:1 flutter is no irregular pulse, and the average beat contains it: the open signal must show it."""
    fl, sr = features(flutter(), REGULAR), features(sinus(), REGULAR)
    for view in ("best", "II", "V1"):
        assert fl[f"flutter_hz_{view}"] == pytest.approx(5.0, abs=0.3)
        assert fl[f"flutter_repeat_{view}"] > sr[f"flutter_repeat_{view}"] + 0.1


def test_flutter_of_varying_ratio_repeats_before_the_beats_and_is_one_sharp_line() -> None:
    """An irregular pulse alone is not fibrillation: behind it flutter stands in one phase to QRS and at one rate."""
    r_peaks = 300 + 100 * np.cumsum([0, 4, 3, 4, 2, 4, 4, 3, 4, 2, 4, 4, 3]).astype(np.int64)
    phase = (np.arange(N) - 300) / FS * 5.0
    fl, af = features(heart(r_peaks, 0.15 * (0.5 - phase % 1.0)), r_peaks), features(fibrillation(), IRREGULAR)
    for view in ("best", "II", "V1"):
        assert fl[f"flutter_hz_{view}"] == pytest.approx(5.0, abs=0.3)
        assert fl[f"flutter_prominence_log_{view}"] > af[f"flutter_prominence_log_{view}"] + 0.3
        assert fl[f"p_alike_{view}"] > 0.8 > af[f"p_alike_{view}"]


@settings(max_examples=12, deadline=None)
@given(gain=st.floats(0.05, 20), offset=st.floats(-5000, 5000))
def test_neither_gain_nor_offset_matters(gain: float, offset: float) -> None:
    """PTB-XL's z-scored records have no millivolts and CPSC 2021 stands on 5 mV: both must read as the others do."""
    x, mask = fibrillation()
    plain = features((x, mask), IRREGULAR)
    moved = features(((x * gain + offset).astype(np.float32), mask), IRREGULAR)
    for name, value in plain.items():
        assert moved[name] == pytest.approx(value, abs=0.05 if "ms" not in name else 2.0), name


def test_a_missing_lead_is_masked_and_not_looked_at() -> None:
    """V1's features vanish with V1; the best of the others stays."""
    x, mask = sinus()
    x[6], mask[6] = np.nan, False
    found = features((x, mask), REGULAR)
    assert all(np.isnan(value) for name, value in found.items() if name.endswith("_V1"))
    assert not any(np.isnan(value) for name, value in found.items() if not name.endswith("_V1"))
    mask[:] = False
    mask[1] = True
    alone = features((x, mask), REGULAR)
    assert alone["p_alike_best"] == alone["p_alike_II"] == alone["p_alike_median"] > 0.8


def test_too_few_beats_or_no_lead_leave_everything_masked() -> None:
    """An average of two beats contains both of them: nothing can be said, so nothing is."""
    x, mask = sinus()
    for r_peaks, real in ((REGULAR[:2], mask), (REGULAR[:0], mask), (REGULAR, np.zeros_like(mask))):
        values, known = atrial_features(group_shapes(x, real, r_peaks))
        assert not known.any()
        assert np.isnan(values).all()


def test_a_rare_wide_beat_does_not_pass_for_f_waves() -> None:
    """A single PVC cannot be averaged: it is bridged, not left standing in the rest."""
    x, mask = sinus()
    t = (np.arange(N) - REGULAR[5]) / FS
    x -= (SHARE[:, None] * 2500 * np.exp(-0.5 * (t / 0.04) ** 2)).astype(np.float32)
    assert group_shapes(x, mask, REGULAR).label.tolist() == [0] * 5 + [1] + [0] * 5
    plain, odd = features(sinus(), REGULAR), features((x, mask), REGULAR)
    assert odd["p_alike_II"] > 0.7
    assert odd["f_amplitude_log_II"] < plain["f_amplitude_log_II"] + 0.5
