"""Real recordings under noise that nobody reads a rhythm through: they are to be called noise, whatever beats below.

Databases label such stretches noise, but have few of them. How far the noise stands above the signal is told within the
band of the QRS, for a beat on a wandering baseline is read by everybody: its RMS there against the height of the QRS,
whose RMS over a beat is about a quarter to a fifth of it. ``DEPTH`` is thus some -8 to -22 dB of signal to noise.
Every second has at least the lower of the two.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, lfilter, sosfilt

from ecg.leads import LEADS, N_LEADS
from ecg.recording import Recording
from ecg.synthetic.noise import ELECTRODES
from wardbeat.training.augment import narrowed, rng_of
from wardbeat.training.labels import AF_WORDS
from wardbeat.training.noise import Floats, of_level, slow
from wardbeat.training.records import LIMB, TELEMETRY, Record, records_of

Doubles = npt.NDArray[np.float64]

DATASET = "drowned"
# Records of a dataset at most, all those with AF among them.
DRAWN_FROM = {
    "ptbxl_z500": 220,
    "ptbxl_native100": 110,
    "ptbxl_native500": 10,
    "cpsc2018": 110,
    "cpsc2018_extra": 20,
    "chapman_ningbo": 50,
    "cinc2011": 70,
    "mitdb": 25,
    "afpdb_n": 25,
    "cpsc2021": 19,
}
PIECE_S = 20.0  # of a longer recording; its last window then has a drowned one as its past
PIECES = {"mitdb": 2}  # of each record; of others one
WHOLLY = 0.65  # share of records of which no lead can be read; of the others some can, and their rhythm holds
DEPTH = (0.6, 3.0)  # RMS of the noise / height of the QRS, through one lead; evenly in the logarithm
_TOGETHER = 0.2  # how much deeper for each doubling of the leads: what they have in common is seen by looking at all
_QRS_HZ = (5.0, 35.0)
_HEIGHT = 99.5  # percentile of the band's magnitude: a QRS fills a twentieth of the time or more
_LEAST_HEIGHT_UV = 50.0  # of a QRS in a lead that is silent or lies across
_SILENT = 1e-6
_RMS_UV = (60.0, 1200.0)  # of the whole when drowned: a poor contact shows a small ECG as often as large noise
_GAIN = (0.6, 1.6)
_RAIL = (1.2, 3.0)  # RMS of a lead at which an amplifier cuts it


@dataclass(frozen=True)
class Drowned:
    """A recording under noise: ``whole`` if in all of its leads, else the rhythm can still be read."""

    recording: Recording
    whole: bool


def drowned_records(data: Path) -> list[Record]:
    """What is drawn, of the datasets of ``DRAWN_FROM`` that the index has, as records of them.

    Raises:
        ValueError: it has none of them.
    """
    found: list[Record] = []
    for dataset, most in DRAWN_FROM.items():
        try:
            records = records_of(data, dataset)
        except ValueError:
            continue  # a folder with some of the databases is a folder to train from
        records = [record for record in records if "UNACCEPTABLE" not in record.labels]
        order = np.random.default_rng(len(records)).permutation(len(records))
        first = sorted(order.tolist(), key=lambda k: not set(records[k].labels) & AF_WORDS)  # stable: AF goes first
        found += [records[k] for k in sorted(first[:most])]
    if not found:
        raise ValueError(f"{data / 'index.csv'} has no record of {', '.join(DRAWN_FROM)}")
    return found


def pieces(recording: Recording, dataset: str, rng: np.random.Generator) -> Iterator[tuple[float, Recording]]:
    """(start in seconds, piece) of a recording that is longer than ``PIECE_S``; else itself."""
    if recording.seconds <= PIECE_S:
        yield 0.0, recording
        return
    for _ in range(PIECES.get(dataset, 1)):
        first = int(rng.uniform(0, recording.seconds - PIECE_S) * recording.fs)
        yield first / recording.fs, recording.sliced(first, first + round(PIECE_S * recording.fs))


def lead_sets(leads: tuple[str, ...], rng: np.random.Generator) -> list[tuple[str, ...]]:
    """What a drowned recording is seen through: several leads and a single one."""
    several = leads
    if len(leads) == N_LEADS:
        some = tuple(LEADS[k] for k in sorted(rng.permutation(N_LEADS)[: rng.integers(2, 9)].tolist()))
        several = (leads, LIMB, TELEMETRY, some)[int(rng.choice(4, p=[0.35, 0.15, 0.25, 0.25]))]
    return [several, (leads[int(rng.integers(len(leads)))],)]


def drowned(recording: Recording, noise: Floats, rng: np.random.Generator) -> Drowned:
    """The recording under noise in each of its leads or, where it has several, perhaps in one to three of them.

    Args:
        recording: left as it is.
        noise: (k, 2500) excerpts of 10 s at 250 Hz, each of RMS 1; none of them an ECG.
        rng: as ``augment.rng_of`` gives it.
    """
    n_leads, fs = len(recording.leads), recording.fs
    whole = n_leads == 1 or rng.random() < WHOLLY
    x = np.nan_to_num(recording.microvolts).astype(np.float64)
    bad = np.arange(n_leads) if whole else rng.permutation(n_leads)[: rng.integers(1, max(2, n_leads // 4 + 1))]
    together = 1 + _TOGETHER * np.log2(len(bad))
    least, deepest = DEPTH[0] * together, DEPTH[1]
    height = np.maximum(np.percentile(np.abs(_in_band(x, fs)), _HEIGHT, axis=1), _LEAST_HEIGHT_UV)[bad]
    rough = _at_leads(recording.leads, bad, x.shape[1], fs, noise, rng)
    # An electrode that did not once jump has no noise yet.
    level = np.maximum(np.sqrt(np.mean(_in_band(rough, fs) ** 2, axis=1)) / height, _SILENT)
    depth = np.exp(rng.uniform(np.log(least), np.log(deepest)))
    # Leads differ; none is better than at the least depth.
    rough *= np.maximum(depth / np.median(level), least / level)[:, None]
    x[bad] += _filled(rough, least * height, fs, rng)
    if whole:
        rms = np.sqrt(np.mean((x - slow(x, fs)) ** 2, axis=1))
        x *= np.exp(rng.uniform(*np.log(_RMS_UV))) / np.median(rms)
    else:
        x *= np.exp(rng.uniform(*np.log(_GAIN)))
    if rng.random() < 0.2:
        rail = rng.uniform(*_RAIL) * x[bad].std(axis=1, keepdims=True)
        x[bad] = np.clip(x[bad], -rail, rail)
    y = x.astype(np.float32)
    y[np.isnan(recording.microvolts)] = np.nan
    if rng.random() < 0.4:
        y = narrowed(y, fs, rng)
    return Drowned(replace(recording, microvolts=y), whole)


def rng_of_piece(record: Record, number: int) -> np.random.Generator:
    """The generator of piece ``number`` of a record."""
    return rng_of(f"{DATASET}/{record.path}", number)


# ---- noise


def _in_band(x: Doubles, fs: int) -> Doubles:
    """(leads, n) in the band of the QRS."""
    band = butter(2, (_QRS_HZ[0], min(_QRS_HZ[1], 0.45 * fs)), "bandpass", fs=fs, output="sos")
    return np.asarray(sosfilt(band, x - x[:, :1], axis=1))


def _at_leads(
    leads: tuple[str, ...], bad: npt.NDArray[np.intp], n: int, fs: int, noise: Floats, rng: np.random.Generator
) -> Doubles:
    """(bad, n) noise: that of nine electrodes, as the leads between them have it, or of each lead by itself."""
    electrodes = len(bad) > 1 and rng.random() < 0.5
    shape = (len(ELECTRODES[0]) if electrodes else len(bad), n)
    rough = _unit(_KINDS[str(rng.choice(list(_KINDS), p=_HOW_OFTEN))](shape, fs, noise, rng), fs)
    if rng.random() < 0.4:
        other = _KINDS[str(rng.choice(list(_KINDS)))](shape, fs, noise, rng)
        rough += rng.uniform(0.3, 0.9) * _unit(other, fs)
    if not electrodes:
        return rough
    seen = ELECTRODES @ (rough * rng.lognormal(0.0, 0.8, (shape[0], 1)))  # one comes off before the others do
    one, two = seen[0], seen[1]
    limbs = (one, two, two - one, (one + two) * -0.5, one - two * 0.5, two - one * 0.5)
    twelve = np.concatenate([np.stack(limbs), seen[2:]])
    return np.asarray(twelve[[LEADS.index(leads[k]) for k in bad]])


def _unit(x: Doubles, fs: int) -> Doubles:
    """The same with an RMS of 1 in the band of the QRS."""
    rms = np.sqrt(np.mean(_in_band(x, fs) ** 2, axis=1, keepdims=True))
    return np.asarray(x / np.maximum(rms, 1e-9))


def _filled(rough: Doubles, least: Doubles, fs: int, rng: np.random.Generator) -> Doubles:
    """Noise whose lulls are filled with tremor, so that it has ``least`` (leads,) RMS in the band in each second."""
    power = slow(_in_band(rough, fs) ** 2, fs)
    lack = np.sqrt(np.clip(least[:, None] ** 2 - power, 0, None))
    return np.asarray(rough + lack * _unit(_tremor(rough.shape, fs, None, rng), fs))


def _real(shape: tuple[int, int], fs: int, noise: Floats, rng: np.random.Generator) -> Doubles:
    return np.stack([of_level(1.0, shape[1], fs, noise, rng) for _ in range(shape[0])]).astype(np.float64)


def _tremor(shape: tuple[int, int], fs: int, _: object, rng: np.random.Generator) -> Doubles:
    """Muscle: shivering of 5 to 12 Hz swells what the fibres give from 10 Hz up."""
    band = butter(2, (10.0, min(0.45 * fs, rng.uniform(40, 150))), "bandpass", fs=fs, output="sos")
    fibres = sosfilt(band, rng.standard_normal(shape), axis=1)
    pace = rng.uniform(5, 12) * np.arange(shape[1]) / fs + np.cumsum(rng.standard_normal(shape[1])) * 0.05 / fs**0.5
    return np.asarray(fibres * (1 + rng.uniform(0, 0.9) * np.sin(2 * np.pi * pace)))


def _steps(shape: tuple[int, int], fs: int, _: object, rng: np.random.Generator) -> Doubles:
    """Motion: an electrode's potential jumps, once to eight times a second, and creeps back."""
    jumps = np.zeros(shape)
    at = np.flatnonzero(rng.random(jumps.size) < rng.uniform(1, 8) / fs)
    jumps.flat[at] = rng.standard_t(3, len(at))
    return np.asarray(lfilter([1.0], [1.0, -np.exp(-1 / (fs * rng.uniform(0.05, 0.6)))], jumps, axis=1))


def _rubbing(shape: tuple[int, int], fs: int, _: object, rng: np.random.Generator) -> Doubles:
    """An electrode rubs against skin or cloth, back and forth within one to three seconds."""
    band = butter(1, (rng.uniform(0.5, 3), min(0.45 * fs, rng.uniform(8, 30))), "bandpass", fs=fs, output="sos")
    t, size = np.arange(shape[1]) / fs, rng.uniform(0.5, 3)
    stroke = np.abs(np.sin(np.pi * (rng.uniform(0.35, 1.5) * t + rng.random((shape[0], 1))))) ** size
    return np.asarray(sosfilt(band, rng.standard_normal(shape), axis=1) * (0.15 + stroke))


_KINDS: dict[str, Callable[[tuple[int, int], int, Floats, np.random.Generator], Doubles]] = {
    "real": _real,
    "tremor": _tremor,
    "steps": _steps,
    "rubbing": _rubbing,
}
_HOW_OFTEN = (0.45, 0.2, 0.15, 0.2)
