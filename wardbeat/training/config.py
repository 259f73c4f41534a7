"""One training run in one value; its JSON lies beside the weights it made."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from models.network.config import NetworkConfig

GROUPS: dict[str, tuple[str, ...]] = {
    # Sets of one source, left out together.
    "ptbxl": ("ptbxl_z500", "ptbxl_native100", "ptbxl_native500"),
    "cpsc2018": ("cpsc2018", "cpsc2018_extra"),
    "afpdb": ("afpdb_p", "afpdb_n", "afdb_rr", "nsrdb_rr"),  # excerpts of AFDB, and subjects of NSRDB
    "mitdb": ("mitdb", "nstdb_118"),
}


@dataclass(frozen=True)
class DropoutConfig:
    """How often a window loses one of its streams in training, so that the network does without it.

    Attributes:
        signal: everything but the RR intervals: signal, MiniRocket, QRS shapes, atrial features; of past windows too.
        rhythm: RR, QRS shape and atrial features, the pulse and all past windows: often, or the features explain the
            labels so soon that the signal is never learnt.
        atrial: the atrial features alone, which need a good P wave.
        minirocket: the morphology tokens.
        context: all past windows.
        leads: of a window of several leads, all but one to three in signal and MiniRocket; QRS shapes and atrial
            features, which are those of all leads together, with them.
    """

    signal: float = 0.15
    rhythm: float = 0.35
    atrial: float = 0.1
    minirocket: float = 0.15
    context: float = 0.25
    leads: float = 0.15

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            _within(f"dropout.{name}", value, 0.0, 1.0)


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss's terms, and how sure a label is held to be.

    Attributes:
        rhythm: the window's rhythms, pooled over its seconds, each against the rest.
        seconds: the rhythm of each second.
        findings: the window's findings.
        af: how much more AF counts than another rhythm in ``rhythm``.
        smoothing: a label of 1 is learnt as 1 − smoothing / 2, one of 0 as smoothing / 2.
        distillation: the teacher's probability of AF (``wardbeat.training.boosted``); 0 needs no teacher.
    """

    rhythm: float = 1.0
    seconds: float = 1.0
    findings: float = 0.5
    af: float = 2.0
    smoothing: float = 0.02
    distillation: float = 0.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            _within(f"loss.{name}", value, 0.0, 0.5 if name == "smoothing" else 100.0)


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that a run depends on; two runs of one config on one cache give the same weights.

    Attributes:
        cache: folder of the cached windows, one ``.npz`` a dataset.
        run: folder of the run: checkpoint, metrics, ``model.safetensors`` and ``config.json``.
        teacher: folder of the teacher's out-of-fold probabilities; needed where ``loss.distillation`` is above 0.
        left_out: groups (``GROUPS``) or datasets of which no subject is trained, validated or calibrated on.
        datasets: those to use of the cache; none named = all of it.
        seed: of the splits, the draw of windows, the first weights and dropout.
        steps: of the optimiser.
        max_minutes: ends the schedule where the steps would take longer; such a run is not repeatable. None = no limit.
        batch: windows a step.
        learning_rate: at its highest, after ``warmup`` of the schedule; then a cosine down to 1 % of it.
        warmup: share of the schedule.
        weight_decay: AdamW's.
        clip: largest norm of the gradient.
        ema: decay a step of the averaged weights, which are what is saved.
        dataset_weights: how often a dataset is drawn; without one, the root of its subjects.
        class_balance: 1 draws each class of a dataset equally often, 0 as often as it has subjects.
        check_steps: steps between two looks at the validation subjects and two checkpoints.
        check_windows: validation windows of one dataset at most.
        kernels: of ``torch_network.Network``: "fused" trains the default sizes in half the time on a CPU.
        threads: of torch.
        device: of torch.
    """

    cache: str
    run: str
    teacher: str | None = None
    left_out: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    seed: int = 7
    steps: int = 1400
    max_minutes: float | None = None
    batch: int = 64
    learning_rate: float = 2e-3
    warmup: float = 0.05
    weight_decay: float = 0.02
    clip: float = 1.0
    ema: float = 0.995
    dataset_weights: dict[str, float] = field(default_factory=dict)
    class_balance: float = 0.5
    check_steps: int = 350
    check_windows: int = 200
    kernels: str = "torch"
    threads: int = 2
    device: str = "cpu"
    dropout: DropoutConfig = field(default_factory=DropoutConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        """Raise ValueError, quoting, for what cannot be trained."""
        for name in ("steps", "batch", "check_steps", "check_windows", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be 1 or more")
        for name in ("ema", "class_balance", "warmup"):
            _within(name, getattr(self, name), 0.0, 1.0)
        for name in ("learning_rate", "clip"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be above 0")
        if self.max_minutes is not None and self.max_minutes <= 0:
            raise ValueError(f"max_minutes is {self.max_minutes}; it has to be above 0")
        if self.loss.distillation > 0 and self.teacher is None:
            raise ValueError(f"loss.distillation is {self.loss.distillation}, but no teacher is named")
        for name, weight in self.dataset_weights.items():
            if weight < 0:
                raise ValueError(f"the weight of {name} is {weight}; it has to be 0 or more")

    @property
    def left_out_datasets(self) -> frozenset[str]:
        """Datasets of ``left_out``, its groups opened."""
        return frozenset(name for group in self.left_out for name in GROUPS.get(group, (group,)))


def save(config: TrainingConfig, path: Path) -> None:
    """Write the config as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n")


def load(path: Path) -> TrainingConfig:
    """Read a config; ValueError, quoting, for no JSON, a field that is not known or a value that does not fit."""
    try:
        plain = msgspec.json.decode(path.read_bytes())
        _refuse_unknown(TrainingConfig, plain, str(path))
        return msgspec.convert(plain, TrainingConfig)
    except msgspec.DecodeError as error:  # of a value too
        raise ValueError(f"{path}: {error}") from error


def _refuse_unknown(kind: Any, plain: Any, where: str) -> None:
    if not isinstance(plain, dict):
        raise ValueError(f"{where} is {plain!r}; expected an object")
    known = {f.name: f.type for f in dataclasses.fields(kind)}
    for name, value in plain.items():
        if name not in known:
            raise ValueError(f"{where} has a field {name!r}; known: {', '.join(known)}")
        if dataclasses.is_dataclass(known[name]):
            _refuse_unknown(known[name], value, f"{where}: {name}")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}; it has to be {low} … {high}")
