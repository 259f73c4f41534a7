"""Judged records on disk, so that an evaluation of hours can be stopped and goes on where it was.

One file a database: frames of a length (4 bytes, little endian) and MessagePack. The first one names everything that a
judgement depends on: weights, leads, hop, records, and the code itself. A file of another name is begun anew.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from wardbeat.evaluation.judging import Judged, Task
from wardbeat.evaluation.networks import Judge
from wardbeat.training.records import Record

_ROOT = Path(__file__).resolve().parent.parent.parent
# What a judgement is made by. Reports and the card are not among it: they are drawn up anew each time.
_CODE = ("ecg", "windowing", "models", "alarms", "stream/bed.py", "stream/offline.py", "stream/rhythm_watch.py")
_CODE_HERE = ("judging.py", "datasets.py", "synthetic.py", "cpsc2021.py", "intervals.py")
_CODE_TRAINING = ("labels.py", "patients.py", "records.py")


class Entry(msgspec.Struct, frozen=True):
    """A judged record, and the seconds of one core that it took."""

    judged: Judged
    seconds: float


class Header(msgspec.Struct, frozen=True):
    """What makes two evaluations of a database the same."""

    database: str
    model: str
    leads: tuple[str, ...]
    hop_s: float
    records: str
    code: str


@dataclass(frozen=True)
class Stored:
    """The file of one database."""

    path: Path
    header: Header

    def read(self) -> list[Entry]:
        """Entries so far. A last one that was cut off by whatever stopped the evaluation is cut away."""
        if not self.path.is_file():
            return []
        with self.path.open("r+b") as file:
            frames = list(_frames(file))
            if not frames or _decode(frames[0][0], Header) != self.header:
                return []
            file.truncate(frames[-1][1])
        return [_decode(frame, Entry) for frame, _ in frames[1:]]

    def begin(self) -> None:
        """Throw away what is there, and write the header."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(_frame(self.header))

    def append(self, entry: Entry) -> None:
        """One more record."""
        with self.path.open("ab") as file:
            file.write(_frame(entry))


def stored(folder: Path, judge: Judge, task: Task) -> Stored:
    """Where the judgements of a database lie."""
    header = Header(judge.database, judge.model, task.leads, task.hop_s, _digest_of(judge.records), code_digest())
    return Stored(folder / f"{judge.database}.judged", header)


@cache
def code_digest() -> str:
    """Hash of all source files that a judgement is made by."""
    paths = [_ROOT / name for name in _CODE]
    paths += [Path(__file__).parent / name for name in _CODE_HERE]
    paths += [_ROOT / "wardbeat" / "training" / name for name in _CODE_TRAINING]
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _digest_of(records: Sequence[Record]) -> str:
    return hashlib.sha256(msgspec.json.encode(records)).hexdigest()


def _frames(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Each whole frame, and where it ends."""
    while len(length := file.read(4)) == 4:
        (size,) = struct.unpack("<I", length)
        frame = file.read(size)
        if len(frame) < size:
            return
        yield frame, file.tell()


def _frame(value: object) -> bytes:
    data = msgspec.msgpack.encode(value, enc_hook=_plain)
    return struct.pack("<I", len(data)) + data


def _decode(data: bytes, kind: Any) -> Any:
    return msgspec.msgpack.decode(data, type=kind, dec_hook=_array)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    raise TypeError(f"only what msgpack knows and arrays can be stored, got {value!r}")


def _array(_: Any, value: Any) -> npt.NDArray[Any]:
    dtype, shape, data = value
    return np.frombuffer(data, np.dtype(dtype)).reshape(shape)
