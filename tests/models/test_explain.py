"""Explanations: what the network looked at, computed without autograd."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ecg.leads import LEAD_INDEX, N_LEADS
from models.classes import OUTPUTS
from models.explain import HEAD, TOKENS, attention_by_second, explain, grad_cam, saliency
from models.features import hrv
from models.inputs import CONTEXT_WINDOWS, N_CONTEXT, N_PULSE, N_RR, NetworkInput, no_signal
from models.inputs import TOKENS as TIME_TOKENS
from models.network.batch import stack
from models.network.config import NetworkConfig
from models.network.forward import Forward, Result
from models.network.torch_network import Network, tensors
from models.network.weights import load_model
from tests.models.network_inputs import random_batch

KINDS = ("joint", "rr_10s", "rr_30s", "rr_60s", "qrs_shape", "atrial", "morphology", "past_minute")


@pytest.mark.parametrize("output", ["af", "sinus", "pvc"])
def test_grad_cam_is_what_autograd_says(output: str) -> None:
    """Protects the explanation from a slip in the gradient that is written out by hand: torch computes it as well."""
    torch.manual_seed(1)
    network = Network(NetworkConfig()).eval()
    found = network(tensors(random_batch(2, seed=3)))
    found.tokens.retain_grad()
    found.pooled_log[:, OUTPUTS.index(output)].sum().backward()
    assert found.tokens.grad is not None
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    for at in range(2):
        channel = found.tokens.grad[at].mean(0)  # Selvaraju et al., equation 1
        expected = torch.relu(found.tokens[at] @ channel).detach().numpy()  # equation 2
        got = grad_cam(
            found.tokens[at].detach().numpy(), found.joint[at].detach().numpy(), weights, network.config.power, output
        )
        assert got.max() > 0
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-6 * expected.max())


def test_saliency_lies_on_the_leads_that_were_looked_at() -> None:
    """Protects a reader from being shown a lead that is not there, and a scale that means something: the top is 1."""
    attention = np.zeros((100, 12), np.float32)
    attention[:, 1] = 0.75
    attention[:, 6] = 0.25
    cam = np.zeros(100, np.float32)
    cam[30:40] = 2.0
    found = saliency(cam, attention)
    assert found.shape == (10, 12)
    assert found[3, 1] == 1.0
    assert found[3, 6] == pytest.approx(1 / 3)
    assert not found[np.arange(10) != 3].any()
    assert not saliency(np.zeros(100, np.float32), attention).any()


def test_an_unknown_output_is_refused() -> None:
    """Protects from an explanation of something that was never asked: the error quotes it."""
    with pytest.raises(ValueError, match="'vt'"):
        grad_cam(np.zeros((100, 64), np.float32), np.zeros(13, np.float32), {}, 3.0, "vt")


def nothing_known() -> NetworkInput:
    """No lead, no beat, no past: the joint token is all there is to look at."""
    return no_signal(
        rr=np.full(N_RR, np.nan, np.float32),
        pulse=np.zeros((TIME_TOKENS, N_PULSE), np.float32),
        context=np.full((CONTEXT_WINDOWS, N_CONTEXT), np.nan, np.float32),
        context_age_s=np.full(CONTEXT_WINDOWS, np.nan, np.float32),
    )


def only(kind: str) -> NetworkInput:
    """A window of which one kind of feature is known; morphology in V1, the past in one window of it."""
    inputs = nothing_known()
    if kind.startswith("rr_"):
        of_span = [name.endswith(kind.removeprefix("rr")) for name in hrv.FEATURE_NAMES]
        return replace(inputs, rr=np.where(of_span, np.float32(0.5), inputs.rr))
    if kind == "morphology":
        known = np.arange(N_LEADS) == LEAD_INDEX["V1"]
        return replace(inputs, leads=known, ppv=np.where(known[:, None], np.float32(0.4), inputs.ppv))
    if kind == "past_minute":
        third = np.arange(CONTEXT_WINDOWS) == 2
        context = np.where(third[:, None], np.float32(0.5), inputs.context)
        return replace(inputs, context=context, context_age_s=np.where(third, np.float32(30), inputs.context_age_s))
    name = {"qrs_shape": "shape", "atrial": "atrial"}[kind]
    return replace(inputs, **{name: np.zeros_like(getattr(inputs, name))})


@pytest.mark.parametrize("kind", KINDS[1:])
def test_attention_goes_by_the_name_of_what_is_known(kind: str) -> None:
    """Protects the names from another order of the tokens: where one kind alone is known, it and the joint token,
    which always is, share all the attention of the shipped network.
    """
    model = load_model()
    forward = Forward(model.network, model.config)
    shares = attention_by_second(forward(stack([only(kind)])).attention[0])
    assert tuple(shares) == KINDS
    assert {name for name, share in shares.items() if share.any()} == {"joint", kind}
    assert (shares[kind] > 0).all()
    np.testing.assert_allclose(sum(shares.values()), np.ones(10), rtol=1e-5)
    nothing = attention_by_second(forward(stack([nothing_known()])).attention[0])
    np.testing.assert_allclose(nothing["joint"], np.ones(10), rtol=1e-5)


def test_what_was_looked_at_is_told_second_by_second() -> None:
    """The first four seconds look at the atria, the others at RR of a minute and, by twos, at leads and past."""
    attention = np.zeros((1, 100, len(TOKENS)), np.float32)
    attention[0, :40, 5] = 1.0
    attention[0, 40:, 3] = 0.6
    attention[0, 40:, [6, 17]] = 0.15  # I and V6
    attention[0, 40:, [18, 22]] = 0.05
    lead_attention = np.zeros((1, 100, 12), np.float32)
    lead_attention[..., 1] = 0.75
    lead_attention[..., 6] = 0.25
    rng = np.random.default_rng(2)
    model = load_model()
    head = {name: model.network[name] for name in HEAD}
    d = head["norm.weight"].shape[0]
    result = Result(
        seconds=np.zeros((1, 10, len(OUTPUTS)), np.float32),
        pooled_log=np.zeros((1, len(OUTPUTS)), np.float32),
        attention=attention,
        lead_attention=lead_attention,
        logits=np.zeros((1, 10, len(OUTPUTS)), np.float32),
        tokens=rng.normal(size=(1, 100, d)).astype(np.float32),
        joint=np.zeros((1, len(OUTPUTS)), np.float32),
    )
    found = explain(result, head, model.config.power, "af")
    zeros = (0,) * 10
    assert found.attention_by_second == {
        "joint": zeros,
        "rr_10s": zeros,
        "rr_30s": zeros,
        "rr_60s": (0,) * 4 + (60,) * 6,
        "qrs_shape": zeros,
        "atrial": (100,) * 4 + (0,) * 6,
        "morphology": (0,) * 4 + (30,) * 6,
        "past_minute": (0,) * 4 + (10,) * 6,
    }
    assert found.attention == {kind: sum(shares) // 10 for kind, shares in found.attention_by_second.items()}
    assert set(found.saliency) == {"II", "V1"}
    assert all(len(seconds) == 10 for seconds in found.saliency.values())
    assert max(found.saliency["II"]) == 100
    assert max(found.saliency["V1"]) == 33
