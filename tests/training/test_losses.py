"""The loss: right against plain formulas, blind to what is unknown, and with gradients where it matters most."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.classes import AF, OUTPUTS, RHYTHMS
from models.network.config import NetworkConfig
from models.network.torch_network import Network, Output
from wardbeat.training.config import LossConfig
from wardbeat.training.losses import TargetTensors, log1mexp, losses, one_against_rest, seconds_loss, window_target

SHARP = LossConfig(smoothing=0.0, af=1.0)


def pool(log: torch.Tensor) -> torch.Tensor:
    """The network's power mean of Q = 3 over dimension 1."""
    return Network(NetworkConfig()).pool(log)


def output(logits: torch.Tensor) -> Output:
    """What a network with these logits (b, 10, 13) gives out."""
    r = len(RHYTHMS)
    log = torch.cat([logits[..., :r].log_softmax(-1), F.logsigmoid(logits[..., r:])], -1)
    none = logits.new_zeros(0)
    return Output(log.exp(), pool(log), none, none, logits, none, none)


def targets(b: int, seed: int = 0) -> TargetTensors:
    """Hard targets, all known."""
    rng = np.random.default_rng(seed)
    rhythm = torch.eye(len(RHYTHMS))[torch.from_numpy(rng.integers(0, len(RHYTHMS), b))]
    findings = torch.from_numpy((rng.random((b, len(OUTPUTS) - len(RHYTHMS))) < 0.3).astype(np.float32))
    return TargetTensors(rhythm[:, None].expand(b, 10, -1).clone(), rhythm, findings, rhythm[:, AF].clone())


def test_log1mexp_is_exact_and_finite() -> None:
    """1 − p must not be rounded away at either end, and p = 1 must not give infinity."""
    x = torch.tensor([-1e-6, -1e-3, -0.5, -math.log(2), -1.0, -20.0, -80.0], dtype=torch.float32)
    exact = [math.log(-math.expm1(float(v))) if v > -1 else math.log1p(-math.exp(float(v))) for v in x]
    assert log1mexp(x).numpy() == pytest.approx(exact, rel=1e-5)
    edge = torch.tensor([0.0, -200.0], requires_grad=True)
    value = log1mexp(edge)
    assert torch.isfinite(value).all()
    value.sum().backward()
    assert edge.grad is not None
    assert torch.isfinite(edge.grad).all()
    assert edge.grad[0] < -1e6  # it still pulls p = 1 down


def test_terms_equal_plain_formulas() -> None:
    """Each term is the cross-entropy that its name says."""
    torch.manual_seed(0)
    out, target = output(torch.randn(6, 10, len(OUTPUTS))), targets(6)
    got = losses(out, target, SHARP, pool)
    p = out.pooled_log.exp()
    r = len(RHYTHMS)
    assert float(got.rhythm) == pytest.approx(float(F.binary_cross_entropy(p[:, :r], target.rhythm)) * r, rel=1e-5)
    assert float(got.findings) == pytest.approx(
        float(F.binary_cross_entropy(p[:, r:], target.findings)) * (len(OUTPUTS) - r), rel=1e-5
    )
    flat = F.cross_entropy(out.logits[..., :r].reshape(-1, r), target.seconds.reshape(-1, r).argmax(-1))
    assert float(got.seconds) == pytest.approx(float(flat), rel=1e-5)
    assert float(got.distillation) == pytest.approx(float(F.binary_cross_entropy(p[:, AF], target.teacher)), rel=1e-5)
    weighted = losses(out, target, LossConfig(2.0, 3.0, 5.0, af=1.0, smoothing=0.0, distillation=7.0), pool)
    expected = 2 * got.rhythm + 3 * got.seconds + 5 * got.findings + 7 * got.distillation
    assert float(weighted.total) == pytest.approx(float(expected), rel=1e-5)


def test_what_is_unknown_has_no_gradient_and_no_nan() -> None:
    """NaN in a target must neither teach nor poison the step."""
    logits = torch.randn(4, 10, len(OUTPUTS), requires_grad=True)
    target = targets(4)
    target.seconds[0], target.rhythm[0], target.findings[0], target.teacher[0] = (torch.nan,) * 4
    target.seconds[1, :, 2:] = torch.nan
    target.rhythm[1, 1:] = torch.nan
    total = losses(output(logits), target, LossConfig(distillation=1.0), pool).total
    total.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(total)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[0].any()
    assert logits.grad[1].any()


def test_seconds_known_in_part_say_what_they_say() -> None:
    """'Not AF, whatever else' must lower AF and leave the others to share the rest."""
    logits = torch.zeros(1, 1, len(RHYTHMS), requires_grad=True)
    target = torch.full((1, 1, len(RHYTHMS)), torch.nan)
    target[..., AF] = 0.0
    value = seconds_loss(logits, target, 0.0)
    assert float(value.detach()) == pytest.approx(-math.log(4 / 5), rel=1e-6)
    value.sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    g = logits.grad[0, 0]
    assert g[AF] > 0
    others = g[torch.arange(len(RHYTHMS)) != AF]
    assert torch.allclose(others, others[:1].expand_as(others))
    assert others[0] < 0


def test_the_power_mean_hands_gradients_to_hopeless_seconds() -> None:
    """A window called wrong with certainty must still move: probabilities of 1e-13 or 1 − 1e-13 have a gradient."""
    for sign in (-30.0, 15.0):
        logits = torch.zeros(1, 10, len(OUTPUTS))
        logits[..., AF] = sign
        logits.requires_grad_(True)
        log_p = output(logits).pooled_log[:, AF]
        one_against_rest(log_p, torch.tensor([float(sign < 0)]), 0.0).sum().backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        assert abs(float(logits.grad[..., AF].sum())) > 0.5


def test_a_window_is_asked_for_what_its_seconds_pool_to() -> None:
    """The terms must agree: a window of one AF second is not taught that its other nine are AF too."""
    target = targets(3)
    target.seconds[:] = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])
    target.seconds[:, 9] = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0])
    target.rhythm[:] = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0])
    target.seconds[1, 4, :3] = torch.nan
    target.rhythm[2] = torch.nan
    got = window_target(target, pool)
    pooled = [0.1 ** (1 / 3), 0.0, 0.9 ** (1 / 3), 0.0, 0.0]
    assert got[0].tolist() == pytest.approx(pooled, abs=1e-6)
    assert got[1].tolist() == [1.0, 0.0, 1.0, *got[0, 3:].tolist()]
    assert got[2].tolist() == pytest.approx(pooled, abs=1e-6)
    logits = 30 * (2 * target.seconds[:1] - 1)  # right in each second
    sure = torch.cat([logits, torch.zeros(1, 10, len(OUTPUTS) - len(RHYTHMS))], -1).requires_grad_(True)
    one = TargetTensors(*(each[:1] for each in target))
    losses(output(sure), one, SHARP, pool).rhythm.backward()  # type: ignore[no-untyped-call]
    assert sure.grad is not None
    assert sure.grad.abs().max() < 1e-3


def test_smoothing_stops_short_of_certainty() -> None:
    """With smoothing the best answer is 1 − smoothing / 2, not 1."""
    smoothing = 0.1
    p = torch.linspace(0.5, 0.9999, 2000)
    value = one_against_rest(p.log(), torch.ones(2000), smoothing)
    assert float(p[value.argmin()]) == pytest.approx(1 - smoothing / 2, abs=1e-3)
