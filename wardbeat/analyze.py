"""``wardbeat analyze``: the ward core over record files."""

import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.progress import Progress
from rich.table import Table

from alarms.alarm import AlarmEvent, Phase
from alarms.rhythm_alarms import NAMES
from ecg.readers import RecordError, find_beats, find_records, read_beats, read_recording
from stream.bed import BedConfig
from stream.offline import Analysis, analyze_beats, analyze_recording
from wardbeat.processes import helpers
from windowing.spans import ANALYSIS_FS

SHOWN_LEADS = 3  # by name; of more their number
SHOWN_ALARMS = 8  # of a record: a day may have hundreds
DAY_S = 24 * 3600
RECORD_WIDTH = 24
WRAPPED = ("record", "episodes", "possible", "reason")
COLUMNS: dict[str, JustifyMethod] = {
    "record": "left",
    "length": "right",
    "leads": "left",
    "beats": "right",
    "HR": "right",
    "usable": "right",
    "AF of\nanalysed": "right",
    "longest\nAF": "right",
    "episodes": "left",
    "alarms": "right",
}
ALARM_COLUMNS: dict[str, JustifyMethod] = {
    "record": "left",
    "onset": "right",
    "told": "right",
    "end": "right",
    "alarm": "left",
    "possible": "left",
    "reason": "left",
}


def analyze_file(path: Path, config: BedConfig, beats: str | None, fs: int | None) -> Analysis | str:
    """The analysis of one record, or why there is none."""
    try:
        if beats is not None:
            known = read_beats(path, beats)
            return analyze_beats(str(path), known.beats, known.fs, config)
        return analyze_recording(read_recording(path, fs=fs), config)
    except RecordError as error:
        return str(error)


def analyze_files(
    paths: list[Path],
    config: BedConfig,
    json_lines: bool,
    jobs: int,
    beats: str | None,
    fs: int | None,
    console: Console,
) -> int:
    """Analyse all records, each a JSON line as soon as its turn has come or a row; how many have failed."""
    try:
        records = find_records(paths) if beats is None else find_beats(paths, beats)
    except RecordError as error:
        console.print(f"[red]{error}[/]", highlight=False)
        return 1
    failed = 0
    table, alarms = _table(COLUMNS), _table(ALARM_COLUMNS)
    work = partial(analyze_file, config=config, beats=beats, fs=fs)
    with helpers(jobs) as map_over, Progress(console=console, transient=True) as progress:
        results = map_over(work, records)
        for path, result in zip(progress.track(records, description="analysing"), results, strict=False):
            if isinstance(result, str):
                failed += 1
                if json_lines:
                    _line(msgspec.json.encode({"record": str(path), "error": result}))
                else:
                    console.print(f"[red]{result}[/]", highlight=False)
            elif json_lines:
                _line(result.as_json())
            else:
                table.add_row(*record_row(result))
                if result.seconds > DAY_S:
                    table.caption = "AF of analysed and longest AF: of the latest 24 hours"
                for row in alarm_rows(result):
                    alarms.add_row(*row)
    if not json_lines:
        out = Console(highlight=False)
        out.print(table)
        if alarms.row_count:
            out.print()
            out.print(alarms)
    return failed


def _table(columns: dict[str, JustifyMethod]) -> Table:
    """Narrow enough for 80 characters: only words wrap. A record's name is never cut: it may be a path."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name, justify in columns.items():
        width = RECORD_WIDTH if name == "record" else None
        table.add_column(name, justify=justify, overflow="fold", max_width=width, no_wrap=name not in WRAPPED)
    return table


def _line(data: bytes) -> None:
    sys.stdout.write(data.decode() + "\n")
    sys.stdout.flush()


def record_row(result: Analysis) -> list[str]:
    """Of ``COLUMNS``; burden and longest AF are those of the latest 24 hours, as on the ward's screen."""
    rates = sorted(finding.hr_bpm for finding in result.findings if finding.hr_bpm is not None)
    usable = sum(finding.usable for finding in result.findings)
    burden = result.burden
    share = burden.share if burden else None
    episodes = Counter(episode.kind for episode in result.episodes)
    told = ", ".join(f"{count} {NAMES[kind]}" for kind, count in episodes.items()) or "none"
    return [
        result.record,
        clock(result.seconds),
        (" ".join(result.leads) if len(result.leads) <= SHOWN_LEADS else str(len(result.leads))) or "none",
        str(len(result.beats)),
        f"{rates[len(rates) // 2]:.0f}" if rates else "-",
        f"{100 * usable / max(1, len(result.findings)):.0f} %",
        "-" if share is None else percent(share),
        clock(burden.longest_s) if burden and burden.longest_s else "-",
        told if burden else "-",
        str(len({event.id for event in result.alarms}) or "-"),
    ]


def alarm_rows(result: Analysis) -> Iterator[list[str]]:
    """Of ``ALARM_COLUMNS``, one an alarm in the order in which they were told; then how many are not shown.

    Where there are too many, those of AF and flutter stay.
    """
    alarms: dict[str, list[AlarmEvent]] = {}
    for event in result.alarms:
        alarms.setdefault(event.id, []).append(event)
    shown = sorted(alarms, key=lambda alarm: alarms[alarm][0].kind not in NAMES)[:SHOWN_ALARMS]
    for alarm, events in alarms.items():
        if alarm in shown:
            yield _alarm_row(result.record, events)
    if len(alarms) > SHOWN_ALARMS:
        yield [result.record, "", "", "", f"{len(alarms) - SHOWN_ALARMS} more", "", "--json tells all"]


def _alarm_row(record: str, events: list[AlarmEvent]) -> list[str]:
    """What it said last while it stood: a confirmed alarm knows its onset better than a provisional one.

    Each has ended, at the record's end at the latest.
    """
    stood = [event for event in events if event.phase is not Phase.END]
    end = events[-1]
    return [
        record,
        _at(stood[-1].onset),
        _at(stood[0].at),
        _at(end.at if end.offset is None else end.offset),
        stood[-1].text,
        ", ".join(stood[-1].prediction_set),
        stood[-1].reason,
    ]


def _at(sample: int) -> str:
    return clock(sample / ANALYSIS_FS)


def clock(seconds: float) -> str:
    """Whole seconds as ``h:mm:ss``; a part of one is left out, as a clock does."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def percent(share: float) -> str:
    """Of 0 to 1: no AF that was there reads as 0 %, and none short of all as 100 %."""
    if 0 < share < 0.01:
        return "<1 %"
    return ">99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"
