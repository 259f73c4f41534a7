"""The rows of the harness as Markdown: differences to the reference in one table, then every figure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.ablations.judging import NO_SIGNAL, SHOWN
from benchmarks.ablations.variants import REFERENCE

Row = dict[str, Any]
NOTHING = "–"


def markdown(rows: Sequence[Row], about: str) -> str:
    """The report of all folds; ``about`` says how it was run."""
    parts = ["# Ablations and rivals", about]
    for metric, title in (("auroc", "AUROC of AF"), ("f1", "F1 of AF at 0.5, uncalibrated")):
        parts += [f"## {title}", _compared(rows, metric)]
    findings = _findings(rows)
    if findings:
        parts += ["## AUROC of other outputs, through the most leads", findings]
    parts += ["## Every figure", _all(rows)]
    return "\n\n".join(parts) + "\n"


def _compared(rows: Sequence[Row], metric: str) -> str:
    """The reference's own figures in the first line, then each variant's difference to it."""
    columns = _columns(row for row in rows if row[metric] is not None and row["af"])
    names = list(dict.fromkeys(row["name"] for row in rows))
    of = {(row["name"], _column(row)): row for row in rows}
    head = ["variant", "parameters", *(f"{c[1]} {c[2]}" for c in columns), "mean"]
    counts = ["with AF, of all", "", *(_counts(of, names, c) for c in columns), ""]
    lines = [counts]
    for name in names:
        mine = [of.get((name, column)) for column in columns]
        shown = [_cell(row, lambda row: row[metric], lambda row: row["difference"][metric]) for row in mine]
        lines.append([_about(rows, name), _parameters(rows, name), *shown, _mean(mine, metric)])
    return _table(head, lines)


def _findings(rows: Sequence[Row]) -> str:
    first: dict[tuple[str, str], str] = {}
    for row in rows:  # looks come with the most leads first
        first.setdefault((row["fold"], row["dataset"]), row["leads"])
    widest = [row for row in rows if first[row["fold"], row["dataset"]] == row["leads"] and row["findings"]]
    columns = [
        (column, finding)
        for column in _columns(widest)
        for finding in SHOWN
        if any(finding in row["findings"] for row in widest if _column(row) == column)
    ]
    of = {(row["name"], _column(row)): row for row in widest}
    lines = []
    for name in dict.fromkeys(row["name"] for row in widest):
        shown = []
        for column, finding in columns:
            row = of.get((name, column))
            row = row if row and finding in row["findings"] else None
            shown.append(
                _cell(
                    row,
                    lambda row, finding=finding: row["findings"][finding],
                    lambda row, finding=finding: row["difference"]["findings"][finding],
                )
            )
        lines.append([_about(rows, name), *shown])
    return _table(["variant", *(f"{c[1]}: {finding}" for c, finding in columns)], lines) if columns else ""


def _all(rows: Sequence[Row]) -> str:
    named = ("auroc", "auprc", "f1", "f1_best", "others_called_af", "noise_called_af")
    head = ["left out", "variant", "dataset", "leads", "units", "AF", "AUROC", "AUPRC", "F1", "best F1"]
    head += ["others called AF", "noise called AF", "other outputs, AUROC", "minutes"]
    lines = [
        [row["fold"], row["name"], row["dataset"], row["leads"], str(row["windows"]), str(row["af"])]
        + [_number(row[name]) for name in named]
        + [", ".join(f"{k} {_number(v)}" for k, v in row["findings"].items()) or NOTHING, f"{row['minutes']:.1f}"]
        for row in rows
    ]
    return _table(head, lines)


def _columns(rows: Iterable[Row]) -> list[tuple[str, str, str]]:
    return list(dict.fromkeys(_column(row) for row in rows))


def _column(row: Row) -> tuple[str, str, str]:
    return row["fold"], row["dataset"], row["leads"]


def _counts(of: dict[tuple[str, Any], Row], names: Sequence[str], column: tuple[str, str, str]) -> str:
    row = next(of[name, column] for name in names if (name, column) in of)
    return f"{row['af']} of {row['windows']} {row['unit']}s, {row['subjects']} patients"


def _cell(row: Row | None, figure: Callable[[Row], float], difference: Callable[[Row], dict[str, Any]]) -> str:
    """The figure where there is nothing to compare it with, else the difference with its interval."""
    if row is None or figure(row) is None:
        return NOTHING
    if row["difference"] is None:
        return _number(figure(row))
    d = difference(row)
    if d["value"] is None:
        return NOTHING
    interval = "" if d["low"] is None or d["high"] is None else f" ({_signed(d['low'])} … {_signed(d['high'])})"
    return _signed(d["value"]) + interval


def _mean(rows: Sequence[Row | None], metric: str) -> str:
    """Over columns with a signal: without one, what has nothing but the signal cannot be compared."""
    known = [row for row in rows if row and row["leads"] != NO_SIGNAL]
    if not known or any(row["difference"] is None for row in known):
        return _number(sum(row[metric] for row in known) / len(known)) if known else NOTHING
    values = [row["difference"][metric]["value"] for row in known]
    return NOTHING if any(v is None for v in values) else _signed(sum(values) / len(values))


def _about(rows: Sequence[Row], name: str) -> str:
    about = next(row["about"] for row in rows if row["name"] == name)
    return f"**{name}**: {about}" if name == REFERENCE else f"{name}: {about}"


def _parameters(rows: Sequence[Row], name: str) -> str:
    count = next(row["parameters"] for row in rows if row["name"] == name)
    return NOTHING if count is None else f"{count:,}"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines])
