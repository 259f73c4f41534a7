"""Which network judges which database, and what it had seen of it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from models.network.weights import Model, default_path, load_model
from wardbeat.evaluation.datasets import DATABASES, group_of
from wardbeat.evaluation.synthetic import SYNTHETIC, synthetic_records
from wardbeat.training.config import GROUPS
from wardbeat.training.records import Record, records_of
from wardbeat.training.sampler import Split, split_of

LEFT_OUT = "left_out"  # folder beside the shipped weights
ALL = "all"


class Seen(StrEnum):
    """What of a database the network that judges it had seen."""

    NOTHING = "nothing of it, nor of databases that share its patients"
    OTHERS = "other patients of it; these calibrated it, but it did not learn from them"
    GENERATOR = "other patients of the same generator"
    SOME = "patients of it, unless its card says otherwise"


# What every network, whatever it left out, had of a database: it is made once for all of them, without rhythm labels.
UNLABELLED: Mapping[str, str] = {"cinc2011": "its unreadable leads are among training's noise"}


@dataclass(frozen=True)
class Judge:
    """One database, and who judges it.

    Attributes:
        database: its name.
        records: those that are judged.
        of: how many records it has.
        weights: the network's file.
        model: the network's name.
        left_out: the groups that the network left out.
        seen: of the database.
        recipe: hash of how the network was trained.
        unlabelled: what it had of the database besides, without labels; empty where nothing.
    """

    database: str
    records: Sequence[Record]
    of: int
    weights: Path
    model: str
    left_out: tuple[str, ...]
    seen: Seen
    recipe: str
    unlabelled: str


@cache
def model_of(weights: Path) -> Model:
    """The model, read once in each process."""
    return load_model(weights)


def left_out_of(model: Model) -> tuple[str, ...]:
    """Groups, as its file names them, that the network never saw."""
    return tuple(model.training.get("left_out", ()))


def recipe_of(model: Model) -> str:
    """Hash of how the network was trained, but for who was left out."""
    facts = {name: value for name, value in model.training.items() if name not in ("left_out", "subjects")}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def records(data: Path, database: str) -> list[Record]:
    """The records of a database.

    Raises:
        ValueError: see ``records_of``.
    """
    return synthetic_records() if database == SYNTHETIC else records_of(data, database)


def judges(data: Path, databases: Sequence[str], weights: Path | None, left_out: bool) -> tuple[Judge, ...]:
    """Who judges what.

    A database that is not named but meant by "all" is judged, if no network left it out, by the shipped one on patients
    that it did not learn from; it comes with no record at all where it learnt from all of them.

    Args:
        data: folder of ``index.csv``.
        databases: names, or none or "all" for each that there is.
        weights: of the network; None = the shipped one.
        left_out: take the networks of ``left_out/`` beside the shipped one, by what their files say.

    Raises:
        ValueError: a database is not known or has no records, or no network left it out, or several did.
        models.network.weights.WeightsError: a file is not as it was written.
    """
    shipped = default_path() if weights is None else weights
    everything = not databases or tuple(databases) == (ALL,)
    found = []
    for name in DATABASES if everything else databases:
        rows = records(data, name)
        if not left_out:
            seen = Seen.GENERATOR if name == SYNTHETIC else Seen.SOME
            found.append(_judge(name, rows, rows, shipped, seen))
        elif (path := left_out_file(name)) is not None:
            found.append(_judge(name, rows, rows, path, Seen.NOTHING))
        elif everything or name == SYNTHETIC:
            seen = Seen.GENERATOR if name == SYNTHETIC else Seen.OTHERS
            kept = rows if name == SYNTHETIC else held_out(rows, model_of(shipped))
            found.append(_judge(name, kept, rows, shipped, seen))
        else:
            raise ValueError(
                f"{folder()}: no network that never saw {name}; train one with left_out = ({group_of(name)!r},)"
            )
    return tuple(found)


def _judge(name: str, kept: Sequence[Record], rows: Sequence[Record], weights: Path, seen: Seen) -> Judge:
    model = model_of(weights)
    unlabelled = UNLABELLED.get(name, "")
    return Judge(name, kept, len(rows), weights, model.name, left_out_of(model), seen, recipe_of(model), unlabelled)


def folder() -> Path:
    """Where the left-out networks lie."""
    return default_path().parent / LEFT_OUT


def left_out_file(database: str) -> Path | None:
    """The file of the network that left out ``database``, by what it says itself; None if there is none.

    Raises:
        ValueError: networks that differ did.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder().glob("*.safetensors")):
        model = model_of(path)
        if database in {member for name in left_out_of(model) for member in GROUPS.get(name, (name,))}:
            files.setdefault(model.sha256, path)
    if len(files) > 1:
        raise ValueError(f"several networks left out {database}: {', '.join(str(path) for path in files.values())}")
    return next(iter(files.values()), None)


def held_out(rows: Sequence[Record], model: Model) -> list[Record]:
    """Records of patients whom the network did not learn from, by the rule that its training split them by.

    Raises:
        ValueError: its file does not say its seed.
    """
    seed = model.training.get("seed")
    if not isinstance(seed, int):
        raise ValueError(f"model {model.name}: its training names no seed: {seed!r}")
    return [row for row in rows if split_of(row.subject, seed) is not Split.TRAIN]
