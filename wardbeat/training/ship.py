"""From a finished run to the file that wards load; calibration and prediction sets come from patients held out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.classes import RHYTHMS
from models.network.torch_network import Network
from models.network.weights import Model, save_model
from models.uncertainty.calibration import Calibration, equal_weights, fit_calibration
from models.uncertainty.conformal import Conformal, Coverage, coverage, fit_conformal
from models.uncertainty.reliability import Reliability, reliability
from wardbeat.training.cache import load_minirocket
from wardbeat.training.config import TrainingConfig
from wardbeat.training.config import load as load_config
from wardbeat.training.sampler import CachedDataset, Split, Targets, load_cache, splits
from wardbeat.training.trainer import CONFIG, Predictions, load_network, predict

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

    @property
    def pooled_log(self) -> Floats:
        """(n, 13) logarithms of the windows' probabilities."""
        least = np.finfo(np.float32).tiny
        logs: Floats = np.log(np.maximum(self.predictions.pooled, least).astype(np.float64))
        return logs


@dataclass(frozen=True)
class Shipped:
    """A model file, and how its promises hold on patients who did not fit them."""

    model: Model
    coverage: tuple[Coverage, ...]
    reliability: Mapping[str, Reliability]


def ship(run: Path, path: Path) -> Shipped:
    """Write the model file of the finished run in ``run``.

    Calibration and thresholds come from the patients of both held-out splits: too few have flutter to do with one. What
    coverage and reliability are worth is shown by fitting the one split and judging the other.

    Args:
        run: folder of the run.
        path: of the ``.safetensors`` file; its hash is written beside it.

    Raises:
        ValueError: a split has no window of which anything is known.
        models.network.weights.WeightsError: the tensors do not fit this code.
    """
    config = load_config(run / CONFIG)
    datasets = load_cache(config)
    network = load_network(run)
    one = held(network, datasets, config, Split.CALIBRATION)
    other = held(network, datasets, config, Split.VALIDATION)
    trial, thresholds = fitted(one)
    q, known = rhythms(trial, other), other.target[:, : len(RHYTHMS)]
    calibration, conformal = fitted(joined((one, other)))
    model = save_model(
        path,
        {name: tensor.numpy() for name, tensor in network.state_dict().items()},
        config.network,
        load_minirocket(Path(config.cache)),
        calibration,
        conformal,
        training_facts(config, datasets),
    )
    return Shipped(
        model=model,
        coverage=coverage(thresholds, q, known, other.subject),
        reliability={
            name: reliability(q[:, k], known[:, k], other.subject)
            for k, name in enumerate(RHYTHMS)
            if np.isfinite(known[:, k]).any()
        },
    )


def fitted(what: Held) -> tuple[Calibration, Conformal]:
    """Calibration and prediction sets of these patients.

    Databases weigh alike in the calibration, where those of one answer say nothing (``where_both``); thresholds come
    from all windows with the rhythm.
    """
    calibration = fit_calibration(
        what.pooled_log,
        what.predictions.seconds,
        where_both(what.target, what.dataset),
        where_both(what.seconds_target, what.dataset),
        what.subject,
        equal_weights(what.dataset),
    ).calibration
    return calibration, fit_conformal(rhythms(calibration, what), what.target[:, : len(RHYTHMS)], what.subject)


def rhythms(calibration: Calibration, what: Held) -> Floats:
    """(n, 5) calibrated probabilities."""
    p: Floats = calibration.windows(what.pooled_log)[:, : len(RHYTHMS)]
    return p


def where_both(target: Floats, dataset: npt.NDArray[np.str_]) -> Floats:
    """The target (n, …, k), unknown in databases that have only windows with an output, or only without it.

    A probability is right for one mixture of patients. That of databases which chose theirs without AF, or for it, is
    none that a ward could have.
    """
    out = target.copy()
    for name in np.unique(dataset):
        of = dataset == name
        for k in range(target.shape[-1]):
            values = target[of, ..., k]
            if not ((values >= 0.5).any() and (values < 0.5).any()):
                out[of, ..., k] = np.nan
    return out


def held(network: Network, datasets: list[CachedDataset], config: TrainingConfig, of: Split) -> Held:
    """What the network says of a split's patients and what is known of them: all lead sets, as recorded.

    Args:
        network: in evaluation mode or not; it is left as it was.
        datasets: all of ``load_cache``: who is left out follows from the left-out ones among them.
        config: tells the splits.
        of: the split.

    Returns:
        Labelled windows, augmented ones left out, dataset by dataset.

    Raises:
        ValueError: the split has no labelled window; quotes the cache and the split.
    """
    split_of = splits(datasets, config)
    parts = []
    for dataset in datasets:
        rows = np.flatnonzero((split_of[dataset.name] == of) & ~dataset.augmented & dataset.labelled())
        if len(rows):
            targets = dataset.targets(rows)
            parts.append(
                Held(
                    predict(network, dataset, rows),
                    np.concatenate([targets.rhythm, targets.findings], axis=1).astype(np.float64),
                    seconds_of(targets),
                    dataset.subject[rows],
                    np.full(len(rows), dataset.name),
                )
            )
    if not parts:
        raise ValueError(f"{config.cache}: no labelled window of the split {of}")
    return joined(parts)


def joined(parts: Sequence[Held]) -> Held:
    """Several as one, in their order."""
    return Held(
        Predictions(*(np.concatenate(each) for each in zip(*(part.predictions for part in parts), strict=True))),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in _REST),
    )


_REST = ("target", "seconds_target", "subject", "dataset")


def seconds_of(targets: Targets) -> Floats:
    """(n, 10, 5) targets of seconds; those of a record labelled as a whole are its own.

    Without them AF would be known in few seconds and its absence in most.
    """
    seconds = targets.seconds.astype(np.float64)
    whole = np.broadcast_to(targets.rhythm[:, None], seconds.shape)
    return np.where(np.isnan(seconds) & (whole >= 1.0), whole, seconds)


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
