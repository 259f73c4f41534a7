"""``wardbeat train``: the cache of windows, and the run that a config file describes. Needs the `train` extra."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from wardbeat.training import config as configs

if TYPE_CHECKING:
    from wardbeat.training.ship import Shipped  # needs torch, which a ward does without

CACHE = Path(".cache/training")


def prepare(config: Path | None, data: Path, jobs: int, console: Console) -> bool:
    """Fill the cache that ``config`` names, or the usual one with all databases; what is there already stays.

    Returns:
        Whether every record could be read.

    Raises:
        ValueError: the config is wrong, or a database is not there.
    """
    from wardbeat.training.cache import build

    named = configs.load(config) if config else None
    built = build(
        data,
        Path(named.cache) if named else CACHE,
        named.datasets if named else (),
        jobs,
        report=lambda line: console.print(line, highlight=False),
    )
    return not any(each.failures for each in built)


def run(config: Path, weights: Path | None, console: Console) -> None:
    """Train as ``config`` says, or go on where the run stood; first its teacher, where there is none yet.

    Args:
        config: JSON of ``TrainingConfig``.
        weights: the model file to write, calibrated; None = none.
        console: is told how far it is, and how the file's promises hold.

    Raises:
        ValueError: the config is wrong, the cache lacks what it names, or the run is of another config.
    """
    from wardbeat.training import boosted
    from wardbeat.training.ship import ship
    from wardbeat.training.trainer import train

    def report(line: str) -> None:
        console.print(line, highlight=False)

    settings = configs.load(config)
    if settings.loss.distillation > 0:
        boosted.ensure_teacher(settings, report)
    folder = train(settings, report=report)
    report(f"trained: {folder}")
    if weights is not None:
        weights.parent.mkdir(parents=True, exist_ok=True)
        shipped = ship(folder, weights)
        report(f"{weights}: {shipped.model.name}")
        console.print(promises(shipped), soft_wrap=False)


def promises(shipped: "Shipped") -> Table:
    """Of each rhythm: how often the prediction set holds it, and the calibration error; fitted on other patients."""
    title = "Fitted on half of the patients held out, judged by the others"
    table = Table("rhythm", "patients", "in its set (95 %)", "set size", "ECE (95 %)", title=title)
    for each in shipped.coverage:
        error = shipped.reliability.get(each.rhythm)
        table.add_row(
            each.rhythm,
            str(each.subjects),
            f"{each.covered:.3f} ({each.low:.3f}–{each.high:.3f})" if each.subjects else "–",
            f"{each.size:.1f}" if each.subjects else "–",
            f"{error.ece:.3f} ({error.ece_low:.3f}–{error.ece_high:.3f})" if error else "–",
        )
    return table
