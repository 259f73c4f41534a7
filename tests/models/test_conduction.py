"""Conduction features: PR, bundle branch blocks and masks, on synthetic patients and made-up hearts."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.leads import LEAD_INDEX
from ecg.synthetic import SyntheticPatient
from models.features.atrial import atrial_features
from models.features.conduction import FEATURE_NAMES, conduction_features
from models.features.qrs_shapes import FS, group_shapes, shape_features
from tests.models.test_atrial import ATRIA, IRREGULAR, REGULAR, N, Signal, fibrillation, heart, named

QRS_ONSET_S = 0.036  # before R in ``heart``: three widths of its R wave


def conducted(pr_s: float, r_peaks: npt.NDArray[np.int64] = REGULAR, noise_uv: float = 8.0) -> Signal:
    """P peaks ``pr_s`` before each R peak."""
    t = (np.arange(N)[None, :] - r_peaks[:, None]) / FS
    return heart(r_peaks, (0.12 * np.exp(-0.5 * ((t + pr_s) / 0.022) ** 2)).sum(axis=0), noise_uv)


def features(signal: Signal, r_peaks: npt.NDArray[np.int64]) -> dict[str, float]:
    """Conduction features by name."""
    return named(FEATURE_NAMES, conduction_features(group_shapes(*signal, r_peaks)))


def of_patient(script: str, seed: int) -> dict[str, float]:
    """Features of the second ten seconds of a synthetic patient."""
    patient = SyntheticPatient(script, seed)
    x = patient.microvolts(N, N)
    return features((x, np.isfinite(x)), patient.beats[(patient.beats >= N) & (patient.beats < 2 * N)] - N)


@pytest.mark.parametrize("pr_s", [0.11, 0.15, 0.20, 0.24, 0.28, 0.32])
@pytest.mark.parametrize("noise_uv", [2.0, 25.0])
def test_pr_is_read_up_to_av_block_1(pr_s: float, noise_uv: float) -> None:
    """AV block I is nothing but a long PR: it must be told in ms far beyond where the P segment of AF ends."""
    found = features(conducted(pr_s, noise_uv=noise_uv), REGULAR)
    for view in ("best", "median"):
        assert found[f"p_peak_to_qrs_ms_{view}"] == pytest.approx(1000 * (pr_s - QRS_ONSET_S), abs=14)


def test_without_a_repeating_p_wave_there_is_no_pr() -> None:
    """In AF a PR interval would be made up."""
    found = features(fibrillation(), IRREGULAR)
    assert np.isnan([found["p_peak_to_qrs_ms_best"], found["p_peak_to_qrs_ms_median"]]).all()
    assert np.isfinite(found["qrs_later_half_V1"])


@pytest.mark.parametrize("seed", range(6))
def test_bundle_branch_blocks_point_as_in_the_textbook(seed: int) -> None:
    """V1 up, I and V6 down in right, V1 down, I and V6 up and late in left bundle branch block; delay alone is neither.

    Surawicz et al. 2009. What the network must tell apart is the same QRS width with another direction.
    """
    plain, delayed = of_patient("sinus(rate=70) 20s", seed), of_patient("sinus(rate=70)+ivcd 20s", seed)
    right, left = of_patient("sinus(rate=70)+rbbb 20s", seed), of_patient("sinus(rate=70)+lbbb 20s", seed)
    assert right["qrs_later_half_V1"] > 0.2
    assert max(plain["qrs_later_half_V1"], delayed["qrs_later_half_V1"], left["qrs_later_half_V1"]) < -0.1
    assert max(right["qrs_later_half_I"], right["qrs_later_half_V6"]) < 0
    assert min(left["qrs_later_half_I"], left["qrs_later_half_V6"]) > 0.2
    assert right["r_peak_time_ms_V1"] > 50
    assert left["r_peak_time_ms_V6"] > max(50, plain["r_peak_time_ms_V6"])


@pytest.mark.parametrize("seed", range(6))
def test_pr_of_synthetic_patients(seed: int) -> None:
    """P, T and noise as a patient has them, at any rate: the P wave is found, not the T wave before it."""
    for script in ("sinus(rate=50) 20s", "sinus(rate=75) 20s", "tachy(rate=110) 20s", "sinus(rate=70)+rbbb 20s"):
        found = of_patient(script, seed)
        assert 60 < found["p_peak_to_qrs_ms_best"] < 150, script
        assert found["p_peak_to_qrs_ms_median"] == pytest.approx(found["p_peak_to_qrs_ms_best"], abs=24), script


@settings(max_examples=12, deadline=None)
@given(gain=st.floats(0.05, 20), offset=st.floats(-5000, 5000))
def test_neither_gain_nor_offset_matters(gain: float, offset: float) -> None:
    """PTB-XL's z-scored records have no millivolts and CPSC 2021 stands on 5 mV: both must read as the others do."""
    x, mask = conducted(0.22)
    plain, moved = (
        features((x, mask), REGULAR),
        features(((x * gain + offset).astype(np.float32), mask), REGULAR),
    )
    for name, value in plain.items():
        assert moved[name] == pytest.approx(value, abs=8 if "_ms_" in name else 0.02, nan_ok=True), name


@pytest.mark.parametrize("lead", ["V1", "I", "V6"])
def test_a_missing_lead_is_masked_and_nothing_else(lead: str) -> None:
    """What is read in a lead vanishes with it; PR comes from the others, whatever stands where nothing was measured."""
    x, mask = conducted(0.22)
    whole = features((x, mask), REGULAR)
    row = LEAD_INDEX[lead]
    x[row], mask[row] = np.nan, False
    found = features((x, mask), REGULAR)
    gone = {name for name in whole if np.isfinite(whole[name]) and np.isnan(found[name])}
    assert gone == {name for name in whole if name.endswith("_" + lead) and np.isfinite(whole[name])} != set()


def test_one_lead_is_enough_for_pr() -> None:
    """Telemetry of one lead has a PR interval too."""
    x, mask = conducted(0.24)
    mask[:] = False
    mask[1] = True
    found = features((x, mask), REGULAR)
    assert found["p_peak_to_qrs_ms_best"] == found["p_peak_to_qrs_ms_median"] == pytest.approx(204, abs=14)
    assert ATRIA[1] == 1
    assert all(np.isnan(value) for name, value in found.items() if not name.startswith("p_"))


def test_what_is_not_known_is_masked() -> None:
    """Too few beats, no lead and flat leads give no numbers, never invented ones."""
    x, mask = conducted(0.2)
    for signal, r_peaks in (
        ((x, mask), REGULAR[:2]),
        ((x, mask), REGULAR[:0]),
        ((x, np.zeros_like(mask)), REGULAR),
        ((np.full_like(x, 700), mask), REGULAR),
    ):
        assert np.isnan(list(features(signal, r_peaks).values())).all()


def test_looking_changes_nothing() -> None:
    """The atrial features come after these, of the same groups: they must be what they are alone, to the last bit."""
    signal = conducted(0.22)
    alone, looked_at = group_shapes(*signal, REGULAR), group_shapes(*signal, REGULAR)
    conduction_features(looked_at)
    for features_of in (shape_features, atrial_features):
        assert features_of(looked_at)[0].tobytes() == features_of(alone)[0].tobytes()
