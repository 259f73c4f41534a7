"""What recordings go through on other wards: gain, wander, real electrode noise, hum, narrow bands, lost leads.

All of it is done to the recording, before the ward's own pipeline sees it, and follows from a seed alone. The noise is
real: the electrode motion that MIT-BIH's noise stress test adds to record 118 (its clean copy subtracted; it was taken
from volunteers), and leads of CinC 2011's unacceptable records. So no patient of a database that is left out comes back
as noise.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ecg.chunk import MAX_FS, MIN_FS
from ecg.recording import Recording

Floats = npt.NDArray[np.float32]

NOISE_FS = 250  # Hz of the noise bank
EXCERPT_S = 10
_GAIN = (0.5, 2.0)  # between monitors; drawn evenly in its logarithm
_LEAD_GAIN = 0.2  # ± between leads of one recording
_RATE = 0.05  # ± of a sampling rate: the same heart, faster or slower
_LATE_S = 5.0  # of a long recording's start is dropped, so that windows and seconds fall elsewhere
_SNR_DB = (0.0, 24.0)  # below 0 dB nobody reads the rhythm, and above 24 dB the noise is not seen
_WANDER_UV = 500.0
_HUM_UV = 80.0
_LOW_PASS_HZ = (25.0, 40.0)  # what handhelds and monitors in filter mode let through
_LOST_S = (0.3, 2.5)


@dataclass(frozen=True)
class Copy:
    """An augmented recording, and where its time lies in the original: second t of it is ``start_s + t · pace``."""

    recording: Recording
    start_s: float
    pace: float


def rng_of(record: str, copy: int) -> np.random.Generator:
    """The generator of one copy of one record."""
    digest = hashlib.sha256(f"{record}#{copy}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))


def augmented(recording: Recording, noise: Floats, rng: np.random.Generator, *, long_s: float = 60.0) -> Copy:
    """A copy of ``recording``; its annotations move along.

    Args:
        recording: left as it is.
        noise: (k, 2500) excerpts of 10 s at 250 Hz, each of RMS 1.
        rng: as :func:`rng_of` gives it.
        long_s: seconds from which on up to 5 s of the start are dropped.
    """
    fs = recording.fs
    start = int(rng.uniform(0, _LATE_S) * fs) if recording.seconds >= long_s else 0
    cut = _without_start(recording, start)
    x = cut.microvolts.copy()
    swing = _swing(x, fs)
    gain = np.exp(rng.uniform(*np.log(_GAIN))) * rng.uniform(1 - _LEAD_GAIN, 1 + _LEAD_GAIN, len(x))
    if rng.random() < 0.6:
        _add_noise(x, swing, noise, fs, rng)
    if rng.random() < 0.5:
        x += _wander(x.shape, fs, rng)
    if rng.random() < 0.2 and fs >= 200:
        x += _hum(x.shape, fs, rng)
    if rng.random() < 0.4:
        x = _narrow(x, fs, rng)
    x *= gain[:, None].astype(np.float32)
    if rng.random() < 0.15:
        _lose(x, fs, rng)
    played = int(np.clip(round(fs * rng.uniform(1 - _RATE, 1 + _RATE)), MIN_FS, MAX_FS))
    return Copy(replace(cut, microvolts=x, fs=played), start / fs, played / fs)


def beats_seen(beats: npt.NDArray[np.int64], fs: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Beats as a detector tells them: jittered by some ms, up to 2 % missed, up to 1 % found where none is."""
    missed, false = rng.uniform(0, 0.02), rng.uniform(0, 0.01)
    kept = beats[rng.random(len(beats)) >= missed]
    jittered = kept + np.rint(rng.normal(0, 0.006 * fs, len(kept))).astype(np.int64)
    where = np.flatnonzero(rng.random(len(kept) - 1) < false) if len(kept) > 1 else np.empty(0, np.int64)
    extra = kept[where] + ((kept[where + 1] - kept[where]) * rng.uniform(0.4, 0.8, len(where))).astype(np.int64)
    return np.unique(np.concatenate([jittered, extra]))


def excerpts(recording: Recording, rows: npt.NDArray[np.intp]) -> Floats:
    """(k, 2500) noise of RMS 1 from leads ``rows`` of a recording that holds nothing else, but for silent pieces."""
    fs, n = recording.fs, EXCERPT_S * NOISE_FS
    at = np.arange(n) * (fs / NOISE_FS)
    found = []
    for first in range(0, recording.microvolts.shape[1] - EXCERPT_S * fs + 1, EXCERPT_S * fs):
        for row in rows:
            piece = np.nan_to_num(recording.microvolts[row, first : first + EXCERPT_S * fs])
            resampled = np.interp(at, np.arange(len(piece)), piece)
            level = resampled - _slow(resampled[None], NOISE_FS)[0]
            rms = float(np.sqrt(np.mean(level**2)))
            if rms > 20.0:  # µV: below it an electrode is silent
                found.append(level / rms)
    return np.array(found, np.float32).reshape(-1, n)


def _without_start(recording: Recording, start: int) -> Recording:
    if start == 0:
        return recording
    n = recording.microvolts.shape[1]
    kept = np.ones(0, np.bool_) if recording.beats is None else recording.beats >= start
    return replace(
        recording,
        microvolts=recording.microvolts[:, start:],
        beats=None if recording.beats is None else recording.beats[kept] - start,
        beat_symbols=tuple(s for s, keep in zip(recording.beat_symbols, kept, strict=False) if keep),
        rhythms=tuple(
            replace(r, onset=max(r.onset - start, 0), offset=min(r.offset, n) - start)
            for r in recording.rhythms
            if r.offset > start
        ),
    )


def _slow(x: npt.NDArray[np.floating], fs: int) -> npt.NDArray[np.float64]:
    """Mean of the second around each sample."""
    half = fs // 2
    total = np.cumsum(np.pad(np.nan_to_num(x).astype(np.float64), ((0, 0), (half + 1, half)), mode="edge"), axis=1)
    return np.asarray((total[:, 2 * half + 1 :] - total[:, : -2 * half - 1]) / (2 * half + 1))


def _swing(x: Floats, fs: int) -> npt.NDArray[np.float64]:
    """(leads,) RMS in µV of each lead without its baseline; that of all leads where one is silent."""
    level = np.nan_to_num(x) - _slow(x, fs)
    low, high = np.percentile(level, [1, 99], axis=1)
    rms = np.sqrt(np.mean(np.clip(level, low[:, None], high[:, None]) ** 2, axis=1))
    return np.where(rms > 1.0, rms, max(float(rms.mean()), 1.0))


def _add_noise(x: Floats, swing: npt.NDArray[np.float64], noise: Floats, fs: int, rng: np.random.Generator) -> None:
    snr_db = rng.uniform(*_SNR_DB)
    leads = np.flatnonzero(rng.random(len(x)) < rng.choice([1.0, 0.5]))
    piece = np.arange(EXCERPT_S * fs) * (NOISE_FS / fs)
    for lead in leads if len(leads) else [int(rng.integers(len(x)))]:
        level = swing[lead] * 10 ** (-(snr_db + rng.uniform(-3, 3)) / 20)
        first = -int(rng.integers(len(piece)))  # pieces do not begin with the recording
        while first < x.shape[1]:
            chosen = noise[rng.integers(len(noise))]
            resampled = np.interp(piece, np.arange(len(chosen)), chosen) * level * rng.choice([-1, 1])
            begin, end = max(first, 0), min(first + len(piece), x.shape[1])
            x[lead, begin:end] += resampled[begin - first : end - first].astype(np.float32)
            first += len(piece)


def _wander(shape: tuple[int, ...], fs: int, rng: np.random.Generator) -> Floats:
    t = np.arange(shape[1]) / fs
    waves = np.stack([np.sin(2 * np.pi * (rng.uniform(0.05, 0.5) * t + rng.random())) for _ in range(3)])
    share = rng.uniform(-1, 1, (shape[0], 3)) * rng.uniform(0, _WANDER_UV) / 3
    return np.asarray((share @ waves), np.float32)


def _hum(shape: tuple[int, ...], fs: int, rng: np.random.Generator) -> Floats:
    wave = np.sin(2 * np.pi * (rng.choice([50.0, 60.0]) * np.arange(shape[1]) / fs + rng.random()))
    return np.asarray(rng.uniform(0, _HUM_UV, (shape[0], 1)) * wave, np.float32)


def _narrow(x: Floats, fs: int, rng: np.random.Generator) -> Floats:
    from scipy.signal import butter, sosfilt

    low_pass = butter(3, rng.uniform(*_LOW_PASS_HZ), "lowpass", fs=fs, output="sos")
    high_pass = butter(1, rng.uniform(0.3, 1.0), "highpass", fs=fs, output="sos")
    gaps = np.isnan(x)
    first = np.nan_to_num(x[:, :1])
    y = sosfilt(low_pass, np.nan_to_num(x) - first, axis=1)
    y = sosfilt(high_pass, y, axis=1) if rng.random() < 0.5 else y
    out = y.astype(np.float32)
    out[gaps] = np.nan
    return np.asarray(out)


def _lose(x: Floats, fs: int, rng: np.random.Generator) -> None:
    lead, n = int(rng.integers(len(x))), int(rng.uniform(*_LOST_S) * fs)
    first = int(rng.integers(max(1, x.shape[1] - n)))
    x[lead, first : first + n] = np.nan
