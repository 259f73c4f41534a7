"""The shipped network as the ward asks it: a window's input in, calibrated probabilities and a prediction set out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from models.classes import AF, FLUTTER, NOISE, OUTPUTS, RHYTHMS
from models.explain import HEAD, Explanation, explain
from models.inputs import NetworkInput
from models.network.batch import Batch, stack
from models.network.forward import Forward, Result
from models.network.weights import Model, load_model
from models.reasons import reason

Device = Literal["cpu", "cuda"]

DIGITS = 4  # of a probability in a finding: more would only record the order of additions


class DeviceError(ValueError):
    """The network cannot run where it was asked to; the text names the device."""


@dataclass(frozen=True)
class Judgement:
    """What the network says of one window; see ``models.finding.Finding`` for the fields."""

    probabilities: dict[str, float]
    prediction_set: tuple[str, ...]
    af_evidence: tuple[float, ...]
    flutter_evidence: tuple[float, ...]
    noise_evidence: tuple[float, ...]
    reason: str


class RhythmNetwork:
    """Weights, calibration and prediction sets of one model file.

    Attributes:
        name: what findings carry: the model's version and hash.
        minirocket: kernels that the extractor of each bed needs.
        excludable: rhythms that a prediction set may lack; one of too few patients is in every set and says nothing.
    """

    def __init__(self, model: Model, forward: Callable[[Batch], Result] | None = None) -> None:
        """``forward``: the pass over the network of ``model``; by default that without torch."""
        self.name = model.name
        self.minirocket = model.minirocket
        self._calibration = model.calibration
        self._conformal = model.conformal
        self.excludable = frozenset(np.array(RHYTHMS)[model.conformal.thresholds > 0].tolist())
        self._forward = forward or Forward(model.network, model.config)
        self._head = {name: model.network[name] for name in HEAD}
        self._power = model.config.power

    @classmethod
    def load(cls, path: Path | None = None, device: Device = "cpu") -> "RhythmNetwork":
        """The shipped network, or that of ``path``, on ``device``.

        Raises:
            WeightsError: the file is not as it was written.
            DeviceError: there is no such device, here or at all; another is never taken in its place.
        """
        model = load_model(path)
        return cls(model, forward_on(device, model))

    def judge(self, inputs: NetworkInput) -> Judgement:
        """Judge one window."""
        return self.judge_all([inputs])[0]

    def explain(self, inputs: NetworkInput, output: str) -> Explanation:
        """What the network looked at where it told ``output`` of this window."""
        return explain(self._forward(stack([inputs])), self._head, self._power, output)

    def judge_all(self, inputs: Sequence[NetworkInput]) -> list[Judgement]:
        """Judge windows together: the same to the last bit as one at a time, and cheaper."""
        result = self._forward(stack(inputs))
        pooled = self._calibration.windows(result.pooled_log)
        seconds = self._calibration.seconds(result.seconds)
        rhythms = pooled[:, : len(RHYTHMS)]
        unusual = self._conformal.unusual(rhythms)
        return [
            Judgement(
                probabilities={name: round(float(p), DIGITS) for name, p in zip(OUTPUTS, pooled[i], strict=True)},
                prediction_set=self._conformal.prediction_set(rhythms[i]),
                af_evidence=_rounded(seconds[i, :, AF]),
                flutter_evidence=_rounded(seconds[i, :, FLUTTER]),
                noise_evidence=_rounded(seconds[i, :, NOISE]),
                reason=reason(RHYTHMS[int(np.argmax(rhythms[i]))], inputs[i], unusual=bool(unusual[i])),
            )
            for i in range(len(inputs))
        ]


def forward_on(device: Device, model: Model) -> Callable[[Batch], Result]:
    """The network of ``model`` on ``device``; on "cuda" in torch, by the kernels of mamba_ssm where it is installed.

    Raises:
        DeviceError: there is no such device, or torch, a CUDA device or a part of mamba_ssm is missing.
    """
    if device not in get_args(Device):
        raise DeviceError(f"device: expected one of {', '.join(get_args(Device))}, got {device!r}")
    if device == "cpu":
        return Forward(model.network, model.config)
    try:
        import torch

        from models.network.torch_forward import TorchForward

        if not torch.cuda.is_available():
            raise DeviceError(f"device {device!r}: torch {torch.__version__} finds no CUDA device")
        kernels = "mamba_ssm" if find_spec("mamba_ssm") else "torch"
        return TorchForward(model.network, model.config, torch.device(device), kernels)
    except ImportError as error:
        extras = "torch comes with the extra gpu of wardbeat, mamba_ssm and what it needs with kernels"
        raise DeviceError(f"device {device!r}: {error}; {extras}") from error


def _rounded(values: npt.NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(round(float(value), DIGITS) for value in values)
