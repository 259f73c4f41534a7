"""``wardbeat evaluate``: what the network is worth on whole databases, as Markdown and JSON."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from models.network.weights import WeightsError
from wardbeat.evaluation.judging import Judged
from wardbeat.evaluation.report import to_json, to_markdown
from wardbeat.evaluation.run import Request, evaluate
from wardbeat.training.records import Record


def evaluate_databases(request: Request, json_file: Path | None, markdown_file: Path | None, console: Console) -> None:
    """Evaluate and write the report: to the files, or as Markdown to standard output where none is named.

    Raises:
        ValueError: something cannot be evaluated, quoted in one line.
    """

    def progress(name: str, records: Sequence[Record], results: Iterable[Judged]) -> Iterator[Judged]:
        yield from track(results, total=len(records), description=name, console=console)

    try:
        report = evaluate(request, progress)
    except WeightsError as error:
        raise ValueError(str(error)) from error
    if json_file:
        json_file.write_bytes(to_json(report))
    if markdown_file:
        markdown_file.write_text(to_markdown(report), encoding="utf-8")
    if not json_file and not markdown_file:
        sys.stdout.write(to_markdown(report))
