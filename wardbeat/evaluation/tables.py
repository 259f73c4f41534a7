"""From judged records to the rows of the report. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt

from models.classes import AF, NOISE, OUTPUTS, RHYTHMS
from wardbeat.evaluation import report
from wardbeat.evaluation.datasets import RR, SUBSETS, merged
from wardbeat.evaluation.episodes import Alarm
from wardbeat.evaluation.episodes import Record as Episodes
from wardbeat.evaluation.intervals import Interval, common, length, without
from wardbeat.evaluation.judging import Judged, Windows
from wardbeat.evaluation.metrics import METRICS, Floats
from wardbeat.evaluation.summary import Draws, challenge_row, episode_row, false_alarm_row, window_row
from wardbeat.training.config import GROUPS

Mask = npt.NDArray[np.bool_]
OfRhythm = tuple[Episodes, tuple[Alarm, ...]]  # what was told of AF, or of flutter, of a record

QUESTION = "AF, against all else (flutter is not AF)"
FEW = 5  # windows of a class, below which no rate of it says anything
ALARM_DUE_S = 30.0  # shorter episodes of AF need no alarm: AF is said of 30 s by convention (ESC)
RATES = ("auroc", "auprc", "f1", "sensitivity", "specificity")
LEADS_TITLE = "AF by leads"
OUTPUTS_TITLE = "Other outputs, all leads"
ALL_RECORDS = "all records"
NO_AF = "no AF in the record"
POOLED = ("ptbxl",)  # groups whose members differ in rate and filtering, not in kind
PAROXYSMAL = "paroxysmal records with a waveform"
MOST_AF = 0.95  # of a record: one that is AF throughout neither begins nor ends


@dataclass(frozen=True)
class Database:
    """The judged records of one database."""

    name: str
    judged: Sequence[Judged]

    def sets(self) -> list[str]:
        """The sets of leads, in order of first sight."""
        return list(dict.fromkeys(chain.from_iterable(each.windows for each in self.judged)))

    def windows(self, leads: str | None = None) -> tuple[Windows, npt.NDArray[np.str_]]:
        """All windows seen through ``leads``, and the patient of each.

        Args:
            leads: a set of ``sets()``; None = all leads of each record.

        Returns:
            The w windows of all records that were seen so, in order; (w,) str, the patient's id, or the record's path
            where the patient is not known.

        Raises:
            ValueError: no record was seen through these leads.
        """
        chosen = [
            (each.record.subject or each.record.path, each.windows[name])
            for each in self.judged
            if (name := leads or next(iter(each.windows))) in each.windows
        ]
        parts = [part for _, part in chosen]
        subjects = np.repeat([subject for subject, _ in chosen], [len(part.judged) for part in parts])
        return (
            Windows(
                np.concatenate([part.truth for part in parts]),
                np.concatenate([part.score for part in parts]),
                np.concatenate([part.judged for part in parts]),
                np.concatenate([part.good for part in parts]),
                np.concatenate([part.held for part in parts]),
                np.concatenate([part.set_size for part in parts]),
                list(chain.from_iterable(part.groups for part in parts)),
            ),
            subjects.astype(np.str_),
        )

    @property
    def long(self) -> list[Judged]:
        """Records that are judged by episode."""
        return [each for each in self.judged if each.episodes is not None]


def lead_name(leads: str) -> str:
    """A set of leads as the tables call it: numbers are how many, all else is names."""
    if leads == RR:
        return "RR alone"
    if leads.isdigit():
        return "1 lead" if leads == "1" else f"{leads} leads"
    return leads


def _row(
    database: str,
    group: str,
    windows: Windows,
    subjects: npt.NDArray[np.str_],
    draws: Draws,
    metrics: Sequence[str],
    output: int = AF,
    where: Mask | None = None,
) -> report.WindowRow:
    where = np.ones(len(subjects), np.bool_) if where is None else where
    truth, score = windows.truth[where, output], windows.score[where, output]
    if not (truth == 1).any():  # the others are undefined
        metrics = [name for name in metrics if name == "specificity"]
    return window_row(database, group, truth, score, subjects[where], draws, metrics)


def by_leads(databases: Sequence[Database], draws: Draws) -> report.WindowTable:
    """AF by set of leads; sets of one source that were cut differently are pooled besides."""
    rows = [
        _row(database.name, lead_name(leads), *database.windows(leads), draws, tuple(METRICS))
        for database in [*databases, *_pooled(databases)]
        for leads in database.sets()
    ]
    return report.WindowTable(LEADS_TITLE, QUESTION, "leads", _shown(rows))


def pooled(group: str) -> str:
    """What the sets of a group are called together."""
    return f"{group}, all sets"


def _pooled(databases: Sequence[Database]) -> list[Database]:
    found = []
    for group in POOLED:
        parts = [database for database in databases if database.name in GROUPS[group]]
        if len(parts) > 1:
            judged = list(chain.from_iterable(database.judged for database in parts))
            found.append(Database(pooled(group), judged))
    return found


# Parts of all leads that were good, from the worst on; what was judged by none of them still was judged.
QUALITY: Sequence[tuple[str, Callable[[Windows], Mask]]] = (
    ("all leads good", lambda w: w.judged & (w.good >= 1)),
    ("half or more good", lambda w: w.judged & (w.good < 1) & (w.good >= 0.5)),
    ("less than half good", lambda w: w.judged & (w.good < 0.5)),
    ("could not be judged", lambda w: ~w.judged),
)


def by_quality(databases: Sequence[Database], draws: Draws) -> report.WindowTable:
    """AF by the quality of the signal, all leads of each record."""
    rows = []
    for database in databases:
        windows, subjects = database.windows()
        if any(each.windows.keys() == {RR} for each in database.judged):
            continue
        for name, of in QUALITY:
            rows.append(_row(database.name, name, windows, subjects, draws, RATES, where=of(windows)))
    return report.WindowTable("AF by signal quality, all leads", QUESTION, "signal", _shown(rows))


def by_label(databases: Sequence[Database], draws: Draws) -> report.WindowTable:
    """How often what else may look like AF was not called so, all leads."""
    rows = []
    for database in databases:
        windows, subjects = database.windows()
        no_af = windows.truth[:, AF] == 0
        for name in sorted(set(chain.from_iterable(windows.groups))):
            where = np.array([name in group for group in windows.groups], np.bool_) & no_af
            rows.append(_row(database.name, name, windows, subjects, draws, ("specificity",), where=where))
    title = "Where there is no AF, by what there is, all leads"
    return report.WindowTable(title, f"{QUESTION}; 1 - specificity was called AF", "label", _shown(rows))


def by_output(databases: Sequence[Database], draws: Draws) -> report.WindowTable:
    """All that the network tells, where a database says what is true, all leads."""
    rows = []
    for database in databases:
        windows, subjects = database.windows()
        for k, name in enumerate(OUTPUTS):
            counts = [int((windows.truth[:, k] == value).sum()) for value in (0, 1)]
            if k != AF and min(counts) >= FEW:
                rows.append(_row(database.name, name, windows, subjects, draws, RATES, output=k))
    return report.WindowTable(OUTPUTS_TITLE, "as the row says, against all else", "output", _shown(rows))


def _shown(rows: Sequence[report.WindowRow]) -> tuple[report.WindowRow, ...]:
    return tuple(row for row in rows if row.n)


def episodes(databases: Sequence[Database], draws: Draws) -> tuple[report.EpisodeRow, ...]:
    """Two rows, burden and alarm, of each database that has annotated AF, and of all paroxysmal records together."""
    of = {database.name: database.long for database in databases}
    paroxysmal = [
        each for each in chain.from_iterable(of.values()) if next(iter(each.windows)) != RR and _comes_or_goes(each)
    ]
    if paroxysmal:
        of[PAROXYSMAL] = paroxysmal
    return _both_readings(of, _of_af, draws)


def flutter_episodes(databases: Sequence[Database], draws: Draws) -> tuple[report.EpisodeRow, ...]:
    """Two rows, burden and alarm, of each database that has annotated flutter."""
    return _both_readings({database.name: database.long for database in databases}, _of_flutter, draws)


def _both_readings(
    of: Mapping[str, Sequence[Judged]], rhythm: Callable[[Judged], OfRhythm], draws: Draws
) -> tuple[report.EpisodeRow, ...]:
    rows = []
    for name, judged in of.items():
        told = [rhythm(each) for each in judged]
        if not any(records.reference for records, _ in told):
            continue
        r_peaks = {each.record.path: each.r_peaks for each in judged if each.r_peaks is not None}
        alarms = {record.name: alarms for record, alarms in told}
        alarmed = [replace(record, told=merged((a.onset, a.offset) for a in alarms)) for record, alarms in told]
        for reading, records in (("burden", [record for record, _ in told]), ("alarm", alarmed)):
            rows.append(episode_row(name, reading, records, r_peaks, alarms, draws, shortest_alarmed_s=ALARM_DUE_S))
    return tuple(rows)


def _of_af(judged: Judged) -> OfRhythm:
    return _of(judged), judged.alarms


def _of_flutter(judged: Judged) -> OfRhythm:
    assert judged.flutter is not None
    return judged.flutter, judged.flutter_alarms


def _comes_or_goes(judged: Judged) -> bool:
    of = _of(judged)
    return 0 < length(common(of.reference, of.judged)) < MOST_AF * length(of.judged)


def _of(judged: Judged) -> Episodes:
    assert judged.episodes is not None
    return judged.episodes


def false_alarms(databases: Sequence[Database], draws: Draws) -> tuple[report.FalseAlarmRow, ...]:
    """Of each database: all records, those without AF, those full of some beats, and stretches of each rhythm."""
    rows = []
    for database in databases:
        judged = database.long
        alarms = {each.record.path: each.alarms for each in judged}
        tags = sorted(set(chain.from_iterable(each.tags for each in judged)))
        groups = [(ALL_RECORDS, judged), (NO_AF, [each for each in judged if not _of(each).reference])]
        groups += [
            (name, [each for each in judged if each.record.path in members])
            for name, members in SUBSETS.get(database.name, {}).items()
        ]
        groups += [(f"records: {tag}", [each for each in judged if tag in each.tags]) for tag in tags]
        for name, members in groups:
            if members and not (name == NO_AF and len(members) == len(judged)):
                rows.append(false_alarm_row(database.name, name, [_of(each) for each in members], alarms, draws))
        for name in sorted(set(chain.from_iterable(each.stretches or {} for each in judged))):
            members = [each for each in judged if name in (each.stretches or {})]
            stretches = [within(each, name) for each in members]
            false = {each.record.path: false_of(each) for each in members}
            row = false_alarm_row(database.name, f"during {name}", stretches, false, draws)
            if row.bed_days > 0:
                rows.append(row)
    return tuple(rows)


def false_flutter(databases: Sequence[Database], draws: Draws) -> tuple[report.FalseAlarmRow, ...]:
    """Flutter alarms outside annotated flutter, of each database; time that may be flutter is left out."""
    rows = []
    for database in databases:
        told = [_of_flutter(each) for each in database.long]
        if told:
            alarms = {record.name: alarms for record, alarms in told}
            rows.append(false_alarm_row(database.name, ALL_RECORDS, [record for record, _ in told], alarms, draws))
    return tuple(rows)


def within(judged: Judged, *names: str) -> Episodes:
    """The record, of which nothing but the stretches of these names is judged."""
    whole = _of(judged)
    assert judged.stretches is not None
    stretches = merged(chain.from_iterable(judged.stretches.get(name, ()) for name in names))
    kept = without(common(stretches, whole.judged), whole.reference)
    return replace(whole, unknown=without((whole.analysed,), kept))


def false_of(judged: Judged) -> list[Alarm]:
    """AF alarms that overlap no annotated AF: those that do may well last into what comes after it."""
    reference = _of(judged).reference
    return [each for each in judged.alarms if not common((Interval(each.onset, each.offset),), reference)]


def coverage(databases: Sequence[Database], draws: Draws) -> tuple[report.CoverageRow, ...]:
    """How often prediction sets hold what is true, where one rhythm is known to be."""
    rows = []
    for database in databases:
        windows, subjects = database.windows()
        for k, name in enumerate(RHYTHMS):
            of = ~np.isnan(windows.held) & (windows.truth[:, k] == 1)
            if not of.any():
                continue
            held, patients = windows.held[of], subjects[of]
            who, index, counts = np.unique(patients, return_inverse=True, return_counts=True)
            by_patient = np.bincount(index, held) / counts
            rows.append(
                report.CoverageRow(
                    database.name,
                    name,
                    int(of.sum()),
                    len(who),
                    draws(_mean_of(by_patient), who.tolist()),
                    float(held.mean()),
                    float(windows.set_size[of].mean()),
                )
            )
    return tuple(rows)


def _mean_of(values: Floats) -> Callable[[Floats], float]:
    return lambda weight: float(weight @ values / weight.sum())


def challenge(databases: Sequence[Database], draws: Draws) -> tuple[report.ChallengeRow, ...]:
    """The CPSC2021 score where there is one."""
    rows = []
    for database in databases:
        scored = [each for each in database.judged if each.score is not None]
        if scored:
            scores = [each.score for each in scored if each.score is not None]
            rows.append(challenge_row(database.name, scores, [each.record.subject for each in scored], draws))
    return tuple(rows)


def notes(databases: Sequence[Database]) -> tuple[str, ...]:
    """What could not be judged."""
    lines = []
    for database in databases:
        for leads in database.sets():
            windows, _ = database.windows(leads)
            unjudged = ~windows.judged
            af, noise = (int((windows.truth[unjudged, k] == 1).sum()) for k in (AF, NOISE))
            lines.append(
                f"{database.name}, {lead_name(leads)}: {int(unjudged.sum())} of {len(unjudged)} could not be judged "
                f"({af} of AF, {noise} of noise); they count as noise, and not as AF."
            )
    return tuple(lines)
