"""What the network was to reach, beside what a report says that it reached."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wardbeat.evaluation.bootstrap import Estimate
from wardbeat.evaluation.datasets import NO_AF_SUBSET
from wardbeat.evaluation.markdown import show
from wardbeat.evaluation.networks import Seen
from wardbeat.evaluation.report import CoverageRow, Report
from wardbeat.evaluation.tables import LEADS_TITLE, PAROXYSMAL, pooled

COVERED = 0.9  # of the patients' windows, in each rhythm


@dataclass(frozen=True)
class Reached:
    """A figure, its interval as shown, and whether it suffices."""

    shown: str
    enough: bool


@dataclass(frozen=True)
class Aim:
    """One figure that was wanted.

    Attributes:
        what: is measured, in words.
        wanted: the bound, in words.
        databases: that the figure is of; each has to be judged by a network that saw nothing of it. None named: those
            of the report that were.
        of: reads it from a report; None where the report does not hold it.
    """

    what: str
    wanted: str
    databases: tuple[str, ...]
    of: Callable[[Report], Reached | None]

    def reached(self, report: Report) -> Reached | None:
        """What was reached; None where the databases were not judged, or not by networks that never saw them."""
        return self.of(report) if _unseen(report) >= set(self.databases) else None


def _judged(
    estimate: Estimate | None, bound: float, most: bool, digits: int, scale: float, unit: str
) -> Reached | None:
    if estimate is None or (estimate.value is None and not estimate.n):
        return None
    if estimate.value is None:  # a delay without end
        return Reached("∞", False)
    enough = estimate.value <= bound if most else estimate.value >= bound
    return Reached(show(estimate, digits, scale) + unit, enough)


def _window(database: str, group: str | None, metric: str) -> Callable[[Report], Estimate | None]:
    """A metric of AF by leads; without a group, of the database's first row: all leads."""

    def of(report: Report) -> Estimate | None:
        for table in report.windows:
            for row in table.rows:
                if table.title == LEADS_TITLE and row.database == database and group in (None, row.group):
                    return row.metrics.get(metric)
        return None

    return of


def _window_aim(
    what: str, database: str, group: str | None, metric: str, bound: float, databases: Sequence[str] = ()
) -> Aim:
    title = {"auroc": "AUROC", "f1": "F1 at 0.5"}[metric]
    find = _window(database, group, metric)
    return Aim(
        f"{what}: {title}",
        f"≥ {bound}",
        tuple(databases) or (database,),
        lambda report: _judged(find(report), bound, False, 3, 1, ""),
    )


def _episode_aim(what: str, database: str, figure: str, bound: float, databases: Sequence[str]) -> Aim:
    def of(report: Report) -> Reached | None:
        rows = [row for row in report.episodes if (row.database, row.group) == (database, "burden")]
        return _judged(rows[0].gross[figure], bound, False, 1, 100, " %") if rows else None

    return Aim(what, f"≥ {bound * 100:g} %", tuple(databases), of)


def _timing_aim(what: str, timing: str, reading: str, bound: float, unit: str, databases: Sequence[str]) -> Aim:
    changes = "offsets" if timing.startswith("offset") else "onsets"

    def of(report: Report) -> Reached | None:
        rows = [row for row in report.episodes if (row.database, row.group) == (PAROXYSMAL, reading)]
        if not rows:
            return None
        found = rows[0].timing[timing]
        return _judged(found.median, bound, True, 1, 1, f" {unit} ({found.median.n} of {found.of} {changes})")

    return Aim(what, f"≤ {bound:g} {unit}", tuple(databases), of)


def _no_false_alarm(report: Report) -> Reached | None:
    wanted = {("afpdb_n", "all records"), ("mitdb", NO_AF_SUBSET)}
    rows = [row for row in report.false_alarms if (row.database, row.group) in wanted]
    if len(rows) < len(wanted):
        return None
    false, hours = sum(row.false for row in rows), 24 * sum(row.bed_days for row in rows)
    return Reached(f"{false} in {hours:.1f} h ({sum(row.false_confirmed for row in rows)} confirmed)", false == 0)


def _false_alarm_rate(report: Report) -> Reached | None:
    rows = [row for row in report.false_alarms if (row.database, row.group) == ("nsrdb_rr", "all records")]
    return _judged(rows[0].per_bed_day, 0.3, True, 2, 1, " a bed-day") if rows else None


def _noise_called_af(report: Report) -> Reached | None:
    rows = [row for row in report.causes if (row.cause, row.database) == ("noise", "cinc2017")]
    return _judged(rows[0].called, 0.05, True, 1, 100, " %") if rows else None


def _least_coverage(report: Report) -> Reached | None:
    """Of each rhythm, the left-out database whose sets hold it least often."""
    unseen = _unseen(report)
    least: dict[str, CoverageRow] = {}
    for row in report.coverage:
        if row.database in unseen and (row.rhythm not in least or _covered(row) < _covered(least[row.rhythm])):
            least[row.rhythm] = row
    if not least:
        return None
    shown = "; ".join(
        f"{rhythm} {show(row.covered, 0, 100)} % ({row.database}, {row.subjects} patients)"
        for rhythm, row in least.items()
    )
    return Reached(f"at least {shown}", all(_covered(row) >= COVERED for row in least.values()))


def _covered(row: CoverageRow) -> float:
    assert row.covered.value is not None  # a row has windows, and each is covered or not
    return row.covered.value


def _unseen(report: Report) -> set[str]:
    return {row.database for row in report.networks if row.seen == Seen.NOTHING and row.records}


_PTBXL = pooled("ptbxl")
_PTBXL_SETS = ("ptbxl_z500", "ptbxl_native100")  # the third has no AF
_PAROXYSMAL_SETS = ("afpdb_p", "cpsc2021", "mitdb")

AIMS: tuple[Aim, ...] = (
    _window_aim("PTB-XL, 12 leads", _PTBXL, "12 leads", "auroc", 0.997, _PTBXL_SETS),
    _window_aim("PTB-XL, 12 leads", _PTBXL, "12 leads", "f1", 0.93, _PTBXL_SETS),
    _window_aim("PTB-XL, lead I", _PTBXL, "I", "auroc", 0.994, _PTBXL_SETS),
    _window_aim("PTB-XL, lead I", _PTBXL, "I", "f1", 0.90, _PTBXL_SETS),
    _window_aim("CPSC 2018, 12 leads", "cpsc2018", "12 leads", "f1", 0.97),
    _window_aim("CinC 2017, one lead", "cinc2017", None, "auroc", 0.98),
    _window_aim("CinC 2017, one lead", "cinc2017", None, "f1", 0.88),
    Aim("CinC 2017: noise called AF", "≤ 5 %", ("cinc2017",), _noise_called_af),
    _window_aim("MIT-BIH, windows", "mitdb", None, "auroc", 0.995),
    _window_aim("AFPDB p, windows", "afpdb_p", None, "auroc", 0.995),
    _window_aim("CPSC 2021, windows", "cpsc2021", None, "auroc", 0.995),
    _episode_aim("AF found, of its time", PAROXYSMAL, "duration_sensitivity", 0.97, _PAROXYSMAL_SETS),
    _episode_aim("told AF that is AF, of its time", PAROXYSMAL, "duration_ppv", 0.95, _PAROXYSMAL_SETS),
    _episode_aim("AFDB, beats alone: AF found", "afdb_rr", "duration_sensitivity", 0.975, ("afdb_rr",)),
    _episode_aim("AFDB, beats alone: told AF that is AF", "afdb_rr", "duration_ppv", 0.995, ("afdb_rr",)),
    _timing_aim("onset error, median", "onset_beats", "burden", 2, "beats", _PAROXYSMAL_SETS),
    _timing_aim("offset error, median", "offset_beats", "burden", 2, "beats", _PAROXYSMAL_SETS),
    _timing_aim("provisional alarm after onset, median", "provisional_s", "alarm", 15, "s", _PAROXYSMAL_SETS),
    _timing_aim("confirmed alarm after onset, median", "confirmed_s", "alarm", 40, "s", _PAROXYSMAL_SETS),
    Aim(f"false AF alarms in AFPDB n and MIT-BIH {NO_AF_SUBSET}", "none", ("afpdb_n", "mitdb"), _no_false_alarm),
    Aim("false AF alarms in NSRDB, beats alone", "≤ 0.3 a bed-day", ("nsrdb_rr",), _false_alarm_rate),
    Aim("prediction sets hold the true rhythm, in each database left out", "≥ 90 % of each", (), _least_coverage),
)
