"""What a training step makes smaller. All of it works on logarithms, so that no probability vanishes.

Symbols: b windows, t 10 seconds, r 5 rhythms, k 13 outputs; NaN in a target = unknown, and nothing is learnt of it.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from models.classes import AF, RHYTHMS
from models.network.torch_network import Output
from wardbeat.training.config import LossConfig

CLOSEST = -1e-7  # of log p to 0: about the last step of float32 below p = 1
LEAST = 1e-9  # probability that stands for 0 in a logarithm


class TargetTensors(NamedTuple):
    """``sampler.Targets`` in torch: seconds (b, t, r), rhythm (b, r), findings (b, 8), teacher (b,)."""

    seconds: Tensor
    rhythm: Tensor
    findings: Tensor
    teacher: Tensor


class Losses(NamedTuple):
    """``total`` is the weighted sum of the others; scalars."""

    total: Tensor
    rhythm: Tensor
    seconds: Tensor
    findings: Tensor
    distillation: Tensor


def log1mexp(x: Tensor) -> Tensor:
    """log(1 − e^x) of x ≤ 0 without cancellation (Mächler 2012), finite up to x = 0."""
    x = x + (x.clamp(max=CLOSEST) - x).detach()  # the gradient passes the clamp
    # Both branches have finite gradients everywhere below CLOSEST, so the one not taken adds 0, not NaN.
    return torch.where(x > -math.log(2), torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))


def one_against_rest(log_p: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Binary cross-entropy of log p against a target of the same shape, elementwise; 0 where the target is NaN."""
    known = torch.isfinite(target)
    y = torch.where(known, target, 0.0) * (1 - smoothing) + smoothing / 2
    return torch.where(known, -(y * log_p + (1 - y) * log1mexp(log_p)), 0.0)


def seconds_loss(logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """(b, t, r) logits and targets -> (b, t).

    Cross-entropy where each rhythm is known, else the sum of those that are, each against the rest.
    """
    log_p = logits.log_softmax(-1)
    known = torch.isfinite(target)
    y = torch.where(known, target, 0.0)
    whole = -((y * (1 - smoothing) + smoothing / len(RHYTHMS)) * log_p).sum(-1)
    part = one_against_rest(log_p, target, smoothing).sum(-1)
    return torch.where(known.all(-1), whole, part)


def window_target(targets: TargetTensors, pool: Callable[[Tensor], Tensor]) -> Tensor:
    """(b, r) what the pooled rhythms should be: what a rhythm's seconds pool to if all are known, else if it occurs.

    One second of AF pools to 0.46: asked for 1 there, the network would see AF in seconds that have none.
    """
    known = torch.isfinite(targets.seconds).all(1)  # (b, r)
    seconds = torch.where(known[:, None], targets.seconds, 0.0)
    return torch.where(known, pool(seconds.clamp(min=LEAST).log()).exp(), targets.rhythm)


def losses(output: Output, targets: TargetTensors, config: LossConfig, pool: Callable[[Tensor], Tensor]) -> Losses:
    """Of a batch, nats. Each term sums what is known and divides it by all windows: what is rarely known weighs little.

    Args:
        output: float32 of b windows: ``pooled_log`` (b, k) natural logarithms, ``logits`` (b, t, k) of the seconds.
        targets: of the same windows.
        config: weights of the terms, and smoothing.
        pool: ``Network.pool`` of the network that gave ``output``: (b, t, …) logarithms -> (b, …).
    """
    b, r = len(targets.rhythm), len(RHYTHMS)
    importance = output.pooled_log.new_ones(r)
    importance[AF] = config.af
    target = window_target(targets, pool)
    rhythm = (one_against_rest(output.pooled_log[:, :r], target, config.smoothing) * importance).sum() / b
    findings = one_against_rest(output.pooled_log[:, r:], targets.findings, config.smoothing).sum() / b
    seconds = seconds_loss(output.logits[..., :r], targets.seconds, config.smoothing).mean(1).sum() / b
    distillation = one_against_rest(output.pooled_log[:, AF], targets.teacher, 0.0).sum() / b
    total = config.rhythm * rhythm + config.seconds * seconds + config.findings * findings
    return Losses(total + config.distillation * distillation, rhythm, seconds, findings, distillation)
