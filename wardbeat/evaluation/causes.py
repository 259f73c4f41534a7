"""What is easily taken for AF, one by one: how often it was; and AF that is easily taken for something else."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.classes import AF
from wardbeat.evaluation import report
from wardbeat.evaluation.metrics import THRESHOLD
from wardbeat.evaluation.summary import Draws, false_alarm_row
from wardbeat.evaluation.tables import Database, false_of, within

# By the names that ``datasets.NAMES`` and ``Case.marked`` give.
CAUSES: Mapping[str, tuple[str, ...]] = {
    "sinus arrhythmia": ("sinus arrhythmia",),
    "PACs, any": ("PACs",),
    "frequent PACs": ("frequent PACs", "PACs, grouped", "atrial bigeminy"),
    "bigeminy, trigeminy": ("bigeminy, trigeminy", "PVCs, grouped"),
    "sick sinus": ("sick sinus",),
    "pacing": ("pacing",),
    "flutter": ("flutter",),
    "atrial tachycardia": ("atrial tachycardia", "multifocal atrial tachycardia", "supraventricular tachycardia"),
    "noise": ("noise",),
    "paced AF": ("paced AF",),
}
IS_AF = ("paced AF",)


def causes(databases: Sequence[Database], draws: Draws) -> tuple[report.CauseRow, ...]:
    """Each cause in each database that has it, in windows (records, where a label holds for them).

    Counted are those without AF; of ``IS_AF`` those with it.
    """
    rows = (_row(cause, names, database, draws) for cause, names in CAUSES.items() for database in databases)
    return tuple(row for row in rows if row)


def _row(cause: str, names: Sequence[str], database: Database, draws: Draws) -> report.CauseRow | None:
    windows, subjects = database.windows()
    named = np.array([not group.isdisjoint(names) for group in windows.groups], np.bool_)
    af = cause in IS_AF
    of = named & (windows.truth[:, AF] == af)
    if not of.any():
        return None
    called = (windows.score[of, AF] >= THRESHOLD).astype(np.float64)
    estimate = draws(lambda weight: float(weight @ called / weight.sum()), subjects[of].tolist())
    who = len(np.unique(subjects[of]))
    if af or not database.long:
        unit = "windows" if database.long else "records"
        return report.CauseRow(cause, database.name, unit, len(called), estimate, who, af=af)
    members = [each for each in database.long if any(name in (each.stretches or {}) for name in names)]
    false = {each.record.path: false_of(each) for each in members}
    alarms = false_alarm_row(database.name, cause, [within(each, *names) for each in members], false, draws)
    return report.CauseRow(
        cause,
        database.name,
        "windows",
        len(called),
        estimate,
        who,
        alarms.bed_days * 24,
        alarms.false,
        alarms.false_confirmed,
    )
