"""``wardbeat evaluate`` and ``wardbeat card``: what the network is worth, as JSON, Markdown and the model card."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import track

from models.network.weights import WeightsError, default_path, load_model
from wardbeat.evaluation.markdown import to_markdown
from wardbeat.evaluation.report import from_json, to_json
from wardbeat.evaluation.run import Request, evaluate
from wardbeat.evaluation.store import Entry
from wardbeat.training.card import model_card, read_ablations


def write_card(report: Path, weights: Path | None, ablations: Path | None, remarks: Path | None, out: Path) -> None:
    """Write the model card of ``weights`` (the shipped ones without) from a report of left-out networks.

    Raises:
        ValueError: a file does not hold what it should, quoted in one line.
    """
    path = default_path() if weights is None else weights
    try:
        model, found = load_model(path), from_json(report.read_bytes())
    except (WeightsError, msgspec.MsgspecError) as error:
        raise ValueError(f"{error}" if isinstance(error, WeightsError) else f"{report}: {error}") from error
    rows = read_ablations(ablations) if ablations else []
    text = remarks.read_text(encoding="utf-8") if remarks else ""
    out.write_text(model_card(model, path.stat().st_size, found, rows, text), encoding="utf-8")


def evaluate_databases(request: Request, json_file: Path | None, markdown_file: Path | None, console: Console) -> None:
    """Evaluate and write the report: to the files, or as Markdown to standard output where none is named.

    Raises:
        ValueError: something cannot be evaluated, quoted in one line.
    """

    def progress(name: str, records: int, results: Iterable[Entry]) -> Iterator[Entry]:
        yield from track(results, total=records, description=name, console=console)

    try:
        found = evaluate(request, progress)
    except WeightsError as error:
        raise ValueError(str(error)) from error
    for name, seconds in found.seconds.items():
        console.print(f"{name}: {seconds / 60:.1f} min of one core", highlight=False)
    if json_file:
        json_file.write_bytes(to_json(found.report))
    if markdown_file:
        markdown_file.write_text(to_markdown(found.report), encoding="utf-8")
    if not json_file and not markdown_file:
        sys.stdout.write(to_markdown(found.report))
