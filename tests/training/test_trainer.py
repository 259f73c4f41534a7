"""A training run: it learns, it is repeatable, it resumes exactly, and it refuses what does not fit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from models.classes import AF, OUTPUTS
from models.network.config import NetworkConfig
from tests.training.random_cache import write
from wardbeat.training import boosted
from wardbeat.training import config as configs
from wardbeat.training.config import DropoutConfig, LossConfig, TrainingConfig
from wardbeat.training.sampler import Split, load_cache, splits
from wardbeat.training.trainer import CHECKPOINT, METRICS, WEIGHTS, af_scores, load_network, predict, train

TINY = NetworkConfig(d=16, narrow=4, wide=8, blocks=2, d_state=4, headdim=8, heads=2, joint_hidden=16)
SUBJECTS = [f"p{i}" for i in range(48)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets in which AF can be learnt."""
    folder = tmp_path_factory.mktemp("cache")
    write(folder, "one", SUBJECTS[:24], 4, seed=1)
    return write(folder, "two", SUBJECTS[24:], 4, seed=2)


@pytest.fixture
def config(cache: Path, tmp_path: Path) -> TrainingConfig:
    """A run of seconds."""
    return TrainingConfig(
        cache=str(cache), run=str(tmp_path / "run"), steps=20, batch=8, check_steps=10, threads=1, network=TINY
    )


def quiet(line: str) -> None:
    """Nobody listens."""


def weights(run: Path) -> dict[str, np.ndarray]:
    """The averaged weights of a run."""
    return load_file(run / WEIGHTS)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Equal to the last bit."""
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_an_interrupted_run_ends_as_an_uninterrupted_one(config: TrainingConfig, tmp_path: Path) -> None:
    """A power cut after ten of twenty steps must cost time alone: the same weights and the same scores."""
    whole = train(config, report=quiet)
    parts = replace(config, run=str(tmp_path / "parts"))
    train(parts, report=quiet, until=13)
    assert not (tmp_path / "parts" / WEIGHTS).exists()
    said: list[str] = []
    resumed = train(parts, report=said.append)
    assert said[0] == "goes on at step 13"
    assert same(weights(whole), weights(resumed))
    scores = [
        [line.split('"validation"')[1] for line in (r / METRICS).read_text().splitlines()] for r in (whole, resumed)
    ]
    assert scores[0] == scores[1]
    assert len(scores[0]) == 2
    other = train(replace(config, run=str(tmp_path / "other"), seed=8), report=quiet)
    assert not same(weights(whole), weights(other))


def test_it_learns_and_the_average_is_what_is_kept(config: TrainingConfig) -> None:
    """AF that shows plainly must be found in subjects never seen; the raw weights are not what is saved."""
    longer = replace(config, steps=70, batch=16, learning_rate=5e-3, ema=0.9, dropout=DropoutConfig(signal=0.0))
    run = train(longer, report=quiet)
    saved = torch.load(run / CHECKPOINT, weights_only=True)
    kept = {name: torch.from_numpy(array) for name, array in weights(run).items()}
    unfolded = [name for name in kept if not name.startswith("tokenizer.")]
    assert all(torch.equal(kept[name], saved["average"][name]) for name in unfolded)
    assert kept.keys() == load_network(run).state_dict().keys()  # nothing of training's batch normalisation is left
    assert not torch.equal(kept["head.weight"], saved["network"]["head.weight"])
    datasets = load_cache(longer)
    split = splits(datasets, longer)
    for dataset in datasets:
        rows = np.flatnonzero(split[dataset.name] != Split.TRAIN)
        p = predict(run, dataset, rows, batch=7)
        assert p.pooled.shape == (len(rows), len(OUTPUTS))
        assert p.seconds.shape == (len(rows), 10, len(OUTPUTS))
        auroc = af_scores(p.pooled[:, AF], dataset.rhythm_target[rows, AF] >= 0.5)["auroc"]
        assert auroc is not None
        assert auroc > 0.95
        again = predict(load_network(run), dataset, rows, batch=64)
        assert np.allclose(p.pooled, again.pooled, atol=1e-5)


def test_minutes_end_the_schedule(config: TrainingConfig) -> None:
    """A run with too little time must end whole, with weights, instead of being cut off at a high learning rate."""
    said: list[str] = []
    run = train(replace(config, steps=100_000, max_minutes=0.02), report=said.append)
    assert (run / WEIGHTS).exists()
    assert train(replace(config, steps=100_000, max_minutes=0.02), report=quiet) == run  # it is done, not begun anew


def test_a_folder_holds_one_run(config: TrainingConfig) -> None:
    """Weights must never be those of another config than the one beside them."""
    train(config, report=quiet, until=1)
    with pytest.raises(ValueError, match="differs in seed, batch"):
        train(replace(config, seed=9, batch=4), report=quiet)


def test_a_damaged_checkpoint_is_an_error(config: TrainingConfig) -> None:
    """A run must not begin anew in silence."""
    run = train(config, report=quiet, until=2)
    whole = (run / CHECKPOINT).read_bytes()
    (run / CHECKPOINT).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RuntimeError):
        train(config, report=quiet)


def test_the_config_comes_back_and_unknown_fields_are_refused(config: TrainingConfig, tmp_path: Path) -> None:
    """A misspelt option must not be a run with the default."""
    path = tmp_path / "c.json"
    full = replace(config, left_out=("ptbxl",), dataset_weights={"one": 2.0}, max_minutes=3.0)
    configs.save(full, path)
    assert configs.load(path) == full
    for old, new in (('"steps"', '"stepz"'), ('"heads"', '"headz"'), ('"smoothing"', '"smooth"')):
        path.write_text(path.read_text().replace(old, new))
        with pytest.raises(ValueError, match=new.strip('"')):
            configs.load(path)
        configs.save(full, path)
    path.write_text(path.read_text().replace('"steps": 20', '"steps": "many"'))
    with pytest.raises(ValueError, match="steps"):
        configs.load(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", 0), ("ema", 1.5), ("learning_rate", 0.0), ("max_minutes", 0.0), ("dataset_weights", {"one": -1.0})],
)
def test_values_out_of_range_are_refused(config: TrainingConfig, field: str, value: object) -> None:
    """By name, with the value."""
    with pytest.raises(ValueError, match=rf"(?s){'one' if field == 'dataset_weights' else field}.*(0|1\.5)"):
        replace(config, **{field: value})


def test_trees_learn_and_their_teaching_is_out_of_fold(config: TrainingConfig, tmp_path: Path) -> None:
    """The rival must be a real one; the teacher must not have seen the subject that it judges."""
    datasets = load_cache(config)
    split = splits(datasets, config)
    for rival in boosted.RIVALS:
        trees = boosted.train_trees(datasets, config, rival, iterations=20)
        for d in datasets:
            rows = np.flatnonzero(split[d.name] != Split.TRAIN)
            auroc = af_scores(trees.predict(d, rows), d.rhythm_target[rows, AF] >= 0.5)["auroc"]
            assert auroc is not None
            assert auroc > 0.9
    # Labels at random: trees that saw the subject would know them, trees that did not cannot.
    rng = np.random.default_rng(0)
    for d in datasets:
        d.rhythm_target[:, AF] = rng.random(len(d)) < 0.5
    teacher = tmp_path / "teacher"
    boosted.train_teacher(datasets, config, teacher, iterations=60)
    taught = replace(config, teacher=str(teacher), loss=LossConfig(distillation=1.0))
    p = boosted.load_teacher(taught, datasets)
    for d in datasets:
        train_rows = split[d.name] == Split.TRAIN
        assert np.isfinite(p[d.name][train_rows]).all()
        assert np.isnan(p[d.name][~train_rows]).all()
        auroc = af_scores(p[d.name][train_rows], d.rhythm_target[train_rows, AF] >= 0.5)["auroc"]
        assert auroc is not None
        assert auroc < 0.75
    for change in ({"left_out": ("one",)}, {"seed": 8}, {"class_balance": 0.25}, {"dataset_weights": {"one": 2.0}}):
        with pytest.raises(ValueError, match=r"teacher.*was trained for .*this run is "):
            boosted.load_teacher(replace(taught, **change), datasets)
    with pytest.raises(ValueError, match=r"this run is .*'datasets': .'one'."):
        boosted.load_teacher(taught, datasets[:1])
    with pytest.raises(ValueError, match=r"this run is .*redrawn"):
        boosted.load_teacher(taught, [replace(d, identity="redrawn") for d in datasets])
    said: list[str] = []
    boosted.ensure_teacher(taught, said.append)
    assert not said  # the one that is there stays
    train(taught, report=quiet, until=2)
