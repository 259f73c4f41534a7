"""``wardbeat train``: the cache of windows, and the run that a config file describes. Needs the `train` extra."""

from pathlib import Path

from rich.console import Console

from wardbeat.training import config as configs

CACHE = Path(".cache/training")  # as for `python -m wardbeat.training.cache`


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


def run(config: Path, console: Console) -> None:
    """Train as ``config`` says, or go on where the run stood.

    Raises:
        ValueError: the config is wrong, the cache lacks what it names, or the run is of another config.
    """
    from wardbeat.training.trainer import train

    folder = train(configs.load(config), report=lambda line: console.print(line, highlight=False))
    console.print(f"trained: {folder}", highlight=False)
