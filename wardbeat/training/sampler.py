"""Which windows a training step sees: by dataset, class, subject, then window, so that no long record drowns others.

Everything is a pure function of the cache, the config and the step: a resumed run draws what it would have drawn.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from ecg.leads import N_LEADS
from models.classes import AF, FINDINGS, FLUTTER, NOISE, OTHER, RHYTHMS, SINUS
from models.inputs import (
    CONTEXT_WINDOWS,
    N_ATRIAL,
    N_CONTEXT,
    N_PULSE,
    N_RR,
    N_RR_SPAN,
    N_SHAPE,
    PPV_PER_LEAD,
    PULSE_NAMES,
    SAMPLES,
    SECONDS,
    TOKENS,
)
from models.network.batch import Batch
from wardbeat.training.config import GROUPS, DropoutConfig, TrainingConfig
from wardbeat.training.identity import drawn_by

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

VALIDATION_SHARE = 0.15  # of the subjects; half of it is kept for calibration
CLASSES = ("af", "flutter", "noise", "other", "sinus", "unknown")  # a window is of the first that occurs in it
_CLASS_COLUMNS = (AF, FLUTTER, NOISE, OTHER, SINUS)
_DOMINANT = PULSE_NAMES.index("dominant_shape")
_UNSEEN_IN_RR = [FINDINGS.index(name) for name in ("lbbb", "rbbb", "av_block_1", "paced")]

_SHAPES: dict[str, tuple[int, ...]] = {  # of a row or a window; of the others ()
    "signal": (SAMPLES,),
    "ppv": (PPV_PER_LEAD,),
    "rr": (N_RR,),
    "shape": (N_SHAPE,),
    "atrial": (N_ATRIAL,),
    "pulse": (TOKENS, N_PULSE),
    "context": (CONTEXT_WINDOWS, N_CONTEXT),
    "context_age_s": (CONTEXT_WINDOWS,),
    "seconds_target": (SECONDS, len(RHYTHMS)),
    "rhythm_target": (len(RHYTHMS),),
    "findings_target": (len(FINDINGS),),
}


class Split(StrEnum):
    """What a subject is used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    CALIBRATION = "calibration"
    LEFT_OUT = "left_out"


@dataclass(frozen=True)
class Targets:
    """What is to be learnt of b windows; NaN = unknown.

    Attributes:
        seconds: (b, 10, 5) rhythm of each second, oldest first.
        rhythm: (b, 5) the rhythm occurs in the window.
        findings: (b, 8) the finding occurs in the window.
        teacher: (b,) the teacher's probability of AF.
    """

    seconds: Floats
    rhythm: Floats
    findings: Floats
    teacher: Floats


@dataclass(frozen=True)
class CachedDataset:
    """The n cached windows of one dataset, as stored; ``wardbeat.training.cache`` tells the format.

    Attributes:
        name: of the dataset.
        identity: what it was drawn by, JSON of ``wardbeat.training.identity.drawn_by``.
        signal: (rows, 1000) int16 steps of the lead's own scale at 100 Hz; a row is a known lead of a window.
        ppv: (rows, 504) float16 MiniRocket's shares of positive values, 0 … 1.
        lead: (rows,) uint8 index into ``ecg.leads.LEADS``.
        start: (n + 1,) int64 ascending from 0: window i has the rows ``start[i]`` up to ``start[i + 1]``.
        rr: (n, 114) float32 ``models.features.hrv.FEATURE_NAMES``; NaN where undefined, as in what follows.
        shape: (n, 20) float32 ``models.inputs.SHAPE_NAMES``.
        atrial: (n, 57) float32 ``models.features.atrial.FEATURE_NAMES``.
        pulse: (n, 100, 6) float16 ``models.inputs.PULSE_NAMES`` of each tenth of a second; zero where unknown.
        context: (n, 5, 115) float32 features of past windows, newest first.
        context_age_s: (n, 5) float32 seconds from the past window's end to this one's; NaN where there is none.
        seconds_target: (n, 10, 5) float16 0 … 1, rhythm of each second, oldest first; NaN where unknown, as in the
            other targets.
        rhythm_target: (n, 5) float16 0 … 1, the rhythm occurs in the window; order of ``models.classes.RHYTHMS``.
        findings_target: (n, 8) float16 likewise of ``models.classes.FINDINGS``.
        record: (n,) path of the recording in the data folder.
        subject: (n,) whose it is: what splits are made by.
        end_s: (n,) float64 the window's end, seconds of the recording.
        leads_name: (n,) the set of leads that the window was drawn through.
        augmented: (n,) bool, False where as recorded.
    """

    name: str
    identity: str
    signal: npt.NDArray[np.int16]
    ppv: npt.NDArray[np.float16]
    lead: npt.NDArray[np.uint8]
    start: npt.NDArray[np.int64]
    rr: Floats
    shape: Floats
    atrial: Floats
    pulse: npt.NDArray[np.float16]
    context: Floats
    context_age_s: Floats
    seconds_target: npt.NDArray[np.float16]
    rhythm_target: npt.NDArray[np.float16]
    findings_target: npt.NDArray[np.float16]
    record: npt.NDArray[np.str_]
    subject: npt.NDArray[np.str_]
    end_s: npt.NDArray[np.float64]
    leads_name: npt.NDArray[np.str_]
    augmented: Bools

    def __len__(self) -> int:
        return len(self.start) - 1

    def check(self) -> None:
        """Raise ValueError, quoting, where the arrays contradict each other."""
        for f in fields(self)[6:]:
            length = len(getattr(self, f.name))
            if length != len(self):
                raise ValueError(f"{self.name}: {f.name} has {length} windows, start {len(self)}")
        for f in fields(self)[2:]:
            shape, expected = getattr(self, f.name).shape[1:], _SHAPES.get(f.name, ())
            if shape != expected:
                raise ValueError(f"{self.name}: {f.name} is {shape} in each window or lead; expected {expected}")
        for name in ("signal", "ppv", "lead"):
            if len(getattr(self, name)) != self.start[-1]:
                raise ValueError(f"{self.name}: {name} has {len(getattr(self, name))} rows, start {self.start[-1]}")
        if self.start[0] != 0 or np.any(np.diff(self.start) < 0):
            raise ValueError(f"{self.name}: start does not ascend from 0")
        if len(self.lead) and self.lead.max() >= N_LEADS:
            raise ValueError(f"{self.name}: lead {self.lead.max()}; there are {N_LEADS}")

    def batch(self, rows: Rows) -> Batch:
        """The windows ``rows`` (b,) side by side."""
        b = len(rows)
        signal = np.zeros((b, N_LEADS, SAMPLES), np.int16)
        ppv = np.zeros((b, N_LEADS, PPV_PER_LEAD), np.float32)
        leads = np.zeros((b, N_LEADS), np.bool_)
        for i, row in enumerate(rows):
            known = slice(self.start[row], self.start[row + 1])
            signal[i, self.lead[known]] = self.signal[known]
            ppv[i, self.lead[known]] = self.ppv[known]
            leads[i, self.lead[known]] = True
        return Batch(
            signal=signal,
            leads=leads,
            ppv=ppv,
            rr=self.rr[rows],
            shape=self.shape[rows],
            atrial=self.atrial[rows],
            pulse=self.pulse[rows].astype(np.float32),
            context=self.context[rows],
            context_age_s=self.context_age_s[rows],
        )

    def targets(self, rows: Rows, teacher: Floats | None = None) -> Targets:
        """What is known of the windows ``rows`` (b,); ``teacher`` (n,) belongs to all windows."""
        return Targets(
            seconds=self.seconds_target[rows].astype(np.float32),
            rhythm=self.rhythm_target[rows].astype(np.float32),
            findings=self.findings_target[rows].astype(np.float32),
            teacher=np.full(len(rows), np.nan, np.float32) if teacher is None else teacher[rows],
        )

    def labelled(self) -> Bools:
        """(n,) windows of which anything is known."""
        each = (self.seconds_target, self.rhythm_target, self.findings_target)
        some: Bools = np.any([np.isfinite(target.reshape(len(self), -1)).any(1) for target in each], 0)
        return some

    def classes(self) -> npt.NDArray[np.int64]:
        """(n,) index into ``CLASSES``."""
        occurs = self.rhythm_target[:, _CLASS_COLUMNS] >= 0.5  # NaN is not
        return np.where(occurs.any(1), occurs.argmax(1), len(_CLASS_COLUMNS))

    def widest(self) -> Bools:
        """(n,) windows as recorded, each with the most leads that the cache has of it."""
        count = np.diff(self.start)
        original = ~self.augmented
        key = np.char.add(np.char.add(self.record, "@"), np.char.mod("%.3f", self.end_s))
        order = np.lexsort((np.arange(len(self)), -count, key, ~original))
        out = np.zeros(len(self), np.bool_)
        first = np.ones(len(self), np.bool_)
        first[1:] = key[order][1:] != key[order][:-1]
        out[order] = first & original[order]
        return out


def load(path: Path) -> CachedDataset:
    """Read one file of the cache; ValueError, quoting, where it does not hold what it should.

    Features, kernels and noise have to be those of this code and folder: a ward would see other numbers than training.
    """
    names = [f.name for f in fields(CachedDataset) if f.name != "name"]
    with np.load(path, allow_pickle=False) as arrays:
        missing = sorted(set(names) - set(arrays.files))
        if missing:
            raise ValueError(f"{path} lacks {', '.join(missing)}")
        plain = {name: arrays[name] for name in names}
    dataset = CachedDataset(name=path.stem, **{**plain, "identity": str(plain["identity"])})
    dataset.check()
    there = msgspec.json.decode(dataset.identity)
    now = {**drawn_by(path.parent), "code": there.get("code")}  # code may go on: a cache is of one code, see load_cache
    if there != now:
        raise ValueError(f"{path} was drawn by {there}; this code and folder have {now}")
    return dataset


def load_cache(config: TrainingConfig) -> list[CachedDataset]:
    """The config's datasets in the order of their names.

    Raises:
        ValueError: the cache does not have one, a group is named where a dataset has to be, or they were drawn by
            different code; quotes it.
    """
    there = {path.stem: path for path in sorted(Path(config.cache).glob("*.npz"))}
    wanted = set(config.datasets) or set(there)
    for name in config.left_out:
        if not there.keys() & {name, *GROUPS.get(name, ())}:
            raise _missing(name, config, there)
    for name in (*config.datasets, *config.dataset_weights):
        if name not in there:
            raise _missing(name, config, there)
    # The left-out ones are read too: their subjects are left out wherever they occur.
    datasets = [load(path) for name, path in there.items() if name in wanted or name in config.left_out_datasets]
    for each in datasets:
        if each.identity != datasets[0].identity:
            first = datasets[0]
            raise ValueError(
                f"{config.cache}: {first.name} was drawn by {first.identity}, {each.name} by {each.identity}"
            )
    return datasets


def _missing(name: str, config: TrainingConfig, there: Iterable[str]) -> ValueError:
    group = f" (a group: name {', '.join(GROUPS[name])})" if name in GROUPS else ""
    return ValueError(f"no dataset {name!r} in {config.cache}{group}; there are: {', '.join(there) or 'none'}")


def split_of(subject: str, seed: int) -> Split:
    """The split of a subject that is not left out: by hash, thus the same in every dataset and every run."""
    digest = hashlib.sha256(f"{seed}/{subject}".encode()).digest()
    u = int.from_bytes(digest[:8], "big") / 2**64
    if u < VALIDATION_SHARE / 2:
        return Split.CALIBRATION
    return Split.VALIDATION if u < VALIDATION_SHARE else Split.TRAIN


def splits(datasets: list[CachedDataset], config: TrainingConfig) -> dict[str, npt.NDArray[np.str_]]:
    """Of each dataset, (n,) the split of each window. A subject of a left-out dataset is left out of all others too."""
    names = config.left_out_datasets
    out_subjects = {str(s) for d in datasets if d.name in names for s in np.unique(d.subject)}
    out: dict[str, npt.NDArray[np.str_]] = {}
    for dataset in datasets:
        subjects, of = np.unique(dataset.subject, return_inverse=True)
        each = [Split.LEFT_OUT if str(s) in out_subjects else split_of(str(s), config.seed) for s in subjects]
        out[dataset.name] = np.array([str(split) for split in each], dtype=np.str_)[of]
    return out


def probabilities(dataset: CachedDataset, train: Bools, class_balance: float) -> npt.NDArray[np.float64]:
    """(n,) how likely a draw from this dataset is each window: by class, then subject, then window; the sum is 1.

    Args:
        train: (n,) windows that may be drawn.
        class_balance: 1 = each class alike, 0 = as it has subjects.
    """
    p = np.zeros(len(dataset))
    classes = dataset.classes()
    _, subject = np.unique(dataset.subject, return_inverse=True)
    for c in np.unique(classes[train]):
        of = train & (classes == c)
        windows = np.bincount(subject[of], minlength=subject.max() + 1)
        subjects = np.count_nonzero(windows)
        p[of] = subjects ** (1 - class_balance) / (subjects * windows[subject[of]])
    return p / p.sum() if train.any() else p


class Sampler:
    """Batches for training, each a pure function of the config's seed and the step."""

    def __init__(self, datasets: list[CachedDataset], config: TrainingConfig, teacher: dict[str, Floats]) -> None:
        """``teacher``: of each dataset, (n,) probabilities; may be empty. ValueError where nothing is left to learn."""
        self._config = config
        self._teacher = teacher
        split = splits(datasets, config)
        self._datasets: list[CachedDataset] = []
        self._cumulative: list[npt.NDArray[np.float64]] = []
        weights: list[float] = []
        for dataset in datasets:
            train = (split[dataset.name] == Split.TRAIN) & dataset.labelled()
            subjects = len(np.unique(dataset.subject[train]))
            weight = config.dataset_weights.get(dataset.name, subjects**0.5)
            if weight > 0 and subjects > 0:
                self._datasets.append(dataset)
                self._cumulative.append(np.cumsum(probabilities(dataset, train, config.class_balance)))
                weights.append(weight)
        if not weights:
            raise ValueError(f"no window of {config.cache} is left to train on")
        self._weights = np.array(weights) / np.sum(weights)

    def weights(self) -> dict[str, float]:
        """How often each dataset is drawn."""
        return {d.name: float(w) for d, w in zip(self._datasets, self._weights, strict=True)}

    def rows(self, step: int, n: int | None = None) -> list[tuple[CachedDataset, Rows]]:
        """The windows of a step, grouped by dataset; ``n`` in place of the config's batch."""
        rng = np.random.default_rng((self._config.seed, step, 0))
        of = rng.choice(len(self._datasets), n or self._config.batch, p=self._weights)
        out = []
        for i in np.unique(of):
            cumulative = self._cumulative[i]
            u = rng.random(np.count_nonzero(of == i)) * cumulative[-1]
            out.append((self._datasets[i], np.searchsorted(cumulative, u, side="right")))
        return out

    def plain(self, step: int, n: int | None = None) -> tuple[Batch, Targets]:
        """A step's windows with all their streams."""
        parts = self.rows(step, n)
        targets = [d.targets(rows, self._teacher.get(d.name)) for d, rows in parts]
        batches = [d.batch(rows) for d, rows in parts]
        return (
            Batch(**{f.name: np.concatenate([getattr(b, f.name) for b in batches]) for f in fields(Batch)}),
            Targets(**{f.name: np.concatenate([getattr(t, f.name) for t in targets]) for f in fields(Targets)}),
        )

    def draw(self, step: int) -> tuple[Batch, Targets]:
        """A step's windows, some of whose streams are dropped."""
        rng = np.random.default_rng((self._config.seed, step, 1))
        return drop_streams(*self.plain(step), self._config.dropout, rng)


def drop_streams(
    batch: Batch, targets: Targets, dropout: DropoutConfig, rng: np.random.Generator
) -> tuple[Batch, Targets]:
    """The batch with streams taken away at random; what cannot be seen without them is not asked for either."""
    b = len(batch)
    arrays = {f.name: getattr(batch, f.name).copy() for f in fields(Batch)}
    u = rng.random((6, b))
    noisy = targets.rhythm[:, NOISE] >= 0.5  # RR alone does not show noise, and beats found in noise say nothing
    no_signal = (u[0] < dropout.signal) & ~noisy & np.isfinite(batch.rr).any(1)
    no_rhythm = (u[1] < dropout.rhythm) & ~no_signal & batch.leads.any(1)
    few = (u[5] < dropout.leads) & (batch.leads.sum(1) > 1) & ~no_signal
    # What QRS shapes and P waves say of all leads must not speak for leads that are gone.
    no_shape = no_signal | few
    no_atrial = (u[2] < dropout.atrial) | no_shape | no_rhythm
    no_ppv = u[3] < dropout.minirocket

    for name in ("signal", "leads"):
        arrays[name][no_signal] = 0
    arrays["ppv"][no_signal] = 0
    arrays["ppv"][no_ppv] = UNKNOWN_PPV
    arrays["pulse"][no_shape, :, _DOMINANT] = 0
    arrays["pulse"][no_rhythm] = np.zeros(N_PULSE, np.float32)
    arrays["rr"][no_rhythm] = np.nan
    arrays["shape"][no_shape | no_rhythm] = np.nan
    arrays["atrial"][no_atrial] = np.nan
    arrays["context"][no_shape, :, N_RR_SPAN:] = np.nan
    gone = (u[4] < dropout.context) | no_rhythm
    arrays["context"][gone] = np.nan
    arrays["context_age_s"][gone] = np.nan
    for i in np.flatnonzero(few):
        known = np.flatnonzero(batch.leads[i])
        lost = rng.permutation(known)[rng.integers(1, min(4, len(known))) :]
        for name in ("signal", "ppv", "leads"):
            arrays[name][i, lost] = 0

    findings = targets.findings.copy()
    findings[np.ix_(no_signal, _UNSEEN_IN_RR)] = np.nan
    return Batch(**arrays), Targets(targets.seconds, targets.rhythm, findings, targets.teacher)


UNKNOWN_PPV = 0.5  # the network reads 2 · (ppv − 0.5): this is its zero

__all__ = ["CLASSES", "RHYTHMS", "CachedDataset", "Sampler", "Split", "Targets", "load", "load_cache", "splits"]
