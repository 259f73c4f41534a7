"""Aims are read from the report's own figures, and from networks that never saw what they judged."""

import msgspec
import pytest

from wardbeat.evaluation.aims import AIMS, Aim
from wardbeat.evaluation.bootstrap import Estimate
from wardbeat.evaluation.networks import Seen
from wardbeat.evaluation.report import (
    CauseRow,
    CoverageRow,
    EpisodeRow,
    FalseAlarmRow,
    Mean,
    NetworkRow,
    Report,
    Timing,
    WindowRow,
    WindowTable,
)
from wardbeat.evaluation.tables import LEADS_TITLE, PAROXYSMAL

SETS = ("ptbxl_z500", "ptbxl_native100", "cpsc2018", "cinc2017", "mitdb", "afpdb_p", "afpdb_n", "afdb_rr", "nsrdb_rr")


def of(value: float | None) -> Estimate:
    return Estimate(value, None, None, 10, 5)


def window(database: str, group: str, value: float) -> WindowRow:
    return WindowRow(database, group, 10, 5, 5, 2, {"auroc": of(value), "f1": of(value)})


def episodes(database: str, value: float, delay: float | None) -> EpisodeRow:
    names = ("episode_sensitivity", "episode_ppv", "duration_sensitivity", "duration_ppv")
    timing = {name: Timing(of(delay), 15) for name in ("onset_beats", "offset_beats", "provisional_s", "confirmed_s")}
    gross, average = dict.fromkeys(names, of(value)), dict.fromkeys(names, Mean(value, 5))
    return EpisodeRow(database, "burden", 5, 5, 1.0, 9, 9, gross, average, of(0.0), of(0.0), timing)


def false(database: str, group: str, n: int) -> FalseAlarmRow:
    return FalseAlarmRow(database, group, 5, 5, 0.5, n, n, 0, of(n / 0.5))


def covered(database: str, rhythm: str, value: float) -> CoverageRow:
    return CoverageRow(database, rhythm, 9, 5, of(value), value, 1.5)


def report(value: float, delay: float | None, alarms: int) -> Report:
    """Everything that aims are of: figures of ``value``, delays and errors of ``delay``, so many false alarms."""
    groups = [
        ("ptbxl, all sets", "12 leads"),
        ("ptbxl, all sets", "I"),
        ("cpsc2018", "12 leads"),
        ("cinc2017", "1 lead"),
    ]
    groups += [(name, "2 leads") for name in ("mitdb", "afpdb_p", "cpsc2021")]
    rows = tuple(window(database, group, value) for database, group in groups)
    reading = [episodes(PAROXYSMAL, value, delay), episodes("afdb_rr", value, delay)]
    alarmed = [msgspec.structs.replace(row, group="alarm") for row in reading]
    return Report(
        "r",
        "m",
        "p",
        windows=(WindowTable(LEADS_TITLE, "AF", "leads", rows),),
        episodes=(*reading, *alarmed),
        false_alarms=(
            false("afpdb_n", "all records", alarms),
            false("mitdb", "all records", 9),
            false("mitdb", "DS1 without AF", 0),
            false("nsrdb_rr", "all records", alarms),
        ),
        causes=(CauseRow("noise", "cinc2017", "records", 100, of(round(1 - value, 9)), 100),),
        coverage=(covered("mitdb", "af", value), covered("vitaldb_arrdb_rr", "af", 0.1)),
        networks=tuple(NetworkRow(name, "m", (), Seen.NOTHING, 5, 5, 5) for name in (*SETS, "cpsc2021")),
    )


def short_of(bound: float) -> tuple[Report, Report]:
    """Figures that are just enough, and a hair too low."""
    return report(bound, 0.0, 0), report(bound - 1e-4, 0.0, 0)


def later_than(bound: float) -> tuple[Report, Report]:
    """Delays and errors that are just enough, and a hair too long."""
    return report(1.0, bound, 0), report(1.0, bound + 1e-3, 0)


def alarming(rate: float) -> Report:
    """So many false alarms a bed-day in NSRDB."""
    whole = report(1.0, 0.0, 0)
    rows = [row for row in whole.false_alarms if row.database != "nsrdb_rr"]
    often = FalseAlarmRow("nsrdb_rr", "all records", 5, 5, 16.0, 9, 5, 0, of(rate))
    return msgspec.structs.replace(whole, false_alarms=(*rows, often))


NEAR = (  # of each aim, in their order: a report that reaches it by nothing, and one that misses it by as little
    *map(short_of, (0.997, 0.93, 0.994, 0.90, 0.97, 0.98, 0.88)),
    short_of(0.95),  # of noise: the rest of it is called AF
    *map(short_of, (0.995, 0.995, 0.995, 0.97, 0.95, 0.975, 0.995)),
    *map(later_than, (2, 2, 15, 40)),
    (report(1.0, 0.0, 0), report(1.0, 0.0, 1)),
    (alarming(0.3), alarming(0.3001)),
    short_of(0.9),
)


@pytest.mark.parametrize(
    ("aim", "enough", "missed"),
    [(aim, *near) for aim, near in zip(AIMS, NEAR, strict=True)],
    ids=[aim.what for aim in AIMS],
)
def test_each_aim_is_reached_at_its_bound_and_missed_beyond_it(aim: Aim, enough: Report, missed: Report) -> None:
    """Protects each bound and its direction: none can be moved unseen, either way."""
    assert _of(aim, enough)[1]
    assert not _of(aim, missed)[1]


def test_an_alarm_that_never_came_is_a_miss() -> None:
    """Protects endless delays: they are no missing figure, but the worst one."""
    delays = [aim.reached(report(1.0, None, 0)) for aim in AIMS if "alarm after onset" in aim.what]
    assert [(reached.shown, reached.enough) for reached in delays if reached] == [("∞", False)] * 2


@pytest.mark.parametrize("seen", [Seen.OTHERS, Seen.SOME])
def test_what_the_network_had_seen_reaches_no_aim(seen: Seen) -> None:
    """Protects "left out": figures of a database that the network knew do not count, and no other aim is touched."""
    whole = report(1.0, 0.0, 0)
    rows = tuple(
        msgspec.structs.replace(row, seen=seen) if row.database == "cinc2017" else row for row in whole.networks
    )
    missing = [aim for aim in AIMS if aim.reached(msgspec.structs.replace(whole, networks=rows)) is None]
    assert [aim.databases for aim in missing] == [("cinc2017",)] * 3


def test_the_worst_database_of_each_rhythm_decides_the_prediction_sets() -> None:
    """Protects the promise of 90 %: of each rhythm, not on average; no database that was seen counts."""
    (aim,) = (aim for aim in AIMS if "prediction sets" in aim.what)
    rows = (covered("mitdb", "af", 0.95), covered("afpdb_p", "af", 0.9), covered("vitaldb_arrdb_rr", "af", 0.1))
    found = msgspec.structs.replace(report(1.0, 0.0, 0), coverage=rows)
    assert _of(aim, found) == ("at least af 90 (–) % (afpdb_p, 5 patients)", True)
    worse = msgspec.structs.replace(found, coverage=(*rows, covered("mitdb", "other", 0.89)))
    assert _of(aim, worse) == (
        "at least af 90 (–) % (afpdb_p, 5 patients); other 89 (–) % (mitdb, 5 patients)",
        False,
    )
    assert aim.reached(msgspec.structs.replace(found, coverage=rows[2:])) is None


def test_a_median_says_how_many_it_rests_on() -> None:
    """Protects from an error of the easy changes taken for that of all: so many of so many were told."""
    shown = [reached.shown for aim in AIMS if "error" in aim.what and (reached := aim.reached(report(1.0, 0.5, 0)))]
    assert shown == ["0.5 (–) beats (10 of 15 onsets)", "0.5 (–) beats (10 of 15 offsets)"]


def test_false_alarms_of_both_sets_are_added_up() -> None:
    """Protects the 26 hours: AFPDB n and DS1 without AF, not the rest of MIT-BIH."""
    (aim,) = (aim for aim in AIMS if "AFPDB n and" in aim.what)
    reached = _of(aim, report(1.0, 0.0, 2))
    assert reached == ("2 in 24.0 h (0 confirmed)", False)


def _of(aim: Aim, found: Report) -> tuple[str, bool]:
    reached = aim.reached(found)
    assert reached is not None
    return reached.shown, reached.enough
