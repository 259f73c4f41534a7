"""The windows that the network learns from, drawn once by the ward's own pipeline and kept: one ``.npz`` a dataset.

``sampler.CachedDataset`` tells the arrays. In ``signal``, ``ppv`` and ``lead`` a row is a known lead of a window, and
``start`` (n + 1,) says where each window's rows begin; targets are NaN where the database does not say. Beside the
datasets lie ``minirocket.params`` (the kernels, fitted on databases that no leave-one-out figure is claimed for) and
``noise.params`` (excerpts of real noise, for augmentation); both are zip archives of arrays as ``.npz`` is.
"""

import multiprocessing
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecg.leads import N_LEADS
from ecg.readers import read_beats, read_recording
from ecg.recording import Recording
from models.inputs import PPV_PER_LEAD, PULSE_NAMES, RATE, SAMPLES, NetworkInput
from models.minirocket_leads import fit_shared, shared_config
from models.minirocket_parameters import KNOWN_SHARE, MiniRocketParameters
from wardbeat.training import patients
from wardbeat.training.augment import Copy, augmented, beats_seen, excerpts, rng_of
from wardbeat.training.labels import Annotated, RecordTruth, Truth, free_of_af, record_truth
from wardbeat.training.records import (
    PLANS,
    Plan,
    Record,
    Told,
    augmented_leads,
    beat_ends,
    beat_windows,
    check_known,
    clean_leads,
    good_share,
    named,
    records_of,
    through,
    windows,
)
from wardbeat.training.sampler import CachedDataset, load
from windowing.spans import ANALYSIS_FS

__all__ = ["CachedDataset", "build", "fit_minirocket", "load", "load_minirocket"]

MINIROCKET = "minirocket.params"  # not .npz: every .npz of the folder is a dataset
NOISE_BANK = "noise.params"
REACH_S = 3.0  # of the longest kernel: six dilations, up to two or three beats
FITTED_ON = ("chapman_ningbo", "cpsc2018_extra", "cinc2011")  # MiniRocket's biases
LONG_S = 61.0  # a longer record has enough windows for copies to take every second one
GOOD_ENOUGH = 0.5  # share of good half seconds from which on an "unacceptable" lead is no noise
NOISE_BELOW = 0.25  # and below which it is nothing else
MOST_EXCERPTS = 1500
_KNOWN = PULSE_NAMES.index("known")

Floats = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class _Row:
    """One window to be kept."""

    drawn: NetworkInput
    truth: Truth
    record: Record
    end_s: float
    leads_name: str
    augmented: bool


def stack(rows: Sequence[_Row]) -> Arrays:
    """The arrays of ``CachedDataset`` of these windows."""
    known = [np.flatnonzero(row.drawn.leads) for row in rows]

    def each(name: str, dtype: type[np.generic]) -> npt.NDArray[Any]:
        return np.stack([getattr(row.drawn, name) for row in rows]).astype(dtype)

    return {
        "signal": np.concatenate([row.drawn.signal[k] for row, k in zip(rows, known, strict=True)]),
        "ppv": np.concatenate([row.drawn.ppv[k] for row, k in zip(rows, known, strict=True)]).astype(np.float16),
        "lead": np.concatenate(known).astype(np.uint8),
        "start": np.concatenate([[0], np.cumsum([len(k) for k in known])]).astype(np.int64),
        "rr": each("rr", np.float32),
        "shape": each("shape", np.float32),
        "atrial": each("atrial", np.float32),
        "pulse": each("pulse", np.float16),
        "context": each("context", np.float32),
        "context_age_s": each("context_age_s", np.float32),
        "seconds_target": np.stack([row.truth.seconds for row in rows]).astype(np.float16),
        "rhythm_target": np.stack([row.truth.rhythm for row in rows]).astype(np.float16),
        "findings_target": np.stack([row.truth.findings for row in rows]).astype(np.float16),
        "record": np.array([row.record.path for row in rows]),
        "subject": np.array([row.record.subject for row in rows]),
        "end_s": np.array([row.end_s for row in rows], np.float64),
        "leads_name": np.array([row.leads_name for row in rows]),
        "augmented": np.array([row.augmented for row in rows], np.bool_),
    }


def joined(parts: Sequence[Arrays]) -> Arrays:
    """Many stacks as one."""
    out = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "start"}
    counts = np.concatenate([np.diff(part["start"]) for part in parts])
    out["start"] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return out


# ---- one record


@dataclass
class _Tools:
    data: Path
    minirocket: MiniRocketParameters
    noise: Floats


_tools: _Tools | None = None  # of this worker process


def _prepare(data: Path, out: Path) -> None:
    global _tools
    _tools = _Tools(data, load_minirocket(out), _load_arrays(out / NOISE_BANK)["noise"])


def _record(record: Record) -> Arrays | None:
    assert _tools is not None
    rows = rows_of(record, _tools)
    return stack(rows) if rows else None


def rows_of(record: Record, tools: _Tools) -> list[_Row]:
    """All windows of a record: as it is through each set of leads, then of its augmented copies."""
    plan = PLANS[record.dataset]
    if plan.beats_only:
        return _rows_of_beats(record, plan, tools.data)
    if record.dataset == "synthetic":
        recording, _ = patients.patient(int(record.path))
        rows = _rows_of_copy(record, plan, Copy(recording, 0.0, 1.0), [recording.leads], plan.every_s, tools)
        return [rows[k] for k in sorted(rng_of(record.path, 0).permutation(len(rows))[:4].tolist())]
    recording = read_recording(tools.data / record.path)
    rows = _rows_of_copy(record, plan, Copy(recording, 0.0, 1.0), clean_leads(recording.leads), plan.every_s, tools)
    seldom = 2 * plan.every_s if recording.seconds > LONG_S else plan.every_s
    for copy in range(1, record.copies + 1):
        rng = rng_of(record.path, copy)
        sets = augmented_leads(recording.leads, rng)
        rows += _rows_of_copy(record, plan, augmented(recording, tools.noise, rng), sets, seldom, tools, copy)
    return rows


def _rows_of_copy(
    record: Record,
    plan: Plan,
    copy: Copy,
    lead_sets: Iterable[tuple[str, ...]],
    every_s: float,
    tools: _Tools,
    number: int = 0,
) -> list[_Row]:
    recording = copy.recording
    truth = _truth(record, plan, recording)
    bad = "UNACCEPTABLE" in record.labels
    good = good_share(recording) if bad else {}
    rows = []
    for leads in lead_sets:
        # A record is unacceptable already where one of twelve leads is: the others are no noise.
        if bad and max(good[lead] for lead in leads) > GOOD_ENOUGH:
            continue
        for end, drawn in windows(through(recording, leads), tools.minirocket, every_s):
            end_s = end / ANALYSIS_FS
            at = copy.start_s + end_s * copy.pace
            rows.append(_Row(drawn, truth(end_s), record, at, named(leads), number > 0))
    return rows


class _Of:
    """Truth of a record's windows by their end, seconds."""

    def __init__(self, truth: RecordTruth | Annotated | Truth, record_s: float) -> None:
        self._truth, self._record_s = truth, record_s

    def __call__(self, end_s: float) -> Truth:
        if isinstance(self._truth, RecordTruth):
            return self._truth.window(self._record_s, end_s)
        return self._truth.window(end_s) if isinstance(self._truth, Annotated) else self._truth


def _truth(record: Record, plan: Plan, recording: Recording) -> _Of:
    if plan.told is Told.LABELS:
        return _Of(record_truth(record.dataset, record.labels), recording.seconds)
    if plan.told is Told.NO_AF:
        return _Of(free_of_af(sinus=False), recording.seconds)
    annotated = Annotated.of(record.dataset, recording.rhythms, recording.fs, recording.beats, recording.beat_symbols)
    return _Of(annotated, recording.seconds)


def _rows_of_beats(record: Record, plan: Plan, data: Path) -> list[_Row]:
    ext = "qrs" if (data / record.path).with_name(Path(record.path).name + ".qrs").is_file() else "atr"
    told = read_beats(data / record.path, ext)
    annotated = Annotated.of(record.dataset, told.rhythms, told.fs, told.beats, told.symbols)
    changes = np.unique(np.concatenate([annotated.onset, annotated.offset]))
    changes = changes[(changes > 0) & (changes < told.n_samples / told.fs)]
    rows = []
    for number in range(plan.copies + 1):
        rng = rng_of(record.path, number)
        beats, pace, start_s = told.beats, 1.0, 0.0
        if number:
            pace, start_s = float(rng.uniform(0.95, 1.05)), float(rng.uniform(0, 10))
            beats = beats_seen(beats, told.fs, rng)
        at_500 = np.rint((beats / told.fs - start_s) / pace * ANALYSIS_FS).astype(np.int64)
        at_500 = at_500[at_500 >= 0]
        ends = beat_ends(plan, at_500[-1] / ANALYSIS_FS, (changes - start_s) / pace)
        if number:
            ends = ends[int(rng.integers(2)) :: 2]
        moved = annotated.moved(start_s, pace)
        for end, drawn in beat_windows(at_500, ends):
            if drawn.pulse[:, _KNOWN].mean() < KNOWN_SHARE:
                continue  # the recorder was off, or nobody found beats
            end_s = end / ANALYSIS_FS
            truth = free_of_af(sinus=True) if plan.told is Told.SINUS else moved.window(end_s)
            rows.append(_Row(drawn, truth, record, start_s + end_s * pace, "rr", number > 0))
    return rows


# ---- kernels and noise


def _save_arrays(path: Path, arrays: Arrays) -> None:
    """Write an archive of arrays whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    part.replace(path)


def _load_arrays(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def load_minirocket(folder: Path) -> MiniRocketParameters:
    """The kernels of a cache."""
    return MiniRocketParameters.from_arrays(_load_arrays(folder / MINIROCKET))


def fit_minirocket(data: Path) -> MiniRocketParameters:
    """Kernels shared by all leads, of the first window of each record of ``FITTED_ON`` that is no noise."""
    blank = _any_kernels()
    signal, real = [], []
    for dataset in FITTED_ON:
        for record in records_of(data, dataset):
            if "UNACCEPTABLE" in record.labels:
                continue
            for _, drawn in windows(read_recording(data / record.path), blank):
                signal.append(drawn.signal)
                real.append(np.repeat(drawn.leads[:, None], SAMPLES, axis=1))
                break
    return fit_shared(np.stack(signal), np.stack(real), shared_config(RATE, PPV_PER_LEAD, REACH_S))


def _any_kernels() -> MiniRocketParameters:
    """Kernels for drawing windows of which only the signal is wanted."""
    steps = np.random.default_rng(0).integers(-100, 100, (24, N_LEADS, SAMPLES)).astype(np.int16)
    return fit_shared(steps, np.ones(steps.shape, np.bool_), shared_config(RATE, PPV_PER_LEAD, REACH_S))


def noise_bank(data: Path) -> Floats:
    """(k, 2500) real noise of RMS 1 at 250 Hz, in a fixed order."""
    found = []
    clean = read_recording(data / "mitdb" / "118")
    for record in records_of(data, "nstdb_118"):
        noisy = read_recording(data / record.path)
        n = min(noisy.microvolts.shape[1], clean.microvolts.shape[1])
        difference = noisy.microvolts[:, :n] - clean.microvolts[:, :n]
        found.append(excerpts(Recording(record.path, clean.fs, clean.leads, difference), np.arange(2)))
    for record in records_of(data, "cinc2011"):
        if "UNACCEPTABLE" in record.labels:
            recording = read_recording(data / record.path)
            good = good_share(recording)
            bad = [row for row, lead in enumerate(recording.leads) if good[lead] < NOISE_BELOW]
            found.append(excerpts(recording, np.array(bad, np.intp)))
    bank = np.concatenate(found)
    return bank[np.random.default_rng(0).permutation(len(bank))[:MOST_EXCERPTS]]


# ---- all of it


def build(data: Path, out: Path, datasets: Sequence[str], workers: int = 2) -> None:
    """Fill the cache ``out`` from the recordings below ``data``; datasets that are there already are kept.

    Raises:
        ValueError: a dataset is not known, or there is none of it; quotes it. Nothing is written then.
    """
    for dataset in datasets:
        check_known(dataset)
    jobs = {dataset: _records(data, dataset) for dataset in datasets}
    out.mkdir(parents=True, exist_ok=True)
    for name, make in (
        (MINIROCKET, lambda: fit_minirocket(data).arrays()),
        (NOISE_BANK, lambda: {"noise": noise_bank(data)}),
    ):
        if not (out / name).is_file():
            begun = time.perf_counter()
            _save_arrays(out / name, make())
            print(f"{name}: {time.perf_counter() - begun:.0f} s", flush=True)
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"  # workers share the cores by themselves
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _prepare, (data, out)) as pool:
        for dataset, records in jobs.items():
            path = out / f"{dataset}.npz"
            if path.is_file():
                print(f"{dataset}: is there", flush=True)
                continue
            begun, parts = time.perf_counter(), []
            for k, part in enumerate(pool.imap(_record, records)):
                if part is not None:
                    parts.append(part)
                if (k + 1) % max(1, len(records) // 5) == 0:
                    print(f"{dataset}: {k + 1} of {len(records)}, {time.perf_counter() - begun:.0f} s", flush=True)
            arrays = joined(parts)
            _save_arrays(path, arrays)
            af = int((arrays["rhythm_target"][:, 0] == 1).sum())
            took = time.perf_counter() - begun
            print(f"{dataset}: {len(arrays['record'])} windows, {af} with AF, {took:.0f} s", flush=True)


def _records(data: Path, dataset: str) -> list[Record]:
    if dataset == "synthetic":
        return [Record(dataset, str(k), f"synthetic-{k:04d}") for k in range(patients.COUNT)]
    return records_of(data, dataset)
