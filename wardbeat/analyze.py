"""``wardbeat analyze``: the ward core over record files."""

import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ecg.readers import RecordError, find_beats, find_records, read_beats, read_recording
from stream.bed import BedConfig
from stream.offline import Analysis, analyze_beats, analyze_recording


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
    """Analyse all records and print each as soon as its turn has come; the number that could not be read."""
    try:
        records = find_records(paths) if beats is None else find_beats(paths, beats)
    except RecordError as error:
        console.print(f"[red]{error}[/]", highlight=False)
        return 1
    failed = 0
    table = Table("record", "seconds", "leads", "beats", "HR", "usable", "alarms")
    work = partial(analyze_file, config=config, beats=beats, fs=fs)
    pool: Executor | nullcontext[None] = ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext()
    with pool as executor, Progress(console=console, transient=True) as progress:
        results = executor.map(work, records) if executor is not None else map(work, records)
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
                table.add_row(*_row(result))
    if not json_lines:
        Console().print(table)
    return failed


def _line(data: bytes) -> None:
    sys.stdout.write(data.decode() + "\n")
    sys.stdout.flush()


def _row(result: Analysis) -> list[str]:
    rates = sorted(finding.hr_bpm for finding in result.findings if finding.hr_bpm is not None)
    usable = sum(finding.usable for finding in result.findings)
    starts = [event.text for event in result.alarms if event.phase == "start"]
    shown = ", ".join(starts[:3]) + (f" … {len(starts)} in all" if len(starts) > 3 else "")
    return [
        result.record,
        f"{result.seconds:.1f}",
        " ".join(result.leads) or "beats only",
        str(len(result.beats)),
        f"{rates[len(rates) // 2]:.0f}" if rates else "-",
        f"{100 * usable / max(1, len(result.findings)):.0f} %",
        shown or "none",
    ]
