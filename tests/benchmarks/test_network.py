"""The benchmark of the network, which compares the passes where a GPU is."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.network import compare
from models.network.forward import Forward
from models.network.torch_forward import TorchForward
from models.network.weights import load_model


def test_a_pass_that_differs_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Protects the GPU worker: the benchmark alone checks its kernels, so it has to see a bias that is off by 0.001."""
    model = load_model()
    forward, cpu = Forward(model.network, model.config), torch.device("cpu")
    assert compare(forward, TorchForward(model.network, model.config, cpu), "torch")
    bias: Mapping[str, np.ndarray] = {"head.bias": model.network["head.bias"] + np.float32(1e-3)}
    off = replace(model, network={**model.network, **bias})
    assert not compare(forward, TorchForward(off.network, off.config, cpu), "off")
    assert "off, 0% of the leads, logits: largest difference 1.0e-03" in capsys.readouterr().out
