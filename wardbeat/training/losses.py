"""What a training step makes smaller. All of it works on logarithms, so that no probability vanishes.

Symbols: b windows, t 10 seconds, r 5 rhythms, k 13 outputs; NaN in a target = unknown, and nothing is learnt of it.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from models.classes import AF, RHYTHMS
from models.network import Output
from wardbeat.training.config import LossConfig

CLOSEST = -1e-7  # of log p to 0: about the last step of float32 below p = 1


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
    near = x > -math.log(2)
    # Each branch is kept from the other's arguments: infinite gradients there would come back as NaN.
    log_expm1 = torch.log(-torch.expm1(torch.where(near, x, -1.0)))
    log1p_exp = torch.log1p(-torch.exp(torch.where(near, -1.0, x)))
    return torch.where(near, log_expm1, log1p_exp)


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


def losses(output: Output, targets: TargetTensors, config: LossConfig) -> Losses:
    """Of a batch. Each term is a sum over what is known, divided by all windows: what is rarely known weighs little."""
    b, r = len(targets.rhythm), len(RHYTHMS)
    importance = output.pooled_log.new_ones(r)
    importance[AF] = config.af
    rhythm = (one_against_rest(output.pooled_log[:, :r], targets.rhythm, config.smoothing) * importance).sum() / b
    findings = one_against_rest(output.pooled_log[:, r:], targets.findings, config.smoothing).sum() / b
    seconds = seconds_loss(output.logits[..., :r], targets.seconds, config.smoothing).mean(1).sum() / b
    distillation = one_against_rest(output.pooled_log[:, AF], targets.teacher, 0.0).sum() / b
    total = config.rhythm * rhythm + config.seconds * seconds + config.findings * findings
    return Losses(total + config.distillation * distillation, rhythm, seconds, findings, distillation)
