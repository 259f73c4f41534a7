"""The evaluation of one network, or of those that each saw all databases but one, over whole databases."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ecg.leads import LEADS
from models.network.weights import default_path
from wardbeat.evaluation import tables
from wardbeat.evaluation.datasets import VITALDB, check_names, group_of, lead_sets
from wardbeat.evaluation.judging import HOP_S, Judged, Task, judge, model_of
from wardbeat.evaluation.report import Report
from wardbeat.evaluation.summary import Draws
from wardbeat.evaluation.tables import Database
from wardbeat.training.config import GROUPS
from wardbeat.training.records import PLANS, Record, records_of

LEADS_SHOWN = ("12", "I", "II", "V1")
LEFT_OUT = "left_out"  # folder beside the shipped weights

Progress = Callable[[str, Sequence[Record], Iterable[Judged]], Iterable[Judged]]


@dataclass(frozen=True)
class Request:
    """What is to be evaluated.

    Attributes:
        datasets: names of the index.
        data: folder of ``index.csv``.
        weights: the network's file; None = the shipped one.
        left_out: judge each database by the network that never saw it, from ``left_out/`` beside the shipped one.
        leads: sets of leads to look through besides all leads of a record.
        jobs: processes.
        hop_s: seconds between windows of records with a waveform that are judged by episode.
        draws: of the intervals.
    """

    datasets: tuple[str, ...]
    data: Path
    weights: Path | None = None
    left_out: bool = False
    leads: tuple[str, ...] = LEADS_SHOWN
    jobs: int = 1
    hop_s: float = HOP_S
    draws: Draws = field(default_factory=Draws)

    def __post_init__(self) -> None:
        """Raise ValueError, quoting, for what cannot be evaluated."""
        if not self.datasets:
            raise ValueError("no database is named")
        check_names(self.datasets)
        lead_sets(self.leads, LEADS)
        if self.left_out and self.weights is not None:
            raise ValueError(f"--left-out takes its weights by database; --weights {self.weights} contradicts it")


def weights_of(request: Request, dataset: str) -> Path | None:
    """The file of the network that judges ``dataset``.

    Raises:
        ValueError: the network that shall not have seen the database is missing, or says that it has seen it.
        models.network.weights.WeightsError: the file is not as it was written.
    """
    if not request.left_out:
        return request.weights
    group = group_of(dataset)
    path = default_path().parent / LEFT_OUT / f"{group}.safetensors"
    if not path.is_file():
        raise ValueError(f"{path}: no network that never saw {dataset}; train one with left_out = ({group!r},)")
    named = tuple(model_of(path).training.get("left_out", ()))
    if dataset not in {member for name in named for member in GROUPS.get(name, (name,))}:
        raise ValueError(f"{path}: expected a network trained without {dataset}, this one left out {list(named)}")
    return path


def evaluate(request: Request, progress: Progress | None = None) -> Report:
    """Judge all records and draw up the report.

    Args:
        request: what is to be evaluated.
        progress: takes a database's name, its records and the results as they come, and hands the results on.

    Raises:
        ValueError: a record cannot be read, or see ``weights_of``.
        models.network.weights.WeightsError: weights are missing or altered.
    """
    plan = [(name, records_of(request.data, name), weights_of(request, name)) for name in request.datasets]
    names = tuple(dict.fromkeys(model_of(weights).name for _, _, weights in plan))
    databases = []
    with _pool(request.jobs) as executor:
        for name, records, weights in plan:
            work = partial(judge, task=Task(request.data, weights, request.leads, request.hop_s))
            results: Iterable[Judged]
            if executor is None:
                results = map(work, records)
            else:
                results = executor.map(work, records, chunksize=_chunk(len(records), request.jobs))
            databases.append(Database(name, list(progress(name, records, results) if progress else results)))
    return report_of(databases, request, names)


def report_of(databases: Sequence[Database], request: Request, models: Sequence[str]) -> Report:
    """The report of judged databases."""
    draws = request.draws
    windows = tuple(
        table
        for of in (tables.by_leads, tables.by_quality, tables.by_label, tables.by_output)
        if (table := of(databases, draws)).rows
    )
    return Report(
        title=f"Evaluation of {', '.join(database.name for database in databases)}",
        model="; ".join(models),
        protocol=_protocol(request),
        windows=windows,
        episodes=tables.episodes(databases, draws),
        false_alarms=tables.false_alarms(databases, draws),
        cpsc2021=tables.challenge(databases, draws),
        notes=(*_how(request, databases), *tables.notes(databases)),
        draws=draws.draws,
        level=draws.level,
        seed=draws.seed,
    )


def _protocol(request: Request) -> str:
    if request.left_out:
        return (
            "Each database was judged by a network that saw none of it, nor of the databases that share its patients, "
            "in training, calibration or choice."
        )
    if request.weights is not None:
        return "All databases were judged by one network. Which of them it was trained on its file says."
    return "The shipped network, which was trained on patients of these databases: these figures are not zero-shot."


def _how(request: Request, databases: Sequence[Database]) -> list[str]:
    lines = []
    by_record = [database.name for database in databases if not database.long]
    by_window = [database.name for database in databases if database.long]
    if by_record:
        lines.append(
            f"{', '.join(by_record)}: a window is a record here, its score the mean of its windows' probabilities "
            "(one each 5 s; of PACs and PVCs the highest)."
        )
    if by_window:
        lines.append(
            f"{', '.join(by_window)}: windows of 10 s that do not overlap; positive where AF fills the window, "
            "negative where there is none in it, left out where it begins or ends."
        )
        lines.append(
            f"Episodes and alarms: a window each {request.hop_s:g} s, or 5 s where beats alone are known. Delays are "
            f"of episodes of {tables.ALARM_DUE_S:g} s and more. 'burden' tells the episodes of the burden's reading, "
            "'alarm' what an alarm stood for; the delays are the alarms' in both."
        )
    if any(PLANS[database.name].beats_only for database in databases):
        lines.append("Where beats alone are known they are the database's own, not this detector's.")
    if any(database.name == VITALDB for database in databases):
        lines.append("VitalDB has one word for AF and flutter: both count as AF there.")
    return lines


def _chunk(records: int, jobs: int) -> int:
    """Short records in handfuls, long ones one by one."""
    return max(1, min(16, records // (4 * jobs)))


@contextmanager
def _pool(jobs: int) -> Iterator[Executor | None]:
    """Processes that start afresh: a fork would inherit the threads of whoever shows the progress."""
    if jobs == 1:
        yield None
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # the processes share the cores by themselves; no kernel of numba is parallel
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor
