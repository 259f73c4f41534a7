"""One training run, from the cache to averaged weights; and what a trained network says of cached windows."""

import copy
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from torch import nn

from models.classes import AF
from models.network.batch import Batch
from models.network.torch_network import Network, tensors
from wardbeat.training import boosted
from wardbeat.training import config as configs
from wardbeat.training.config import TrainingConfig
from wardbeat.training.losses import Losses, TargetTensors, losses
from wardbeat.training.sampler import CachedDataset, Floats, Rows, Sampler, Split, Targets, load_cache, splits

CHECKPOINT, CONFIG, METRICS, WEIGHTS = "checkpoint.pt", "config.json", "metrics.jsonl", "model.safetensors"
SCALE_WINDOWS = 2048  # to measure center and scale of the features on
REPORT_STEPS = 50
LOWEST = 0.01  # of the learning rate, at the schedule's end
THRESHOLD = 0.5


class Predictions(NamedTuple):
    """Uncalibrated: pooled (n, 13) and seconds (n, 10, 13) float32 probabilities."""

    pooled: Floats
    seconds: Floats


@dataclass
class _State:
    """What a run is made of; ``step`` steps are done and took ``minutes``."""

    network: Network
    average: Network
    optimizer: torch.optim.Optimizer
    step: int = 0
    minutes: float = 0.0
    done: bool = False

    def save(self, path: Path) -> None:
        """Write all of it, whole or not at all."""
        new = path.with_suffix(".new")
        modules = {name: getattr(self, name).state_dict() for name in ("network", "average", "optimizer")}
        torch.save({**modules, "step": self.step, "minutes": self.minutes, "done": self.done}, new)
        new.replace(path)

    def load(self, path: Path, device: str) -> None:
        """Go on where ``save`` stood."""
        saved = torch.load(path, map_location=device, weights_only=True)
        for name in ("network", "average", "optimizer"):
            getattr(self, name).load_state_dict(saved[name])
        self.step, self.minutes, self.done = saved["step"], saved["minutes"], saved["done"]


def train(
    config: TrainingConfig,
    *,
    report: Callable[[str], None] = print,
    until: int | None = None,
    kind: type[Network] = Network,
) -> Path:
    """Train, or go on with the run in ``config.run``; returns that folder, with the averaged weights in it.

    On one machine and number of threads the same config gives the same weights, interrupted or not (on the CPU;
    CUDA adds in any order), unless ``max_minutes`` ended it.

    Args:
        report: takes the lines of progress.
        until: stop after this step with a checkpoint alone, as an interruption would.
        kind: the network's class: a rival in a benchmark has its own.

    Raises:
        ValueError: a folder with a run of another config, a cache that lacks what the config names, or a loss that
            is not finite.
    """
    run = Path(config.run)
    run.mkdir(parents=True, exist_ok=True)
    _claim(run, config)
    torch.set_num_threads(config.threads)
    datasets = load_cache(config)
    teacher = boosted.load_teacher(config, datasets) if config.loss.distillation > 0 else {}
    sampler = Sampler(datasets, config, teacher)
    state = _begin(config, sampler, kind)
    if (run / CHECKPOINT).exists():
        state.load(run / CHECKPOINT, config.device)
        report(f"goes on at step {state.step}")
    _keep_lines(run / METRICS, state.step)
    looks = _looks(datasets, config)
    report(f"draws {', '.join(f'{name} {weight:.3f}' for name, weight in sampler.weights().items())}")

    began = time.monotonic() - state.minutes * 60
    seen_at = time.monotonic()
    while not state.done:
        if state.step == until:
            state.save(run / CHECKPOINT)
            return run
        terms = _step(state, sampler, config)
        state.minutes = (time.monotonic() - began) / 60
        state.done = _progress(state, config) >= 1
        if state.step % REPORT_STEPS == 0 or state.done:
            speed = REPORT_STEPS * config.batch / (time.monotonic() - seen_at)
            shown = " ".join(f"{name} {float(value):.4f}" for name, value in terms._asdict().items())
            report(f"step {state.step}: {shown}, {speed:.0f} windows/s, {state.minutes:.1f} min")
            seen_at = time.monotonic()
        if state.step % config.check_steps == 0 or state.done:
            _check(state, looks, run, config, report)
            state.minutes = (time.monotonic() - began) / 60
            if state.done:
                save_file(_arrays(state.average.folded()), run / WEIGHTS)
            state.save(run / CHECKPOINT)
            seen_at = time.monotonic()
    return run


def load_network(run: Path, device: str = "cpu") -> Network:
    """The averaged network of a finished run."""
    network = Network(configs.load(run / CONFIG).network)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in load_file(run / WEIGHTS).items()})
    return network.eval().to(device)


def predict(
    network: Network | Path, dataset: CachedDataset, rows: Rows, batch: int = 128, device: str = "cpu"
) -> Predictions:
    """What a network, or that of a run's folder, says of the windows ``rows`` (n,) of a cached dataset."""
    return predict_batches(network, _batches(dataset, rows, batch), device)


def predict_batches(network: Network | Path, batches: Iterable[Batch], device: str = "cpu") -> Predictions:
    """The same of any batches, one after another; ValueError where there are none."""
    network = load_network(network, device) if isinstance(network, Path) else network
    was_training = network.training
    network.eval()
    pooled, seconds = [], []
    with torch.inference_mode():
        for each in batches:
            output = network(tensors(each, device))
            pooled.append(output.pooled_log.exp().cpu().numpy())
            seconds.append(output.seconds.cpu().numpy())
    network.train(was_training)
    if not pooled:
        raise ValueError("no window to predict")
    return Predictions(np.concatenate(pooled), np.concatenate(seconds))


def af_scores(p: npt.NDArray[np.floating[Any]], truth: npt.NDArray[np.bool_]) -> dict[str, float | int | None]:
    """AF against all else of p (n,) and truth (n,); None where one class alone leaves nothing to score."""
    both = bool(truth.any() and not truth.all())
    return {
        "windows": len(truth),
        "af": int(truth.sum()),
        "auroc": float(roc_auc_score(truth, p)) if both else None,
        "auprc": float(average_precision_score(truth, p)) if both else None,
        "f1": float(f1_score(truth, p >= THRESHOLD, zero_division=0.0)) if truth.any() else None,
        "false_af": float((p[~truth] >= THRESHOLD).mean()) if not truth.all() else None,
    }


def _claim(run: Path, config: TrainingConfig) -> None:
    """A folder holds one run."""
    if not (run / CONFIG).exists():
        configs.save(config, run / CONFIG)
        return
    there = configs.load(run / CONFIG)
    other = [f.name for f in fields(config) if getattr(there, f.name) != getattr(config, f.name)]
    if other:
        raise ValueError(f"{run} holds a run that differs in {', '.join(other)}")


def _begin(config: TrainingConfig, sampler: Sampler, kind: type[Network]) -> _State:
    torch.manual_seed(config.seed)
    network = kind(config.network, config.kernels, normed=True)
    network.set_scales(sampler.plain(config.steps, SCALE_WINDOWS)[0])  # a step that is never trained on
    network.to(config.device).train()
    average = copy.deepcopy(network).eval().requires_grad_(False)
    flat = [p for p in network.parameters() if p.ndim < 2]  # norms, biases and the scan's rates do not decay
    matrices = [p for p in network.parameters() if p.ndim >= 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": flat, "weight_decay": 0.0}]
    return _State(network, average, torch.optim.AdamW(groups, lr=config.learning_rate))


def _step(state: _State, sampler: Sampler, config: TrainingConfig) -> Losses:
    for group in state.optimizer.param_groups:
        group["lr"] = config.learning_rate * _rate(_progress(state, config), config.warmup)
    torch.manual_seed(_step_seed(config.seed, state.step))  # dropout: a resumed run has the same
    batch, targets = sampler.draw(state.step)
    output = state.network(tensors(batch, config.device))
    terms = losses(output, _target_tensors(targets, config.device), config.loss, state.network.pool)
    if not torch.isfinite(terms.total):
        raise ValueError(f"the loss of step {state.step} is {float(terms.total.detach())}")
    state.optimizer.zero_grad(set_to_none=True)
    terms.total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.network.parameters(), config.clip)
    state.optimizer.step()
    decay = min(config.ema, (1 + state.step) / (10 + state.step))  # a young average forgets its random beginning
    with torch.no_grad():
        for mean, now in zip(_floats(state.average), _floats(state.network), strict=True):
            mean.lerp_(now, 1 - decay)
    state.step += 1
    return Losses(*(term.detach() for term in terms))


def _progress(state: _State, config: TrainingConfig) -> float:
    """0 … 1 of the schedule: of its steps or its minutes, whichever is farther."""
    by_time = 0.0 if config.max_minutes is None else state.minutes / config.max_minutes
    return max(state.step / config.steps, by_time)


def _rate(progress: float, warmup: float) -> float:
    """Share of the learning rate: up in a line, down in a cosine."""
    if progress < warmup:
        return max(progress / warmup, LOWEST)
    x = min((progress - warmup) / max(1 - warmup, 1e-9), 1.0)
    return LOWEST + (1 - LOWEST) * (1 + math.cos(math.pi * x)) / 2


def _step_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step, 2)).generate_state(1)[0])


def _target_tensors(targets: Targets, device: str) -> TargetTensors:
    return TargetTensors(*(torch.from_numpy(getattr(targets, name)).to(device) for name in TargetTensors._fields))


def _looks(datasets: list[CachedDataset], config: TrainingConfig) -> list[tuple[CachedDataset, Rows]]:
    """Validation windows of each dataset of which AF is known: as recorded, all their leads, spread over subjects."""
    split = splits(datasets, config)
    looks = []
    for at, dataset in enumerate(datasets):
        fit = (split[dataset.name] == Split.VALIDATION) & dataset.widest() & np.isfinite(dataset.rhythm_target[:, AF])
        rows = np.flatnonzero(fit)
        rng = np.random.default_rng((config.seed, at, 3))
        rows = rng.permutation(rows)
        _, subject = np.unique(dataset.subject[rows], return_inverse=True)
        turn = np.zeros(len(rows), np.int64)  # each subject's first window, then each one's second
        for s in range(subject.max() + 1 if len(rows) else 0):
            turn[subject == s] = np.arange(np.count_nonzero(subject == s))
        rows = rows[np.argsort(turn, kind="stable")][: config.check_windows]
        if len(rows):
            looks.append((dataset, np.sort(rows)))
    return looks


def _check(
    state: _State,
    looks: list[tuple[CachedDataset, Rows]],
    run: Path,
    config: TrainingConfig,
    report: Callable[[str], None],
) -> None:
    """Score AF on validation subjects, with the averaged weights."""
    scores = {}
    for dataset, rows in looks:
        p = predict(state.average, dataset, rows, device=config.device).pooled[:, AF]
        scores[dataset.name] = af_scores(p, dataset.rhythm_target[rows, AF] >= 0.5)
        report(f"  {dataset.name}: {' '.join(_shown(k, v) for k, v in scores[dataset.name].items())}")
    with (run / METRICS).open("a") as lines:
        lines.write(json.dumps({"step": state.step, "minutes": round(state.minutes, 2), "validation": scores}) + "\n")


def _shown(name: str, value: float | int | None) -> str:
    return f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {'–' if value is None else value}"


def _keep_lines(path: Path, step: int) -> None:
    """Forget what was scored after the checkpoint: it is scored again."""
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if json.loads(line)["step"] <= step))


def _batches(dataset: CachedDataset, rows: Rows, batch: int) -> Iterator[Batch]:
    for i in range(0, len(rows), batch):
        yield dataset.batch(rows[i : i + batch])


def _floats(network: Network) -> Iterator[torch.Tensor]:
    """What is averaged: weights, and the statistics of batch normalisation."""
    return (tensor for tensor in network.state_dict().values() if tensor.is_floating_point())


def _arrays(network: Network) -> dict[str, npt.NDArray[Any]]:
    return {name: np.ascontiguousarray(t.cpu().numpy()) for name, t in network.state_dict().items()}
