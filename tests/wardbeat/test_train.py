"""``wardbeat train``, as a person types it."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from ecg.synthetic import SyntheticPatient
from ecg.writer import write_record
from models.classes import AF, RHYTHMS
from models.features.minirocket_leads import fit_shared, shared_config
from models.inputs import PPV_PER_LEAD, RATE, SAMPLES
from models.network.config import NetworkConfig
from models.network.weights import load_model
from tests.training.random_cache import write
from wardbeat.cli import app
from wardbeat.training import config as configs
from wardbeat.training.cache import MINIROCKET, NOISE_BANK
from wardbeat.training.config import LossConfig, TrainingConfig
from wardbeat.training.sampler import load_cache
from wardbeat.training.ship import ship
from wardbeat.training.trainer import CHECKPOINT, WEIGHTS, train

TINY = NetworkConfig(d=16, narrow=4, wide=8, blocks=2, d_state=4, headdim=8, heads=2, joint_hidden=16)
SUBJECTS = [f"p{i}" for i in range(60)]

runner = CliRunner()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One dataset and kernels."""
    folder = tmp_path_factory.mktemp("cache")
    rng = np.random.default_rng(0)
    signal = (rng.normal(size=(8, 12, SAMPLES)).cumsum(axis=2) * 3).clip(-303, 303).astype(np.int16)
    kernels = fit_shared(signal, np.ones(signal.shape, np.bool_), shared_config(RATE, PPV_PER_LEAD, 1.0))
    save_file(dict(kernels.arrays()), folder / MINIROCKET)
    return write(folder, "one", SUBJECTS, 4)


@pytest.fixture
def config(cache: Path, tmp_path: Path) -> TrainingConfig:
    """A run of a few steps."""
    run = str(tmp_path / "run")
    return TrainingConfig(cache=str(cache), run=run, steps=4, batch=8, check_steps=2, threads=1, network=TINY)


def typed(config: TrainingConfig, *arguments: str) -> tuple[int, str]:
    """Exit code and output of ``wardbeat train`` by this config."""
    path = Path(config.run).with_suffix(".json")
    configs.save(config, path)
    return typed_path(path, *arguments)


def typed_path(*arguments: str | Path) -> tuple[int, str]:
    """The same by any arguments."""
    result = runner.invoke(app, ["train", *map(str, arguments)])
    return result.exit_code, result.output


def test_a_run_ends_with_a_file_that_wards_load(config: TrainingConfig, tmp_path: Path) -> None:
    """The first teacher, steps, scores, the file, and how its promises hold: in one command, and all of it is told."""
    taught = replace(config, teacher=str(tmp_path / "teacher"), loss=LossConfig(distillation=1.0))
    weights = tmp_path / "weights" / "model.safetensors"
    code, output = typed(taught, "--weights", str(weights))
    assert code == 0, output
    assert f"no teacher in {taught.teacher} yet" in output
    assert "step 4: total" in output
    assert f"trained: {taught.run}" in output
    model = load_model(weights)
    assert f"{weights}: {model.name}" in output
    assert model.training["steps"] == 4
    shipped = ship(Path(taught.run), tmp_path / "again.safetensors")
    assert shipped.model.sha256 == model.sha256
    rows = {row[0]: row[1:] for row in (line.strip("│").split("│") for line in output.splitlines() if "│" in line)}
    rows = {name.strip(): [cell.strip() for cell in cells] for name, cells in rows.items()}
    assert list(rows) == list(RHYTHMS)
    af, error = shipped.coverage[AF], shipped.reliability["af"]
    assert af.subjects > 0
    assert rows["af"] == [
        str(af.subjects),
        f"{af.covered:.3f} ({af.low:.3f}–{af.high:.3f})",
        f"{af.size:.1f}",
        f"{error.ece:.3f} ({error.ece_low:.3f}–{error.ece_high:.3f})",
    ]
    assert rows["flutter"][:3] == ["0", "–", "–"]  # nobody had it: nothing can be said


def test_the_same_command_goes_on_where_the_run_stood(config: TrainingConfig, tmp_path: Path) -> None:
    """Typed again after a stop it does the steps that are left, and the file is that of a run without a stop."""
    files = tmp_path / "whole.safetensors", tmp_path / "stopped.safetensors"
    assert typed(config, "--weights", str(files[0]))[0] == 0
    stopped = replace(config, run=str(tmp_path / "stopped"))
    train(stopped, report=[].append, until=3)
    assert not (tmp_path / "stopped" / WEIGHTS).exists()
    code, output = typed(stopped, "--weights", str(files[1]))
    assert code == 0, output
    assert "goes on at step 3" in output
    assert load_model(files[0]).sha256 == load_model(files[1]).sha256
    code, output = typed(stopped)  # it is done: nothing is trained or written any more
    assert code == 0, output
    assert "goes on at step 4" in output
    assert "step 4:" not in output


@pytest.mark.parametrize(
    ("old", "new", "quoted"),
    [
        ('"steps": 4', '"steps": 0', "steps is 0"),
        ('"steps": 4', '"steps": "few"', "steps"),
        ('"steps"', '"stepz"', "'stepz'"),
        ('"datasets": []', '"datasets": ["ptbxxl"]', "'ptbxxl'"),
        ('"left_out": []', '"left_out": ["mitbd"]', "'mitbd'"),
        ('"left_out": []', '"left_out": ["one"]', "no window of"),
        ('"distillation": 0.0', '"distillation": 3.0', "distillation is 3.0"),
        ("{", "", "run.json"),
    ],
)
def test_what_cannot_be_trained_is_refused(config: TrainingConfig, old: str, new: str, quoted: str) -> None:
    """A misspelt config is one line that quotes the word, no traceback, and no run of something else."""
    path = Path(config.run).with_suffix(".json")
    configs.save(config, path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    code, output = typed_path(path)
    assert code == 1
    assert quoted in output
    assert "Traceback" not in output
    assert not (Path(config.run) / CHECKPOINT).exists()


def test_another_config_of_the_same_run_is_refused(config: TrainingConfig) -> None:
    """Weights are never those of another config than the one that was typed: what differs is named."""
    assert typed(config)[0] == 0
    code, output = typed(replace(config, batch=4))
    assert code == 1
    assert "differs in batch" in output


def test_nothing_typed_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It says what it expected, or quotes the path."""
    code, output = typed_path()
    assert code == 2
    assert "expected a config, or --prepare" in output
    code, output = typed_path(tmp_path / "nowhere.json")
    assert code == 1
    assert "nowhere.json" in output


def test_prepare_fills_the_cache_that_the_config_names(config: TrainingConfig, tmp_path: Path) -> None:
    """Only its datasets, into its folder; 1 where a record could not be read; what is no database is quoted."""
    data = tmp_path / "data"
    (data / "ptbxl_z500").mkdir(parents=True)
    lines = ["path,dataset,subject,labels"]
    for seed, name in enumerate(("a", "b")):
        write_record(SyntheticPatient("sinus 10s", seed).recording(name), data / "ptbxl_z500" / name)
        lines.append(f"ptbxl_z500/{name},ptbxl_z500,{name},SR")
    (data / "index.csv").write_text("\n".join(lines) + "\n")
    cache = tmp_path / "new"
    cache.mkdir()
    shutil.copy(Path(config.cache) / MINIROCKET, cache)
    save_file({"noise": np.random.default_rng(0).normal(size=(5, 2500)).astype(np.float32)}, cache / NOISE_BANK)
    new = replace(config, cache=str(cache), datasets=("ptbxl_z500",))
    asked = ("--prepare", "--data", str(data), "--jobs", "1")
    code, output = typed(new, *asked)
    assert code == 0, output
    assert [dataset.name for dataset in load_cache(new)] == ["ptbxl_z500"]
    assert not Path(config.run).exists()

    (cache / "ptbxl_z500.npz").unlink()
    (data / "ptbxl_z500" / "b.dat").unlink()
    code, output = typed(new, *asked)
    assert code == 1
    assert "ptbxl_z500/b failed" in output
    assert set(load_cache(new)[0].subject) == {"a"}

    code, output = typed(replace(new, datasets=("ptbxxl",)), *asked)
    assert code == 1
    assert "'ptbxxl'" in output
