"""Trains each variant on each fold, judges it on what was left out, and keeps both in a folder of its own."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.ablations.judging import Scores, counted, differences, figures, judged, packed, unpacked
from benchmarks.ablations.table import markdown
from benchmarks.ablations.variants import REFERENCE, Variant
from models.classes import AF, OUTPUTS
from models.network.torch_network import Network, parameter_count
from wardbeat.training import boosted
from wardbeat.training import config as configs
from wardbeat.training.config import TrainingConfig
from wardbeat.training.sampler import CachedDataset, Rows, load, load_cache
from wardbeat.training.trainer import CONFIG, METRICS, WEIGHTS, predict, train

SCORES, FINISHED = "scores.npz", "finished.json"
Row = dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """What a variant cost; minutes are of training alone, by the clock.

    Attributes:
        trees: of a rival of trees, 0 of a network.
    """

    parameters: int | None
    minutes: float
    trees: int = 0


def fold_config(base: TrainingConfig, out: Path, left_out: tuple[str, ...], variant: Variant) -> TrainingConfig:
    """The run of a variant: all else than its own change is the same for all of a fold, the teacher included."""
    fold, seed = out / "+".join(left_out), base.seed + variant.seed
    distillation = base.loss.distillation if variant.taught and not variant.trees else 0.0
    return replace(
        base,
        run=str(fold / variant.name),
        left_out=left_out,
        teacher=str(fold / f"teacher-{seed}") if distillation > 0 else None,  # a seed has its own split of patients
        loss=replace(base.loss, distillation=distillation),
        seed=seed,
        network=variant.network(base.network),
        kernels=variant.kernels(base.network),
    )


def run_fold(
    base: TrainingConfig,
    out: Path,
    left_out: tuple[str, ...],
    variants: Sequence[Variant],
    *,
    trees: int = 300,
    draws: int = 300,
    report: Callable[[str], None] = print,
) -> list[Row]:
    """Train and judge what is not finished yet, then give the rows of all variants named.

    Args:
        base: of all runs; its ``run``, ``left_out``, ``teacher``, ``network`` and ``kernels`` are set for each. With
            distillation a fold has a teacher of its own, trained before the first that needs it.
        out: folder of the folds.
        left_out: groups or datasets to judge on.
        trees: iterations of boosted trees.
        draws: of patients, for the intervals.
        report: takes the lines of progress.

    Raises:
        ValueError: the cache lacks a dataset, or a folder holds a run of another config or of another cache.
    """
    todo = [variant for variant in variants if not _is_finished(fold_config(base, out, left_out, variant), trees)]
    for variant in todo:
        config = fold_config(base, out, left_out, variant)
        report(f"== without {', '.join(left_out)}: {variant.name}: {variant.about}")
        finished = _trees(variant.trees, config, trees) if variant.trees else _network(variant, config, report)
        (Path(config.run) / FINISHED).write_bytes(msgspec.json.encode(asdict(finished)))
        gc.collect()  # the cache is read anew for each
    return _rows(base, out, left_out, variants, draws, report)


def _is_finished(config: TrainingConfig, trees: int) -> bool:
    """Whether it needs no more training; ValueError where it is finished, but as something else."""
    run = Path(config.run)
    if not (run / FINISHED).exists():
        return False
    there = configs.load(run / CONFIG)
    other = [f.name for f in fields(config) if getattr(there, f.name) != getattr(config, f.name)]
    finished = msgspec.json.decode((run / FINISHED).read_bytes(), type=Finished)
    if finished.trees not in (0, trees):
        other.append("trees")
    if other:
        raise ValueError(f"{run} holds a finished run that differs in {', '.join(other)}: choose another --out")
    return True


def _network(variant: Variant, config: TrainingConfig, report: Callable[[str], None]) -> Finished:
    if config.teacher is not None:
        boosted.ensure_teacher(config, report)
    run = train(config, report=report, kind=variant.kind)
    network = load_variant(variant, run)
    minutes = msgspec.json.decode((run / METRICS).read_text().splitlines()[-1])["minutes"]

    def say(dataset: CachedDataset, rows: Rows) -> npt.NDArray[np.float32]:
        return predict(network, dataset, rows, device=config.device).pooled

    _store(config, judged(say, _left_out(config)))
    return Finished(parameter_count(network), minutes)


def load_variant(variant: Variant, run: Path) -> Network:
    """The averaged network of a variant's finished run."""
    config = configs.load(run / CONFIG)
    network = variant.kind(config.network, config.kernels)
    like = network.state_dict()  # files hold no scalars: batch normalisation's count of batches comes back as (1,)
    network.load_state_dict({k: torch.from_numpy(a).view(like[k].shape) for k, a in load_file(run / WEIGHTS).items()})
    return network.eval().to(config.device)


def _trees(rival: str, config: TrainingConfig, iterations: int) -> Finished:
    run = Path(config.run)
    run.mkdir(parents=True, exist_ok=True)
    configs.save(config, run / CONFIG)
    datasets = load_cache(config)
    began = time.monotonic()
    with threadpool_limits(config.threads):
        model = boosted.train_trees(datasets, config, rival, iterations=iterations)
        minutes = (time.monotonic() - began) / 60
        del datasets

        def say(dataset: CachedDataset, rows: Rows) -> npt.NDArray[np.float64]:
            p = np.full((len(rows), len(OUTPUTS)), np.nan)
            p[:, AF] = model.predict(dataset, rows)
            return p

        _store(config, judged(say, _left_out(config)))
    return Finished(None, minutes, iterations)


def _left_out(config: TrainingConfig) -> list[CachedDataset]:
    """The datasets to judge on, those of the cache in the order of their names."""
    there = sorted(Path(config.cache).glob("*.npz"))
    return [load(path) for path in there if path.stem in config.left_out_datasets]


def _store(config: TrainingConfig, scores: dict[str, Scores]) -> None:
    path = Path(config.run) / SCORES
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **packed(scores))  # type: ignore[arg-type]
    part.replace(path)


def _rows(
    base: TrainingConfig,
    out: Path,
    left_out: tuple[str, ...],
    variants: Sequence[Variant],
    draws: int,
    report: Callable[[str], None],
) -> list[Row]:
    reference: dict[str, Scores] = {}
    rows = []
    for variant in variants:
        run = Path(fold_config(base, out, left_out, variant).run)
        finished = msgspec.json.decode((run / FINISHED).read_bytes(), type=Finished)
        with np.load(run / SCORES, allow_pickle=False) as arrays:
            scores = unpacked(dict(arrays))
        if variant.name == REFERENCE:
            reference = scores
        report(f"judges {variant.name}")
        for name, each in scores.items():
            dataset, leads = name.rsplit(" ", 1)
            compared = None
            if reference and variant.name != REFERENCE:
                if name not in reference:
                    raise ValueError(f"the reference was not judged on {name}: judge both on one cache")
                compared = differences(each, reference[name], draws)
            rows.append(
                {
                    "fold": "+".join(left_out),
                    "name": variant.name,
                    "about": variant.about,
                    "dataset": dataset,
                    "leads": leads,
                    "unit": counted(dataset),
                    **figures(each),
                    "difference": compared,
                    "parameters": finished.parameters,
                    "minutes": round(finished.minutes, 2),
                }
            )
    return rows


def write(out: Path, rows: Sequence[Row], base: TrainingConfig) -> None:
    """``ablations.json`` and ``ablations.md`` of the rows."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "ablations.json").write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")
    about = (
        f"Each network: {base.steps} steps of {base.batch} windows, seed {base.seed}, "
        f"weight of the teacher {base.loss.distillation:g}. First line: the "
        "network as it is; below: what each variant's figure is above (+) or below (−) it, with the interval of 95 % "
        "over draws of patients, the same for both. That interval knows nothing of the chance in training: "
        "`full_again` shows that. Columns whose leads are `rr` have beats alone and are left out of the mean."
    )
    (out / "ablations.md").write_text(markdown(rows, about))
