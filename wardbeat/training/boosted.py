"""Boosted trees: the rivals that the network has to beat, and a teacher for it.

They see what the network sees of rhythm, never the signal, and the same training subjects, drawn as often.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier

from models.classes import AF
from wardbeat.training.config import TrainingConfig
from wardbeat.training.sampler import CachedDataset, Floats, Rows, Split, load_cache, probabilities, splits

RIVALS = ("rr", "features", "context")
"""``rr``: RR features of 10, 30 and 60 s. ``features``: and QRS shapes and atrial features of the window.
``context``: and the mean and the newest of the past windows."""
FOLDS = 3  # of subjects, for out-of-fold probabilities
_ABOUT = "teacher.json"


class Trees:
    """P(AF) of a window from features alone."""

    def __init__(self, model: HistGradientBoostingClassifier, rival: str) -> None:
        self._model = model
        self.rival = rival

    def predict(self, dataset: CachedDataset, rows: Rows) -> npt.NDArray[np.float64]:
        """(n,) probabilities of AF of the windows ``rows`` (n,)."""
        p: npt.NDArray[np.float64] = self._model.predict_proba(features(dataset, rows, self.rival))[:, 1]
        return p


def features(dataset: CachedDataset, rows: Rows, rival: str) -> Floats:
    """(n, features) float32 of the windows ``rows`` (n,), NaN where undefined; ValueError for an unknown rival."""
    if rival not in RIVALS:
        raise ValueError(f"rival {rival!r}; known: {', '.join(RIVALS)}")
    parts = [dataset.rr[rows]]
    if rival != "rr":
        parts += [dataset.shape[rows], dataset.atrial[rows]]
    if rival == "context":
        past = dataset.context[rows]  # (n, 5, 115)
        known = np.isfinite(past)
        count = known.sum(1)
        mean = np.where(count > 0, np.where(known, past, 0).sum(1) / np.maximum(count, 1), np.nan)
        parts += [mean.astype(np.float32), past[:, 0], np.isfinite(dataset.context_age_s[rows]).sum(1, keepdims=True)]
    return np.concatenate(parts, 1, dtype=np.float32)


def train_trees(
    datasets: Sequence[CachedDataset],
    config: TrainingConfig,
    rival: str,
    *,
    without: frozenset[str] = frozenset(),
    iterations: int = 300,
) -> Trees:
    """Trees on the training subjects of the config (its splits, left-out groups, dataset weights and class balance).

    Args:
        without: subjects to leave out besides.
        iterations: trees.

    Raises:
        ValueError: one class alone is left.
    """
    split = splits(list(datasets), config)
    x, y, weight = [], [], []
    for dataset in datasets:
        train = (split[dataset.name] == Split.TRAIN) & np.isfinite(dataset.rhythm_target[:, AF])
        train &= ~np.isin(dataset.subject, sorted(without))
        subjects = len(np.unique(dataset.subject[train]))
        share = config.dataset_weights.get(dataset.name, subjects**0.5)
        if subjects == 0 or share == 0:
            continue
        rows = np.flatnonzero(train)
        x.append(features(dataset, rows, rival))
        y.append(dataset.rhythm_target[rows, AF] >= 0.5)
        weight.append(share * probabilities(dataset, train, config.class_balance)[rows])
    if not y or len(np.unique(np.concatenate(y))) < 2:
        raise ValueError("windows with and without AF are needed to train trees")
    weights = np.concatenate(weight)
    model = HistGradientBoostingClassifier(
        learning_rate=0.06,
        max_iter=iterations,
        max_leaf_nodes=15,
        min_samples_leaf=40,
        l2_regularization=1.0,
        max_features=0.3,
        early_stopping=False,
        random_state=config.seed,
    )
    model.fit(np.concatenate(x), np.concatenate(y), sample_weight=weights * len(weights) / weights.sum())
    return Trees(model, rival)


def train_teacher(
    datasets: Sequence[CachedDataset],
    config: TrainingConfig,
    folder: Path,
    *,
    iterations: int = 150,
) -> None:
    """Write, for each dataset, (n,) float32 probabilities of AF of trees that saw nothing of the subject.

    Windows of subjects that are not trained on hold NaN.
    """
    folder.mkdir(parents=True, exist_ok=True)
    split = splits(list(datasets), config)
    train = {d.name: split[d.name] == Split.TRAIN for d in datasets}
    subjects = sorted({str(s) for d in datasets for s in np.unique(d.subject[train[d.name]])})
    fold = np.random.default_rng((config.seed, 4)).permutation(len(subjects)) % FOLDS
    out = {d.name: np.full(len(d), np.nan, np.float32) for d in datasets}
    for k in range(FOLDS):
        unseen = frozenset(s for s, f in zip(subjects, fold, strict=True) if f == k)
        trees = train_trees(datasets, config, "features", without=unseen, iterations=iterations)
        for d in datasets:
            rows = np.flatnonzero(train[d.name] & np.isin(d.subject, sorted(unseen)))
            if len(rows):
                out[d.name][rows] = trees.predict(d, rows)
    for name, p in out.items():
        np.save(folder / f"{name}.npy", p)
    (folder / _ABOUT).write_bytes(msgspec.json.encode(_about(config, datasets)))


def ensure_teacher(config: TrainingConfig, report: Callable[[str], None]) -> None:
    """Train the config's teacher where its folder holds none yet."""
    folder = Path(config.teacher or "")
    if not (folder / _ABOUT).is_file():
        report(f"no teacher in {folder} yet: it is trained first")
        train_teacher(load_cache(config), config, folder)


def load_teacher(config: TrainingConfig, datasets: Sequence[CachedDataset]) -> dict[str, Floats]:
    """What ``train_teacher`` wrote in ``config.teacher``.

    Returns:
        Name of each dataset → (its windows,) float32 probabilities of AF; NaN for subjects that are not trained on.

    Raises:
        ValueError: it belongs to other splits, to another draw of windows or to another cache; quotes both.
        OSError: the folder holds no teacher, or none for one of the datasets.
    """
    folder = Path(config.teacher or "")
    about = msgspec.json.decode((folder / _ABOUT).read_bytes())
    if about != (now := _about(config, datasets)):
        raise ValueError(f"the teacher in {folder} was trained for {about}, this run is {now}")
    out = {}
    for dataset in datasets:
        out[dataset.name] = np.load(folder / f"{dataset.name}.npy")
        if len(out[dataset.name]) != len(dataset):
            raise ValueError(
                f"{folder}: {len(out[dataset.name])} windows of {dataset.name}; the cache has {len(dataset)}"
            )
    return out


def _about(config: TrainingConfig, datasets: Sequence[CachedDataset]) -> dict[str, object]:
    """What a teacher must share with the run that learns from it."""
    return {
        "seed": config.seed,
        "left_out": sorted(config.left_out_datasets),
        "datasets": [dataset.name for dataset in datasets],
        "dataset_weights": config.dataset_weights,
        "class_balance": config.class_balance,
        "cache": sorted({dataset.identity for dataset in datasets}),
    }


__all__ = ["RIVALS", "Trees", "ensure_teacher", "features", "load_teacher", "train_teacher", "train_trees"]
