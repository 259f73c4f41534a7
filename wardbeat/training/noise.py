"""Real noise in excerpts of one level, and a signal with some of it at a wanted distance.

It is the bad leads of CinC 2011's unacceptable records and of CinC 2015's false alarms. CinC 2017's noise and that of
MIT-BIH's noise stress test are left alone: networks that left those databases out are judged on them.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg.readers import read_recording
from ecg.recording import Recording
from wardbeat.training.records import good_share, indexed, records_of

Floats = npt.NDArray[np.float32]

NOISE_FS = 250  # Hz
EXCERPT_S = 10
SILENT_UV = 20.0  # RMS below which an electrode is at rest: a pressed or lifted one reaches hundreds
NOISE_BELOW = 0.25  # share of good half seconds below which a lead of an unacceptable record is nothing else
MOST_EXCERPTS = 1500
_RR_S = (0.4, 1.6)
_BEAT_FS = 16  # for ``slow`` to take its mean over a sixteenth of a second, about a QRS
_BEATS_ALIKE = 0.85  # correlation at the RR interval; 95 % of the excerpts are below 0.81, their ECGs above 0.92


def noise_bank(data: Path) -> Floats:
    """(k, 2500) float32 excerpts of 10 s at 250 Hz, each of RMS 1 and without beats, in a fixed order.

    Raises:
        ValueError: the index lacks ``cinc2011`` or ``cinc2015``, or none of their leads is bad; quotes it.
        RecordError: a record cannot be read.
    """
    found = []
    for record in (*records_of(data, "cinc2011"), *indexed(data, "cinc2015")):
        if any(label == "UNACCEPTABLE" or label.endswith("-FALSE") for label in record.labels):
            recording = read_recording(data / record.path)
            good = good_share(recording)
            bad = [row for row, lead in enumerate(recording.leads) if good[lead] < NOISE_BELOW]
            found.append(excerpts(recording, np.array(bad, np.intp)))
    if not sum(map(len, found)):
        raise ValueError(f"{data}: no bad lead in cinc2011 and cinc2015 to take noise from")
    bank = without_beats(np.concatenate(found))
    return bank[np.random.default_rng(0).permutation(len(bank))[:MOST_EXCERPTS]]


def excerpts(recording: Recording, rows: npt.NDArray[np.intp]) -> Floats:
    """(k, 2500) noise of RMS 1 from leads ``rows`` of a recording that holds nothing else, but for silent pieces."""
    fs, n = recording.fs, EXCERPT_S * NOISE_FS
    at = np.arange(n) * (fs / NOISE_FS)
    found = []
    for first in range(0, recording.microvolts.shape[1] - EXCERPT_S * fs + 1, EXCERPT_S * fs):
        for row in rows:
            piece = np.nan_to_num(recording.microvolts[row, first : first + EXCERPT_S * fs])
            resampled = np.interp(at, np.arange(len(piece)), piece)
            level = resampled - slow(resampled[None], NOISE_FS)[0]
            rms = float(np.sqrt(np.mean(level**2)))
            if rms > SILENT_UV:
                found.append(level / rms)
    return np.array(found, np.float32).reshape(-1, n)


def without_beats(bank: Floats) -> Floats:
    """(k', 2500) excerpts in which no steady beats are seen: a bad lead of CinC 2011 now and then has some.

    The height of the QRS band then repeats itself more than in anything else, electrode motion in step included.
    """
    from scipy.signal import butter, sosfiltfilt

    band = butter(2, (5.0, 35.0), "bandpass", fs=NOISE_FS, output="sos")
    height = slow(np.abs(sosfiltfilt(band, bank, axis=1)), _BEAT_FS)
    height = np.minimum(height, np.percentile(height, 97, axis=1, keepdims=True))  # one jolt is no rhythm
    height -= height.mean(axis=1, keepdims=True)
    n = height.shape[1]
    alike = np.fft.irfft(np.abs(np.fft.rfft(height, 2 * n, axis=1)) ** 2, axis=1)[:, :n] / (n - np.arange(n))
    lag = slice(*(round(s * NOISE_FS) for s in _RR_S))
    return np.asarray(bank[alike[:, lag].max(axis=1) < _BEATS_ALIKE * alike[:, 0]])


def slow(x: npt.NDArray[np.floating], fs: int) -> npt.NDArray[np.float64]:
    """Mean of the second around each sample."""
    half = fs // 2
    total = np.cumsum(np.pad(np.nan_to_num(x).astype(np.float64), ((0, 0), (half + 1, half)), mode="edge"), axis=1)
    return np.asarray((total[:, 2 * half + 1 :] - total[:, : -2 * half - 1]) / (2 * half + 1))


def swing(x: Floats, fs: int) -> npt.NDArray[np.float64]:
    """(leads,) RMS in µV of each lead without its baseline; that of all leads where one is silent."""
    level = np.nan_to_num(x) - slow(x, fs)
    low, high = np.percentile(level, [1, 99], axis=1)
    rms = np.sqrt(np.mean(np.clip(level, low[:, None], high[:, None]) ** 2, axis=1))
    return np.where(rms > 1.0, rms, max(float(rms.mean()), 1.0))


def of_level(rms_uv: float, n: int, fs: int, bank: Floats, rng: np.random.Generator) -> Floats:
    """(n,) float32 noise of ``rms_uv`` at ``fs`` from excerpts drawn one after another; none begins where it does."""
    at = np.arange(EXCERPT_S * fs) * (NOISE_FS / fs)
    out = np.empty(n, np.float32)
    first = -int(rng.integers(len(at)))
    while first < n:
        chosen = bank[rng.integers(len(bank))]
        resampled = np.interp(at, np.arange(len(chosen)), chosen) * rms_uv * rng.choice([-1, 1])
        begin, end = max(first, 0), min(first + len(at), n)
        out[begin:end] = resampled[begin - first : end - first]
        first += len(at)
    return out
