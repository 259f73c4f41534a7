"""An evaluation that was stopped goes on where it was, and only there."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.databases import always_af, random_model, write_databases
from wardbeat.evaluation import run, store
from wardbeat.evaluation.judging import Judged, Task
from wardbeat.evaluation.networks import judges
from wardbeat.evaluation.report import to_json
from wardbeat.evaluation.run import Evaluated, Request, evaluate
from wardbeat.evaluation.summary import Draws
from wardbeat.training.records import Record

NAMES = ("ptbxl_native500", "cpsc2021")
RECORDS = 5


class Stopped(Exception):
    """Whatever ends an evaluation."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Databases of four records and one, and two networks."""
    folder = write_databases(tmp_path_factory.mktemp("data"))
    always_af(folder / "af.safetensors")
    random_model(folder / "random.safetensors")
    return folder


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The records that are judged from now on."""
    seen: list[str] = []
    judge = run.judge

    def counting(record: Record, task: Task) -> Judged:
        seen.append(record.path)
        return judge(record, task)

    monkeypatch.setattr(run, "judge", counting)
    return seen


def asked(data: Path, results: Path | None, weights: str = "af") -> Evaluated:
    request = Request(
        NAMES, data, data / f"{weights}.safetensors", leads=("I",), draws=Draws(draws=20), results=results
    )
    return evaluate(request)


def test_a_stopped_evaluation_goes_on(
    data: Path, tmp_path: Path, judged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Protects hours of work: what was judged before the stop is not judged again, and the report is the same."""
    whole = to_json(asked(data, None).report)
    judged.clear()
    append = store.Stored.append

    def dying(self: store.Stored, entry: store.Entry) -> None:
        append(self, entry)
        if len(judged) == 3:
            raise Stopped

    monkeypatch.setattr(store.Stored, "append", dying)
    with pytest.raises(Stopped):
        asked(data, tmp_path)
    monkeypatch.setattr(store.Stored, "append", append)
    assert len(judged) == 3
    found = asked(data, tmp_path)
    assert len(judged) == len(set(judged)) == RECORDS
    assert to_json(found.report) == whole
    assert set(found.seconds) == set(NAMES)
    assert min(found.seconds.values()) > 0


def test_half_a_record_is_none(data: Path, tmp_path: Path, judged: list[str]) -> None:
    """Protects from a file that was cut off within a record: that record alone is judged again."""
    whole = to_json(asked(data, tmp_path).report)
    judged.clear()
    file = tmp_path / "ptbxl_native500.judged"
    file.write_bytes(file.read_bytes()[:-100])
    assert to_json(asked(data, tmp_path).report) == whole
    assert judged == ["ptbxl_native500/d"]
    assert to_json(asked(data, tmp_path).report) == whole
    assert len(judged) == 1


def test_what_other_weights_judged_is_not_taken(data: Path, tmp_path: Path, judged: list[str]) -> None:
    """Protects from figures of other weights: they are begun anew."""
    asked(data, tmp_path)
    judged.clear()
    asked(data, tmp_path, "random")
    assert len(judged) == RECORDS


@pytest.mark.parametrize(
    "changed",
    [
        "models/network/forward.py",
        "alarms/refine.py",
        "wardbeat/training/labels.py",
        "wardbeat/training/patients.py",
    ],
)
def test_what_other_code_judged_is_not_taken(
    data: Path, tmp_path: Path, judged: list[str], monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """Protects from figures of other code: one line more in a file that judges, and they are begun anew."""
    source = tmp_path / "source"
    for name in ("ecg", "windowing", "models", "alarms", "stream", "wardbeat"):
        shutil.copytree(store._ROOT / name, source / name)
    monkeypatch.setattr(store, "_ROOT", source)
    store.code_digest.cache_clear()
    try:
        for more, anew in (("", RECORDS), ("", 0), ("# another\n", RECORDS)):
            with (source / changed).open("a") as file:
                file.write(more)
            store.code_digest.cache_clear()
            judged.clear()
            asked(data, tmp_path / "results")
            assert len(judged) == anew
    finally:
        store.code_digest.cache_clear()


def test_arrays_come_back_as_they_were(data: Path, tmp_path: Path) -> None:
    """Protects what is stored: the windows of a record, to the last bit."""
    asked(data, tmp_path, "random")
    task = Task(data, data / "random.safetensors", ("I",), 1.0)
    (judge,) = judges(data, ("cpsc2021",), task.weights, False)
    expected = run.judge(judge.records[0], task)
    kept = store.stored(tmp_path, judge, task)
    (found,) = [entry.judged for entry in kept.read()]
    assert found.windows.keys() == expected.windows.keys()
    for name, windows in expected.windows.items():
        for field in ("truth", "score", "judged", "good", "held", "set_size"):
            np.testing.assert_array_equal(getattr(found.windows[name], field), getattr(windows, field))
        assert found.windows[name].groups == windows.groups
    assert (found.episodes, found.alarms, found.stretches) == (expected.episodes, expected.alarms, expected.stretches)
