"""What recordings go through on other wards: gain, wander, electrode noise, tremor, hum, narrow bands, lost leads.

All of it is done to the recording, before the ward's own pipeline sees it, and follows from a seed alone.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ecg.chunk import MAX_FS, MIN_FS
from ecg.recording import Recording
from wardbeat.training.noise import of_level, swing

Floats = npt.NDArray[np.float32]

_GAIN = (0.5, 2.0)  # between monitors; drawn evenly in its logarithm
_LEAD_GAIN = 0.2  # ± between leads of one recording
_RATE = 0.05  # ± of a sampling rate: the same heart, faster or slower
_LATE_S = 5.0  # of a long recording's start is dropped, so that windows and seconds fall elsewhere
_SNR_DB = (0.0, 24.0)  # below 0 dB nobody reads the rhythm, and above 24 dB the noise is not seen
_LEAD_SNR_DB = 3.0  # ± between leads of one recording
_TREMOR = 0.06  # of the copies
_TREMOR_HZ = (4.0, 9.0)  # resting tremor of Parkinson's disease to 6, shivering and essential tremor above
_PARKINSON_HZ = 6.0
_TREMOR_SIZE = (0.15, 2.0)  # amplitude / RMS of the lead, 30 to 400 µV in one of 200; QRS is five times that and more
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
    cut = recording.sliced(start)
    x = cut.microvolts.copy()
    levels = swing(x, fs)
    gain = np.exp(rng.uniform(*np.log(_GAIN))) * rng.uniform(1 - _LEAD_GAIN, 1 + _LEAD_GAIN, len(x))
    if rng.random() < 0.6:
        add_noise(x, levels, noise, fs, rng.uniform(*_SNR_DB), rng)
    if rng.random() < _TREMOR:
        add_tremor(x, levels, fs, rng)
    if rng.random() < 0.5:
        x += _wander(x.shape, fs, rng)
    if rng.random() < 0.2 and fs >= 200:
        x += _hum(x.shape, fs, rng)
    if rng.random() < 0.4:
        x = narrowed(x, fs, rng)
    x *= gain[:, None].astype(np.float32)
    if rng.random() < 0.15:
        _lose(x, fs, rng)
    played = int(np.clip(round(fs * rng.uniform(1 - _RATE, 1 + _RATE)), MIN_FS, MAX_FS))
    return Copy(replace(cut, microvolts=x, fs=played), start / fs, played / fs)


def beats_seen(beats: npt.NDArray[np.int64], fs: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Beats as a detector tells them: jittered by 6 ms (SD), up to 2 % missed, up to 1 % found where none is.

    Args:
        beats: (b,) int64 sample indices of R peaks, ascending.
        fs: of the indices, Hz.
        rng: draws the two shares once, then each beat.

    Returns:
        (about b,) int64 sample indices at ``fs``, ascending, each once.
    """
    missed, false = rng.uniform(0, 0.02), rng.uniform(0, 0.01)
    kept = beats[rng.random(len(beats)) >= missed]
    jittered = kept + np.rint(rng.normal(0, 0.006 * fs, len(kept))).astype(np.int64)
    where = np.flatnonzero(rng.random(len(kept) - 1) < false) if len(kept) > 1 else np.empty(0, np.int64)
    extra = kept[where] + ((kept[where + 1] - kept[where]) * rng.uniform(0.4, 0.8, len(where))).astype(np.int64)
    return np.unique(np.concatenate([jittered, extra]))


def add_noise(
    x: Floats, levels: npt.NDArray[np.float64], noise: Floats, fs: int, snr_db: float, rng: np.random.Generator
) -> None:
    """Lay noise over all or half of the leads, ``snr_db`` ± 3 dB below each lead's own level.

    Args:
        x: (leads, n) µV; changed.
        levels: (leads,) RMS, µV.
        noise: (k, 2500) excerpts of 10 s at 250 Hz, each of RMS 1.
        fs: of ``x``, Hz.
        snr_db: signal to noise.
        rng: draws the leads and the excerpts.
    """
    leads = np.flatnonzero(rng.random(len(x)) < rng.choice([1.0, 0.5]))
    for lead in leads if len(leads) else [int(rng.integers(len(x)))]:
        level = levels[lead] * 10 ** (-(snr_db + rng.uniform(-_LEAD_SNR_DB, _LEAD_SNR_DB)) / 20)
        x[lead] += of_level(level, x.shape[1], fs, noise, rng)


def add_tremor(x: Floats, levels: npt.NDArray[np.float64], fs: int, rng: np.random.Generator) -> None:
    """Lay a trembling limb over one lead, some or all: in the band of f and flutter waves, whatever the rhythm is.

    One oscillation whose frequency drifts by up to 0.3 Hz and whose amplitude waxes and wanes, at times with a second
    harmonic. The beats stay readable.

    Args:
        x: (leads, n) µV; changed.
        levels: (leads,) RMS, µV.
        fs: of ``x``, Hz.
        rng: draws all of it.
    """
    t = np.arange(x.shape[1]) / fs
    low, high = _TREMOR_HZ
    hz = rng.uniform(low, _PARKINSON_HZ if rng.random() < 0.5 else high)
    drift = 0.3 * np.sin(2 * np.pi * (rng.uniform(0.02, 0.1) * t + rng.random()))
    turns = np.cumsum(np.clip(hz + drift, low, high)) / fs
    depth = rng.uniform(0, 0.9)
    swell = (1 + depth * np.sin(2 * np.pi * (rng.uniform(0.05, 0.3) * t + rng.random()))) / (1 + depth)
    harmonic, shift = rng.uniform(0.1, 0.5) * (rng.random() < 0.3), rng.random()
    size = np.exp(rng.uniform(*np.log(_TREMOR_SIZE)))
    leads = np.flatnonzero(rng.random(len(x)) < rng.choice([0.0, 0.5, 1.0]))
    for lead in leads if len(leads) else [int(rng.integers(len(x)))]:
        at = 2 * np.pi * (turns + rng.normal(0, 0.05))  # one limb moves all leads, nearly together
        wave = (np.sin(at) + harmonic * np.sin(2 * at + 2 * np.pi * shift)) * swell
        amplitude = levels[lead] * np.clip(size * rng.lognormal(0, 0.3), *_TREMOR_SIZE)
        x[lead] += (rng.choice([-1, 1]) * amplitude * wave).astype(np.float32)


def _wander(shape: tuple[int, ...], fs: int, rng: np.random.Generator) -> Floats:
    t = np.arange(shape[1]) / fs
    waves = np.stack([np.sin(2 * np.pi * (rng.uniform(0.05, 0.5) * t + rng.random())) for _ in range(3)])
    share = rng.uniform(-1, 1, (shape[0], 3)) * rng.uniform(0, _WANDER_UV) / 3
    return np.asarray((share @ waves), np.float32)


def _hum(shape: tuple[int, ...], fs: int, rng: np.random.Generator) -> Floats:
    wave = np.sin(2 * np.pi * (rng.choice([50.0, 60.0]) * np.arange(shape[1]) / fs + rng.random()))
    return np.asarray(rng.uniform(0, _HUM_UV, (shape[0], 1)) * wave, np.float32)


def narrowed(x: Floats, fs: int, rng: np.random.Generator) -> Floats:
    """(leads, n) through the filters of a handheld or of a monitor in filter mode; what is NaN stays so."""
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
