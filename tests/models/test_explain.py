"""Explanations: what the network looked at, computed without autograd."""

import numpy as np
import pytest
import torch

from models.classes import OUTPUTS
from models.explain import grad_cam, saliency
from models.network.config import NetworkConfig
from models.network.torch_network import Network, tensors
from tests.models.network_inputs import random_batch


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
