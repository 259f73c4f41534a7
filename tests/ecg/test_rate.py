"""The heart rate: how fast it follows a step, and what must not move it."""

import numpy as np
import pytest

from ecg.rate import heart_rate_bpm

FS = 500
LATENCY = 0.5


def rate_at(beats: list[float], now: float, fs: int = FS) -> float | None:
    """The rate at second ``now`` from the beats that are decided by then."""
    peaks = np.array([round(beat * fs) for beat in beats if beat + LATENCY <= now], dtype=np.int64)
    return heart_rate_bpm(peaks, round(now * fs), fs)


def step(before: float, after: float, at: float = 20.0) -> list[float]:
    """R peaks that step from one rate to another at second ``at``."""
    first = np.arange(0.0, at + 1e-9, 60 / before)
    return [float(beat) for beat in [*first, *np.arange(first[-1] + 60 / after, at + 20, 60 / after)]]


@pytest.mark.parametrize("bpm", [30, 45, 60, 80, 120, 200, 300])
def test_a_steady_rate_is_shown_exactly_at_every_phase(bpm: int) -> None:
    """The detector's latency and the open interval must not bend a regular rate."""
    beats = [float(beat) for beat in np.arange(0.0, 30.0, 60 / bpm)]
    for now in np.arange(20.0, 24.0, 0.1):
        assert rate_at(beats, float(now)) == pytest.approx(bpm, rel=0.01)


@pytest.mark.parametrize(("after", "limit"), [(120.0, 100.0), (40.0, 60.0)])
def test_a_step_passes_its_limit_with_time_left_for_the_delay(after: float, limit: float) -> None:
    """IEC 60601-2-27 gives 10 s from the step to the alarm; the alarm's own delay takes 3 s of them."""
    beats = step(80.0, after)
    passed = [now for now in np.arange(20.0, 32.0, 0.1) if ((rate_at(beats, now) or 0) - limit) * (after - limit) > 0]
    assert passed[0] <= 26.0
    assert all(((rate_at(beats, now) or 0) - limit) * (after - limit) > 0 for now in np.arange(passed[0], 32.0, 0.1))


def test_the_rate_falls_before_the_next_beat_comes() -> None:
    """A monitor that waits for the next beat shows 80 over a heart that has stopped."""
    beats = [float(beat) for beat in np.arange(0.0, 20.0, 0.75)]
    last = beats[-1]
    rates = [rate_at(beats, last + LATENCY + silent) or 0.0 for silent in (0.7, 1.5, 3.0, 6.0)]
    assert rates[0] == pytest.approx(80.0)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 45
    assert rate_at(beats, last + 11.0) is None


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param((-1, 10.0 - 0.4), id="premature beat with a compensatory pause"),
        pytest.param((-1, None), id="a beat missed"),
        pytest.param((None, 10.4), id="an artefact counted"),
    ],
)
def test_one_odd_interval_hardly_moves_the_rate(extra: tuple[int | None, float | None]) -> None:
    """One PVC must not alarm: at 60 /min the rate stays within 8 bpm, away from the limits of 50 and 120."""
    beats = [float(beat) for beat in np.arange(0.0, 20.0, 1.0)]
    drop, add = extra
    if drop is not None:
        beats.remove(10.0)
    if add is not None:
        beats = sorted([*beats, add])
    for now in np.arange(9.0, 19.0, 0.1):
        assert rate_at(beats, float(now)) == pytest.approx(60, abs=8)


def test_too_few_or_too_old_beats_are_no_rate() -> None:
    """A number on the screen must have beats behind it."""
    assert heart_rate_bpm(np.array([], dtype=np.int64), 5000) is None
    assert heart_rate_bpm(np.array([100, 500], dtype=np.int64), 800) is None
    assert heart_rate_bpm(np.array([100, 500, 900], dtype=np.int64), 1200) == pytest.approx(75)
    assert heart_rate_bpm(np.array([100, 500, 900], dtype=np.int64), 20_000) is None
    assert heart_rate_bpm(np.array([0, 9000, 9400], dtype=np.int64), 9700) is None


def test_the_rate_does_not_depend_on_the_sampling_rate() -> None:
    """Beats in a record at 250 Hz give what they give at 500 Hz."""
    beats = step(80.0, 40.0)
    for now in np.arange(20.0, 30.0, 0.5):
        assert rate_at(beats, float(now), 250) == pytest.approx(rate_at(beats, float(now), 500), rel=0.01)


def test_a_long_history_does_not_matter() -> None:
    """Only the latest beats count, so callers may pass all they have."""
    peaks = np.cumsum(np.full(1000, 400, dtype=np.int64))
    assert heart_rate_bpm(peaks, int(peaks[-1]) + 100) == heart_rate_bpm(peaks[-9:], int(peaks[-1]) + 100)
