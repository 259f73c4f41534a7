"""QRS-shape groups: ectopy and atrial fibrillation must stay apart, whatever the gain, offset and leads."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.features.qrs_shapes import FEATURE_NAMES, FS, ShapeGroups, group_shapes, shape_features

N = 10 * FS
SHARE = np.array([0.6, 1.0, 0.4, -0.8, 0.2, 0.7, -0.4, -0.5, 0.6, 1.2, 1.1, 0.8])


def beats(
    r_peaks: npt.NDArray[np.int64], wide: tuple[int, ...] = (), noise_uv: float = 15.0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """(12, 5000) µV of narrow beats, those numbered in ``wide`` broad, inverted and with another T; all leads real."""
    t = (np.arange(N)[None, :] - r_peaks[:, None]) / FS
    narrow = np.exp(-0.5 * (t / 0.012) ** 2) - 0.25 * np.exp(-0.5 * ((t - 0.03) / 0.01) ** 2)
    broad = -1.2 * np.exp(-0.5 * (t / 0.035) ** 2) + 0.6 * np.exp(-0.5 * ((t - 0.07) / 0.03) ** 2)
    odd = np.isin(np.arange(len(r_peaks)), wide)[:, None]
    wave = np.where(odd, broad, narrow) + 0.2 * np.exp(-0.5 * ((t - 0.26) / 0.04) ** 2)
    noise = np.random.default_rng(3).normal(0, noise_uv, (12, N))
    x = 1000 * SHARE[:, None] * wave.sum(axis=0) + noise
    return x.astype(np.float32), np.ones((12, N), dtype=np.bool_)


REGULAR = np.arange(300, N - 300, 400, dtype=np.int64)


def named(groups: ShapeGroups) -> dict[str, float]:
    """Feature name → value."""
    values, mask = shape_features(groups)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(mask, ~np.isnan(values))
    return dict(zip(FEATURE_NAMES, values.tolist(), strict=True))


def with_ectopy() -> npt.NDArray[np.int64]:
    """Beats 3 and 7 come 0.3 s early, with a full pause after them."""
    r_peaks = REGULAR.copy()
    r_peaks[[3, 7]] -= 150
    return r_peaks


def test_premature_wide_beats_are_a_group_of_their_own_and_leave_the_rhythm_regular() -> None:
    """PVCs make the RR of all beats irregular; a network that sees only that calls them AF."""
    r_peaks = with_ectopy()
    groups = group_shapes(*beats(r_peaks, wide=(3, 7)), r_peaks)
    found = named(groups)
    assert groups.label.tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    assert found["shape_groups"] == 2
    assert found["shape_dominant_share"] == pytest.approx(9 / 11)
    assert found["qrs_width_ratio"] > 1.4
    assert found["dominant_rr_cv"] < 0.02 < np.std(np.diff(r_peaks)) / 400
    assert found["dominant_spacing_cv"] < 0.02
    assert found["other_prematurity"] == pytest.approx(250 / 400, abs=0.03)
    assert found["other_pause"] == pytest.approx(550 / 400, abs=0.03)


def test_irregular_beats_of_one_shape_stay_one_group_and_irregular() -> None:
    """In AF the beats look alike: the irregularity must not be explained away as ectopy."""
    steps = np.array([310, 520, 390, 280, 610, 350, 450, 300, 540, 330])
    r_peaks = np.cumsum(np.concatenate([[250], steps])).astype(np.int64)
    found = named(group_shapes(*beats(r_peaks), r_peaks))
    assert found["shape_groups"] == 1
    assert found["dominant_rr_cv"] > 0.2
    assert np.isnan(found["other_prematurity"])
    assert np.isnan(found["qrs_width_ratio"])


def test_beats_placed_a_little_off_join_their_group_and_are_moved_onto_it() -> None:
    """The detector's jitter is no other shape; averages taken at the moved places stay sharp."""
    off = REGULAR + np.array([0, 6, -6, 4, -4, 8, -8, 2, 0, 6, -2])
    groups = group_shapes(*beats(REGULAR), off)
    assert set(groups.label.tolist()) == {0}
    assert np.ptp(groups.r_peaks - REGULAR) <= 4


@settings(max_examples=15, deadline=None)
@given(gain=st.floats(0.05, 20), offset=st.floats(-5000, 5000), lead=st.integers(0, 11))
def test_neither_gain_nor_offset_nor_a_lost_lead_changes_the_groups(gain: float, offset: float, lead: int) -> None:
    """Sets without millivolts, monitors with 5 mV of offset and a lead that fell off must read alike."""
    r_peaks = with_ectopy()
    x, mask = beats(r_peaks, wide=(3, 7))
    plain = group_shapes(x, mask, r_peaks)
    mask[lead] = False
    changed = (x * gain + offset).astype(np.float32)
    changed[lead] = np.nan  # what stands where nothing was measured is not looked at
    other = group_shapes(changed, mask, r_peaks)
    assert other.label.tolist() == plain.label.tolist()
    assert not other.lead[lead]
    assert named(other)["qrs_width_ms"] == pytest.approx(named(plain)["qrs_width_ms"], abs=8)


def test_a_lead_of_noise_has_no_say() -> None:
    """One loose electrode among good ones must not break the dominant group up."""
    x, mask = beats(REGULAR)
    x[4] = np.random.default_rng(8).normal(0, 2000, N)
    assert named(group_shapes(x, mask, REGULAR))["shape_groups"] == 1


def test_what_is_not_known_is_masked() -> None:
    """Too few beats, no lead and flat leads give no numbers, never invented ones."""
    x, mask = beats(REGULAR)
    some = group_shapes(x, mask, REGULAR[:2])
    assert not shape_features(some)[1].any()
    assert not shape_features(group_shapes(x, mask, REGULAR[:0]))[1].any()
    blind = group_shapes(x, np.zeros_like(mask), REGULAR)
    assert blind.dominant == -1
    assert not blind.lead.any()
    assert not shape_features(blind)[1].any()
    assert not shape_features(group_shapes(np.full_like(x, 700), mask, REGULAR))[1].any()


def test_a_beat_cut_by_the_edge_or_a_gap_has_no_group() -> None:
    """Half a QRS is no shape."""
    x, mask = beats(REGULAR)
    mask[:, 690:720] = False
    groups = group_shapes(x, mask, np.concatenate([[10], REGULAR]))
    assert groups.label.tolist() == [-1, 0, -1, *[0] * 9]


@pytest.mark.parametrize("wrong", [[5, 5], [700, 300], [-1, 40], [100, 5000]])
def test_wrong_beats_are_refused(wrong: list[int]) -> None:
    """Beats of another window's numbering must not be read as this one's."""
    with pytest.raises(ValueError, match="r_peaks: expected ascending"):
        group_shapes(*beats(REGULAR), np.array(wrong, dtype=np.int64))
