"""From a finished run to the file that wards load; calibration and prediction sets come from patients held out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.calibration import equal_weights, fit_calibration
from models.classes import RHYTHMS
from models.conformal import Coverage, coverage, fit_conformal
from models.reliability import Reliability, reliability
from models.weights import Model, save_model
from wardbeat.training.cache import load_minirocket
from wardbeat.training.config import TrainingConfig
from wardbeat.training.config import load as load_config
from wardbeat.training.sampler import CachedDataset, Split, load_cache, splits
from wardbeat.training.trainer import CONFIG, Predictions, load_network, predict

MOST_WINDOWS = 6000  # of one dataset: more would only repeat what its patients have said

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Held:
    """What a network says of patients it was not trained on, and what is known of them.

    Attributes:
        predictions: of n windows.
        target: (n, 13) NaN where unknown.
        seconds_target: (n, 10, 5) likewise.
        subject, dataset: (n,) whose windows they are, and where from.
    """

    predictions: Predictions
    target: Floats
    seconds_target: Floats
    subject: npt.NDArray[np.str_]
    dataset: npt.NDArray[np.str_]


@dataclass(frozen=True)
class Shipped:
    """A model file, and how its promises hold on validation patients, who fitted nothing."""

    model: Model
    coverage: tuple[Coverage, ...]
    reliability: Mapping[str, Reliability]


def ship(run: Path, path: Path) -> Shipped:
    """Write the model file of the finished run in ``run``.

    Args:
        run: folder of the run.
        path: of the ``.safetensors`` file; its hash is written beside it.

    Raises:
        ValueError: a split has no window of which anything is known.
        models.weights.WeightsError: the tensors do not fit this code.
    """
    config = load_config(run / CONFIG)
    datasets = load_cache(config)
    network = load_network(run)
    fitted = held(network, datasets, config, Split.CALIBRATION)
    fit = fit_calibration(
        np.log(np.maximum(fitted.predictions.pooled, np.finfo(np.float32).tiny)),
        fitted.predictions.seconds,
        fitted.target,
        fitted.seconds_target,
        fitted.subject,
        equal_weights(fitted.dataset),
    )
    r = len(RHYTHMS)
    p = calibrated(fit.calibration, fitted)
    conformal = fit_conformal(p[:, :r], fitted.target[:, :r], fitted.subject)
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    model = save_model(
        path,
        state,
        config.network,
        load_minirocket(Path(config.cache)),
        fit.calibration,
        conformal,
        training_facts(config, datasets),
    )
    seen = held(network, datasets, config, Split.VALIDATION)
    q = calibrated(fit.calibration, seen)
    return Shipped(
        model=model,
        coverage=coverage(conformal, q[:, :r], seen.target[:, :r], seen.subject),
        reliability={
            name: reliability(q[known, k], seen.target[known, k], seen.subject[known])
            for k, name in enumerate(RHYTHMS)
            if (known := np.isfinite(seen.target[:, k])).any()
        },
    )


def held(network: Any, datasets: list[CachedDataset], config: TrainingConfig, split: Split) -> Held:
    """All lead sets, as recorded, of the patients of one split."""
    split_of = splits(datasets, config)
    parts = []
    for dataset in datasets:
        rows = np.flatnonzero((split_of[dataset.name] == split) & ~dataset.augmented & dataset.labelled())
        rows = rows[:: len(rows) // MOST_WINDOWS + 1]
        if len(rows):
            targets = dataset.targets(rows)
            parts.append(
                Held(
                    predict(network, dataset, rows),
                    np.concatenate([targets.rhythm, targets.findings], axis=1).astype(np.float64),
                    targets.seconds.astype(np.float64),
                    dataset.subject[rows],
                    np.full(len(rows), dataset.name),
                )
            )
    if not parts:
        raise ValueError(f"{config.cache}: no labelled window of the {split} split")
    return Held(
        Predictions(*(np.concatenate(each) for each in zip(*(part.predictions for part in parts), strict=True))),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in _REST),
    )


_REST = ("target", "seconds_target", "subject", "dataset")


def calibrated(calibration: Any, what: Held) -> Floats:
    """(n, 13) calibrated probabilities of windows."""
    p: Floats = calibration.windows(np.log(np.maximum(what.predictions.pooled, np.finfo(np.float32).tiny)))
    return p


def training_facts(config: TrainingConfig, datasets: list[CachedDataset]) -> dict[str, Any]:
    """What the file says of how it came about: the config, without folders, and who was used for what."""
    facts = {name: value for name, value in asdict(config).items() if name not in ("cache", "run", "teacher")}
    split_of = splits(datasets, config)
    facts["subjects"] = {
        dataset.name: {
            str(split): len(np.unique(dataset.subject[split_of[dataset.name] == split]))
            for split in Split
            if (split_of[dataset.name] == split).any()
        }
        for dataset in datasets
    }
    return facts
