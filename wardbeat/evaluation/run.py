"""The evaluation of one network, or of those that never saw what they judge, over whole databases."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import process_time

from ecg.leads import LEADS
from models.inputs import SECONDS
from wardbeat.evaluation import tables
from wardbeat.evaluation.causes import causes
from wardbeat.evaluation.datasets import VITALDB, check_names, lead_sets
from wardbeat.evaluation.judging import HOP_S, Task, judge
from wardbeat.evaluation.networks import ALL, Judge, Seen, judges
from wardbeat.evaluation.report import NetworkRow, Report
from wardbeat.evaluation.store import Entry, stored
from wardbeat.evaluation.summary import Draws
from wardbeat.evaluation.synthetic import SYNTHETIC
from wardbeat.evaluation.tables import Database
from wardbeat.processes import Map, helpers
from wardbeat.training.records import PLANS, Record

# What people did who had seen these databases; the model card says which.
CHOSEN = (
    "Constants and features were chosen by people who looked at some of them: for a new hospital this is optimistic."
)

LEADS_SHOWN = ("12", "I", "II", "V1", "I+II+V1")

Progress = Callable[[str, int, Iterable[Entry]], Iterable[Entry]]


@dataclass(frozen=True)
class Request:
    """What is to be evaluated.

    Attributes:
        datasets: names of the index; none, or "all" alone, stands for each that there is.
        data: folder of ``index.csv``.
        weights: the network's file; None = the shipped one.
        left_out: judge each database by the network that never saw it, from ``left_out/`` beside the shipped one.
        leads: sets of leads to look through besides all leads of a record.
        jobs: processes.
        hop_s: seconds between windows of records with a waveform that are judged by episode; a divisor of 10 s, so
            that windows which do not overlap are among them.
        results: folder of judged records, from which a stopped evaluation goes on; None = nothing is kept.
        draws: of the intervals.
    """

    datasets: tuple[str, ...]
    data: Path
    weights: Path | None = None
    left_out: bool = False
    leads: tuple[str, ...] = LEADS_SHOWN
    jobs: int = 1
    hop_s: float = HOP_S
    results: Path | None = None
    draws: Draws = field(default_factory=Draws)

    def __post_init__(self) -> None:
        """Raise ValueError, quoting, for what cannot be evaluated."""
        if self.datasets != (ALL,):
            check_names(self.datasets)
        lead_sets(self.leads, LEADS)
        if not self.hop_s > 0 or SECONDS % self.hop_s:
            raise ValueError(f"hop: expected a divisor of {SECONDS} s, got {self.hop_s!r}")
        if self.left_out and self.weights is not None:
            raise ValueError(f"--left-out takes its weights by database; --weights {self.weights} contradicts it")


@dataclass(frozen=True)
class Evaluated:
    """The report, and the seconds of one core that judging took, by database; those of earlier runs included."""

    report: Report
    seconds: Mapping[str, float]


def evaluate(request: Request, progress: Progress | None = None) -> Evaluated:
    """Judge all records and draw up the report.

    Args:
        request: what is to be evaluated.
        progress: takes a database's name, how many records are to be judged and the results as they come, and hands
            the results on.

    Raises:
        ValueError: a record cannot be read, or see ``networks.judges``.
        models.network.weights.WeightsError: weights are missing or altered.
    """
    plan = judges(request.data, request.datasets, request.weights, request.left_out)
    databases, seconds = [], {}
    with helpers(request.jobs) as map_over:
        for each in plan:
            entries = _judged(each, request, map_over, progress)
            seconds[each.database] = sum(entry.seconds for entry in entries)
            if entries:
                databases.append(Database(each.database, [entry.judged for entry in entries]))
    return Evaluated(report_of(databases, request, plan), seconds)


def _judged(by: Judge, request: Request, map_over: Map, progress: Progress | None) -> list[Entry]:
    """What is known already, and what has to be judged yet, in the order of the records."""
    task = Task(request.data, by.weights, request.leads, request.hop_s)
    kept = stored(request.results, by, task) if request.results else None
    entries = {entry.judged.record.path: entry for entry in (kept.read() if kept else ())}
    missing = [record for record in by.records if record.path not in entries]
    if not missing:
        return [entries[record.path] for record in by.records]
    if kept and not entries:
        kept.begin()
    results = map_over(partial(_timed, task=task), missing, chunksize=_chunk(len(missing), request.jobs))
    for entry in progress(by.database, len(missing), results) if progress else results:
        if kept:
            kept.append(entry)
        entries[entry.judged.record.path] = entry
    return [entries[record.path] for record in by.records]


def _timed(record: Record, task: Task) -> Entry:
    begun = process_time()
    judged = judge(record, task)
    return Entry(judged, process_time() - begun)


def report_of(databases: Sequence[Database], request: Request, plan: Sequence[Judge]) -> Report:
    """The report of judged databases."""
    draws = request.draws
    windows = tuple(
        table
        for of in (tables.by_leads, tables.by_quality, tables.by_label, tables.by_output)
        if (table := of(databases, draws)).rows
    )
    return Report(
        title=f"Evaluation of {', '.join(database.name for database in databases)}",
        model="; ".join(dict.fromkeys(each.model for each in plan if each.records)),
        protocol=_protocol(request, plan),
        windows=windows,
        episodes=tables.episodes(databases, draws),
        false_alarms=tables.false_alarms(databases, draws),
        flutter_episodes=tables.flutter_episodes(databases, draws),
        false_flutter=tables.false_flutter(databases, draws),
        cpsc2021=tables.challenge(databases, draws),
        causes=causes(databases, draws),
        coverage=tables.coverage(databases, draws),
        networks=tuple(_network_row(each) for each in plan),
        notes=(*_how(request, databases), *tables.notes(databases)),
        draws=draws.draws,
        level=draws.level,
        seed=draws.seed,
    )


def _network_row(by: Judge) -> NetworkRow:
    subjects = len({record.subject for record in by.records})
    return NetworkRow(
        by.database, by.model, by.left_out, str(by.seen), len(by.records), by.of, subjects, by.recipe, by.unlabelled
    )


def _protocol(request: Request, plan: Sequence[Judge]) -> str:
    if request.left_out:
        lines = [
            "Each database was judged by a network that was neither trained nor calibrated on its patients, nor on the "
            "databases that share them."
        ]
        others = [each.database for each in plan if each.seen is not Seen.NOTHING and each.records]
        if others:
            lines.append(f"Not so {', '.join(others)}: see who judged what.")
        had = [each.database for each in plan if each.unlabelled and each.records]
        if had:
            lines.append(f"All networks had something without labels of {', '.join(had)}: see there, too.")
        return " ".join([*lines, CHOSEN])
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
    if any(database.name == SYNTHETIC for database in databases):
        lines.append("Synthetic patients are this project's own; training saw others of the same generator.")
    if any(database.name == VITALDB for database in databases):
        lines.append("VitalDB has one word for AF and flutter: both count as AF there.")
    return lines


def _chunk(records: int, jobs: int) -> int:
    """Short records in handfuls, long ones one by one."""
    return max(1, min(16, records // (4 * jobs)))
