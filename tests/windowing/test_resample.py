"""Resampling: true to the reference, without delay, and quiet at the edges of gaps."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import resample_poly

from ecg.chunk import MISSING
from ecg.leads import derive_limb_leads
from windowing.order import Segment
from windowing.resample import Resampler, taps
from windowing.ring import Ring

Counts = npt.NDArray[np.int16]


def resampled(
    counts: Counts, fs: int, rows: tuple[int, ...], uv_per_bit: float = 1.0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """(leads, n) counts through the resampler and out at its end: (12, m) µV and mask."""
    n = counts.shape[1]
    ring = Ring(-(-n * 500 // fs))
    resampler = Resampler(fs, ring)
    segment = Segment(
        0, n, np.array(rows, dtype=np.intp), uv_per_bit, np.frombuffer(counts.tobytes(), "<i2").reshape(-1, n)
    )
    for first in range(0, n, resampler.piece):
        resampler.push(segment, first, min(n, first + resampler.piece))
    resampler.flush()
    assert resampler.written == ring.capacity
    return ring.view(0, resampler.written)


@pytest.mark.parametrize("fs", [100, 125, 128, 200, 250, 257, 300, 360, 512, 720, 997, 1000])
def test_like_scipy(fs: int) -> None:
    """In the interior the signal is that of ``scipy.signal.resample_poly``, to a thousandth of its size."""
    rng = np.random.default_rng(1)
    t = np.arange(8 * fs) / fs
    x = sum(
        a * np.sin(2 * np.pi * f * t + p)
        for f, a, p in zip(rng.uniform(0.5, 35, 9), rng.uniform(50, 900, 9), range(9), strict=True)
    )
    counts = np.rint(x)[None].astype("<i2")
    ours, mask = resampled(counts, fs, (6,))
    bank = taps(fs)
    reference = resample_poly(counts[0].astype(float), bank.up, bank.down)
    inner = slice(250, 3750)
    assert mask[6, inner].all()
    assert np.abs(ours[6, inner] - reference[inner]).max() < 1e-3 * np.abs(reference).max()


@pytest.mark.parametrize("fs", [100, 257, 360, 1000])
def test_no_delay(fs: int) -> None:
    """Output n stands for n / 500 s: a 5 Hz sine comes out as the sine itself."""
    counts = np.rint(20000 * np.sin(2 * np.pi * 5 * np.arange(4 * fs) / fs))[None].astype("<i2")
    ours, _ = resampled(counts, fs, (0,))
    inner = slice(200, 1800)
    truth = 20000 * np.sin(2 * np.pi * 5 * np.arange(2000) / 500)
    assert np.abs(ours[0, inner] - truth[inner]).max() < 60  # the pass band is flat to 0.2 %


def test_500_hz_passes_bit_by_bit() -> None:
    """At the analysis rate a sample is count × µV per bit, nothing else."""
    counts = np.random.default_rng(2).integers(-32767, 32767, (2, 1500)).astype("<i2")
    ours, mask = resampled(counts, 500, (6, 11), uv_per_bit=4.88)
    assert ours[[6, 11]].tobytes() == (counts.astype(np.float32) * np.float32(4.88)).tobytes()
    assert mask.sum() == counts.size


@pytest.mark.parametrize("fs", [128, 250, 360, 1000])
def test_a_gap_does_not_ring(fs: int) -> None:
    """A lead that stands at 3 mV does so up to each edge of a gap, and at both ends of the epoch."""
    counts = np.full((1, 4 * fs), 3000, dtype="<i2")
    counts[0, fs : 2 * fs] = MISSING
    counts[0, 3 * fs] = MISSING
    ours, mask = resampled(counts, fs, (9,))
    assert np.allclose(ours[9, mask[9]], 3000, atol=0.01)
    assert not ours[~mask].any()
    nearest = np.rint(np.arange(2000) * fs / 500 - 1e-9).astype(int)
    expected = np.append(counts[0], MISSING)[np.minimum(nearest, 4 * fs)] != MISSING
    assert (mask[9] == expected).all()


def test_limb_leads_are_those_of_the_ground() -> None:
    """The kernel derives III, aVR, aVL, aVF bit by bit as ``derive_limb_leads``; a measured one stays."""
    rng = np.random.default_rng(3)
    counts = rng.integers(-3000, 3000, (4, 1000)).astype("<i2")
    counts[rng.random(counts.shape) < 0.2] = MISSING
    rows = (1, 0, 4, 8)
    ours, mask = resampled(counts, 500, rows, uv_per_bit=1.7)
    expected, real = np.zeros((12, 1000), dtype=np.float32), np.zeros((12, 1000), dtype=np.bool_)
    real[list(rows)] = counts != MISSING
    expected[list(rows)] = np.where(counts != MISSING, counts.astype(np.float32) * np.float32(1.7), 0)
    derive_limb_leads(expected, real)
    assert (mask == real).all()
    assert ours.tobytes() == expected.tobytes()


@pytest.mark.parametrize("fs", range(100, 1001, 53))
def test_every_rate_keeps_a_level(fs: int) -> None:
    """Each row of taps adds up to 1, and fits the runs that are counted in a byte."""
    bank = taps(fs)
    assert np.allclose(bank.table.sum(axis=1), 1, atol=1e-5)
    assert bank.table.shape == (bank.up, 2 * bank.half)
    assert 2 * bank.half < 255
