"""The filter bank against scipy, and the properties that the ward relies on: memory, snapshots, any cutting."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from ecg.filters import FilterBank, high_pass, low_pass, notch


def noise(channels: int, n: int, seed: int = 1) -> npt.NDArray[np.float32]:
    """(channels, n) µV: a wandering, offset, noisy signal."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, 5, (channels, n)), axis=1)
    return (walk + rng.normal(0, 200, (channels, n)) + 5000).astype(np.float32)


@pytest.mark.parametrize("order", [2, 4])
def test_equals_scipys_butterworth_and_notch(order: int) -> None:
    """A wrong coefficient would bend every waveform on the screen; scipy's own design and filter are the reference."""
    bank = FilterBank(3, low_hz=0.67, high_hz=35, mains_hz=(50.0, 60.0), order=order)
    b50, a50 = signal.iirnotch(50, 30, 500)
    b60, a60 = signal.iirnotch(60, 30, 500)
    sos = np.vstack(
        [
            signal.butter(order, 0.67, "highpass", fs=500, output="sos"),
            signal.butter(order, 35, "lowpass", fs=500, output="sos"),
            np.hstack([b50, a50]),
            np.hstack([b60, a60]),
        ]
    )
    x = noise(3, 5000)
    steady = signal.sosfilt_zi(sos)[:, None, :] * x[:, 0].astype(float)[None, :, None]
    expected, _ = signal.sosfilt(sos, x.astype(float), axis=1, zi=steady)
    np.testing.assert_allclose(bank.push(x), expected, atol=2e-3)


def test_biquads_are_minus_three_decibels_where_they_say() -> None:
    """The corner frequencies mean what their name says."""
    for row in (high_pass(2, 500, 0.5**0.5), low_pass(2, 500, 0.5**0.5)):
        _, h = signal.sosfreqz(row[None], worN=[2.0], fs=500)
        assert abs(h[0]) == pytest.approx(0.5**0.5, rel=1e-9)
    _, h = signal.sosfreqz(notch(50, 500, 10)[None], worN=[50.0, 10.0], fs=500)
    assert abs(h[0]) < 1e-9
    assert abs(h[1]) == pytest.approx(1, abs=0.01)


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 600), max_size=8), masked=st.integers(0, 500))
def test_any_cutting_gives_the_same_output(cuts: list[int], masked: int) -> None:
    """Chunks of any size: an offline replay must draw the same wave to the last bit."""
    x = noise(4, 600, seed=3)
    mask = np.ones(x.shape, dtype=np.bool_)
    mask[1, masked : masked + 100] = False
    whole = FilterBank(4).push(x, mask)
    bank = FilterBank(4)
    edges = [0, *sorted(cuts), 600]
    parts = [bank.push(x[:, a:b], mask[:, a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_restored_bank_continues_byte_for_byte() -> None:
    """A worker that takes over a bed draws on as the dead one would have."""
    x = noise(2, 1000)
    bank = FilterBank(2)
    bank.push(x[:, :500])
    other = FilterBank(2)
    other.restore(bank.snapshot())
    np.testing.assert_array_equal(other.push(x[:, 500:]), bank.push(x[:, 500:]))
    assert other.snapshot() == bank.snapshot()


def test_offset_does_not_ring_and_gaps_are_held() -> None:
    """An electrode offset of 5 mV, from the first real sample on and across a gap, leaves a flat line at zero."""
    x = np.full((1, 2000), 5000, dtype=np.float32)
    mask = np.ones((1, 2000), dtype=np.bool_)
    mask[0, :100] = False
    mask[0, 900:1100] = False
    x[~mask] = -1e6
    assert np.abs(FilterBank(1).push(x, mask)).max() < 1e-3


def test_faded_memory_is_cleared() -> None:
    """A lead held for ten minutes must not leave subnormal numbers behind, which cost a hundredfold."""
    bank = FilterBank(1, low_hz=5.0)
    bank.push(noise(1, 500))
    bank.push(np.zeros((1, 50_000), dtype=np.float32), np.zeros((1, 50_000), dtype=np.bool_))
    state = np.abs(bank._state)
    assert np.all((state == 0) | (state > 1e-25))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"channels": 0}, "channels"),
        ({"channels": 1, "low_hz": 300.0}, "low_hz"),
        ({"channels": 1, "low_hz": 50.0, "high_hz": 40.0}, "low_hz"),
        ({"channels": 1, "mains_hz": (0.0,)}, "mains_hz"),
        ({"channels": 1, "order": 3}, "order"),
    ],
)
def test_a_senseless_design_is_refused_by_name(arguments: dict[str, float], named: str) -> None:
    """A filter beyond half the sampling rate would be silently unstable."""
    with pytest.raises(ValueError, match=named):
        FilterBank(**arguments)  # type: ignore[arg-type]


def test_wrong_shapes_and_foreign_snapshots_are_refused() -> None:
    """The error quotes what came, so that the log says what to look for."""
    bank = FilterBank(2)
    with pytest.raises(ValueError, match=r"\(3, 10\)"):
        bank.push(np.zeros((3, 10), dtype=np.float32))
    with pytest.raises(ValueError, match="mask"):
        bank.push(np.zeros((2, 10), dtype=np.float32), np.ones((2, 9), dtype=np.bool_))
    with pytest.raises(ValueError, match="snapshot"):
        bank.restore(FilterBank(3).snapshot())
