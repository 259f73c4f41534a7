"""The slow memory of amplitude: every lead comes to one scale, whatever the electrode did when it was put on."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg.leads import N_LEADS
from models.features.amplitude import MEMORY_S, STAY, STEPS_PER_OCTAVE, Amplitude

HOP_S = 1.0
MINUTE = round(MEMORY_S / HOP_S)
MEASURED = np.ones((N_LEADS, 1000), np.bool_)
ALL = np.ones(N_LEADS, np.bool_)
TOLERANCE = 2 ** ((STAY + 0.01) / STEPS_PER_OCTAVE)  # how far off the gain may stand


def window(microvolts: float) -> npt.NDArray[np.float32]:
    """(12, 1000) µV of which the amplitude is about ``microvolts`` in each lead."""
    wave = np.linspace(-1, 1, 1000, dtype=np.float32) / np.float32(0.98)
    return np.tile(np.float32(microvolts) * wave, (N_LEADS, 1))


def after(*windows: tuple[int, float]) -> Amplitude:
    """The memory after so many windows of an amplitude each."""
    amplitude = Amplitude(HOP_S)
    for n, microvolts in windows:
        for _ in range(n):
            amplitude.update(window(microvolts), MEASURED, ALL)
    return amplitude


@given(microvolts=st.floats(30, 20_000), n=st.integers(1, 90))
def test_any_gain_comes_to_one_scale(microvolts: float, n: int) -> None:
    """From the first window on: the network would take a small lead for one without P waves."""
    scaled = after((n, microvolts)).per_microvolt(50.0) * microvolts
    assert np.all((scaled >= 50 / TOLERANCE) & (scaled <= 50 * TOLERANCE))


@pytest.mark.parametrize("burst", [1, 7, 20])
def test_a_bed_that_begins_with_a_burst_finds_its_scale_soon(burst: int) -> None:
    """Electrodes are put on with a jerk ten times the ECG; it must not shrink the ECG for minutes."""
    assert np.array_equal(after((burst, 10_000), (burst, 1000)).step, after((1, 1000)).step)


@given(before=st.integers(31, 90), burst=st.integers(1, 29), times=st.floats(3, 50))
def test_what_lasts_less_than_half_a_minute_moves_nothing(before: int, burst: int, times: float) -> None:
    """A nurse turns the patient: the gain stays, and MiniRocket need not be computed anew."""
    assert np.array_equal(after((before, 1000), (burst, 1000 * times)).step, after((1, 1000)).step)


def test_what_lasts_is_followed() -> None:
    """Another place of the electrode is another amplitude: half a minute later it has its own scale."""
    assert np.array_equal(after((90, 1000), (MINUTE // 2 + 1, 300)).step, after((1, 300)).step)


def test_it_says_when_the_gain_moved() -> None:
    """Windows of two gains must not be counted together: True at the first window and at a change alone."""
    amplitude = Amplitude(HOP_S)
    moved = [amplitude.update(window(x), MEASURED, ALL) for x in [1000.0] * 40 + [300.0] * 40]
    assert moved[0]
    assert sum(moved) == 2
    assert moved.index(True, 1) == 40 + MINUTE // 2 - 1


def test_a_lead_that_was_away_for_a_minute_begins_anew() -> None:
    """It comes back with new electrodes; what it was like before says nothing. One never seen has no scale."""
    amplitude = after((70, 1000))
    without = ALL.copy()
    without[3] = False
    for _ in range(MINUTE):
        amplitude.update(window(1000), MEASURED, without)
    amplitude.update(window(100), MEASURED, ALL)
    assert amplitude.step[3] == after((1, 100)).step[3]
    assert np.array_equal(np.delete(amplitude.step, 3), np.delete(after((1, 1000)).step, 3))
    assert not Amplitude(HOP_S).per_microvolt(50.0).any()
