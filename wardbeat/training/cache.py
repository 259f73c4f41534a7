"""The windows that the network learns from, drawn once and kept: one ``.npz`` a dataset.

``sampler.CachedDataset`` tells the arrays. In ``signal``, ``ppv`` and ``lead`` a row is a known lead of a window, and
``start`` (n + 1,) says where each window's rows begin; targets are NaN where the database does not say. Beside the
datasets lie ``minirocket.safetensors`` (the kernels, their biases set by signals that no evaluation judges) and
``noise.safetensors`` (excerpts of real noise, for augmentation). Both serve every network, whatever it leaves out;
``evaluation.networks.UNLABELLED`` says in reports and in the model card what of a judged database is in them. In each
``.npz``, ``identity`` tells what it was drawn by.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np

from ecg.leads import N_LEADS
from ecg.readers import read_recording
from models.classes import AF
from models.features.minirocket_leads import fit_shared, shared_config
from models.features.minirocket_parameters import MiniRocketParameters
from models.inputs import PPV_PER_LEAD, RATE, SAMPLES
from wardbeat.processes import helpers
from wardbeat.training import drowned, patients
from wardbeat.training.drawing import Arrays, Tools, joined, rows_of, rows_of_drowned, stack
from wardbeat.training.identity import MINIROCKET, NOISE_BANK, drawn_by, stored
from wardbeat.training.noise import Floats, noise_bank
from wardbeat.training.records import PLANS, Record, indexed, records_of, windows

__all__ = ["MINIROCKET", "NOISE_BANK", "Built", "Failure", "build", "fit_minirocket", "load_minirocket"]

REACH_S = 1.0  # of the longest kernel: a beat with its P and T waves; what lies between beats is the RR features' part
FITTED_ON = "cinc2015"  # MiniRocket's biases: two bedside leads, of which no rhythm is learnt or judged
FITTED_PATIENTS = 150  # synthetic ones beside it: twelve leads, and rhythms that bedside alarms seldom have
SHOWN = 5  # failures of a dataset that are reported one by one
DATASETS = (*PLANS, drowned.DATASET)

Report = Callable[[str], object]
Job = tuple[str, Record]  # the dataset that a record's windows are for


@dataclass(frozen=True)
class Failure:
    """A record of which no window could be drawn, and why."""

    record: str
    reason: str


@dataclass(frozen=True)
class Built:
    """What became of a dataset; ``windows`` is 0 where it had been there already."""

    dataset: str
    windows: int
    failures: tuple[Failure, ...] = ()


# ---- one record, in a worker

_tools: Tools | None = None  # of this worker process


def _prepare(tools: Tools) -> None:
    global _tools
    _tools = tools


def _draw(job: Job) -> Arrays | Failure | None:
    assert _tools is not None
    dataset, record = job
    try:
        rows = rows_of_drowned(record, _tools) if dataset == drowned.DATASET else rows_of(record, _tools)
    except Exception as error:  # counted and told: one damaged record must not cost the hours of the others
        return Failure(record.path, f"{type(error).__name__}: {error}")
    return stack(rows) if rows else None


# ---- kernels and files


def load_minirocket(folder: Path) -> MiniRocketParameters:
    """The kernels of a cache.

    Raises:
        ValueError: the cache has none, or the file holds something else; quotes it.
    """
    return MiniRocketParameters.from_arrays(_load(folder / MINIROCKET))


def fit_minirocket(data: Path) -> MiniRocketParameters:
    """Kernels shared by all leads, of the first window of each record of ``FITTED_ON`` and of synthetic patients.

    Biases are quantiles of what kernels yield on ECG, whosever it is, so they need nobody whom a network is judged on.

    Args:
        data: folder with ``index.csv``.

    Raises:
        ValueError: the index lacks the database.
        ecg.readers.RecordError: a record cannot be read.
    """
    blank = _any_kernels()
    signal, real = [], []
    people = (read_recording(data / record.path) for record in indexed(data, FITTED_ON))
    for recording in chain(people, map(patients.patient, range(FITTED_PATIENTS))):
        drawn = next(windows(recording, blank), None)
        if drawn is not None and drawn.usable:
            signal.append(drawn.input.signal)
            real.append(np.repeat(drawn.input.leads[:, None], SAMPLES, axis=1))
    return fit_shared(np.stack(signal), np.stack(real), shared_config(RATE, PPV_PER_LEAD, REACH_S))


def _any_kernels() -> MiniRocketParameters:
    """Kernels for drawing windows of which only the signal is wanted."""
    steps = np.random.default_rng(0).integers(-100, 100, (24, N_LEADS, SAMPLES)).astype(np.int16)
    return fit_shared(steps, np.ones(steps.shape, np.bool_), shared_config(RATE, PPV_PER_LEAD, REACH_S))


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes ``path`` when all is written."""
    part = path.with_name(path.name + ".part")
    yield part
    part.replace(path)


def _load(path: Path) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise ValueError(f"no {path.name} in {path.parent}: the cache has not been built")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: {error}") from error


def _kept(path: Path, make: Callable[[], Arrays], report: Report) -> Arrays:
    """The arrays of ``path``, made first where there are none."""
    from safetensors.numpy import save_file

    if not path.is_file():
        begun = time.perf_counter()
        arrays = make()
        with _whole(path) as part:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, part)
        report(f"{path.name}: {time.perf_counter() - begun:.0f} s")
    return _load(path)


# ---- all of it


def build(
    data: Path, out: Path, datasets: Sequence[str] = (), workers: int = 2, report: Report = print
) -> tuple[Built, ...]:
    """Fill the cache ``out`` from the recordings below ``data``; datasets that are there already are kept, if they were
    drawn by the same kernels, noise, features and code.

    Args:
        data: folder with ``index.csv``.
        out: made where it is not there. A dataset is written when it is complete: a build that was cut off goes on.
        datasets: none named = all of ``DATASETS``.
        workers: processes.
        report: is told what is done, and which records failed and why.

    Raises:
        ValueError: a dataset is not known, there is none of it, what is there was drawn by something else, or all of
            its records fail; quotes it. For the first two nothing is written.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; it has to be 1 or more")
    names = tuple(dict.fromkeys(datasets)) or DATASETS
    jobs = {name: [(name, record) for record in _records(data, name)] for name in names}
    out.mkdir(parents=True, exist_ok=True)
    kernels = MiniRocketParameters.from_arrays(
        _kept(out / MINIROCKET, lambda: dict(fit_minirocket(data).arrays()), report)
    )
    noise: Floats = _kept(out / NOISE_BANK, lambda: {"noise": noise_bank(data)}, report)["noise"]
    identity = drawn_by(out)
    for path in sorted(out.glob("*.npz")):
        _check_identity(path, identity)
    missing = [name for name in names if not (out / f"{name}.npz").is_file()]
    built = [Built(name, 0) for name in names if name not in missing]
    for each in built:
        report(f"{each.dataset}: is there")
    if not missing:
        return tuple(built)
    with helpers(workers, _prepare, Tools(data, kernels, noise)) as map_over:
        for name in missing:
            begun = time.perf_counter()
            parts: list[Arrays] = []
            failures: list[Failure] = []
            for k, part in enumerate(map_over(_draw, jobs[name]), start=1):
                if isinstance(part, Failure):
                    failures.append(part)
                elif part is not None:
                    parts.append(part)
                if k % max(1, len(jobs[name]) // 5) == 0:
                    report(f"{name}: {k} of {len(jobs[name])} records, {time.perf_counter() - begun:.0f} s")
            built.append(_store(out, name, parts, failures, identity, report))
    return tuple(built)


def _check_identity(path: Path, now: dict[str, str]) -> None:
    with np.load(path, allow_pickle=False) as arrays:
        there = msgspec.json.decode(str(arrays["identity"])) if "identity" in arrays.files else None
    if there != now:
        raise ValueError(f"{path} was drawn by {there}; drawn now it would be by {now}: begin in an empty folder")


def _store(
    out: Path, name: str, parts: list[Arrays], failures: list[Failure], identity: dict[str, str], report: Report
) -> Built:
    for failure in failures[:SHOWN]:
        report(f"{name}: {failure.record} failed: {failure.reason}")
    if not parts:
        why = f"; {len(failures)} records failed, the first: {failures[0].reason}" if failures else ""
        raise ValueError(f"no window of dataset {name!r} could be drawn{why}")
    arrays = joined(parts)
    with _whole(out / f"{name}.npz") as path, path.open("wb") as file:
        np.savez(file, **arrays, identity=stored(identity))  # type: ignore[arg-type]
    count, rhythm = len(arrays["record"]), arrays["rhythm_target"]
    report(
        f"{name}: {count} windows, AF in {int((rhythm[:, AF] == 1).sum())}, none in {int((rhythm[:, AF] == 0).sum())}, "
        f"{len(failures)} records failed"
    )
    return Built(name, count, tuple(failures))


def _records(data: Path, dataset: str) -> list[Record]:
    if dataset == drowned.DATASET:
        return drowned.drowned_records(data)
    if dataset not in DATASETS:
        raise ValueError(f"unknown dataset {dataset!r}; known: {', '.join(DATASETS)}")
    if dataset == "synthetic":
        return [Record(dataset, str(k), f"synthetic-{k:04d}") for k in range(patients.COUNT)]
    return records_of(data, dataset)
