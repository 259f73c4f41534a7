"""The network without torch is the torch network, whatever is missing and whoever stands beside it."""

import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.network import kernels
from models.network.batch import Batch
from models.network.config import NetworkConfig
from models.network.forward import Forward, Result
from models.network.torch_network import Network, Output, tensors
from tests.models.network_inputs import random_batch

CONFIG = NetworkConfig()


def network(config: NetworkConfig, seed: int) -> Network:
    """Every weight moved from where it begins, so that none of them is 0 or 1 by chance; scales of made-up inputs."""
    torch.manual_seed(seed)
    made = Network(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    made.set_scales(random_batch(50, seed=seed))
    return made


def weights(made: Network) -> dict[str, npt.NDArray[np.float32]]:
    """As a file would hold them."""
    return {name: value.numpy() for name, value in made.state_dict().items()}


@pytest.fixture(scope="module")
def reference() -> Network:
    """One torch network for the tests that need any."""
    return network(CONFIG, 1)


@pytest.fixture(scope="module")
def forward(reference: Network) -> Forward:
    """The same without torch."""
    return Forward(weights(reference), CONFIG)


def assert_same(got: Result, expected: Output) -> None:
    """Every field to 1e-4, attention included: it is what an alarm is explained by."""
    assert got._fields == expected._fields
    for name, value in got._asdict().items():
        other = getattr(expected, name).numpy()
        assert value.dtype == np.float32
        scale = max(1.0, float(np.abs(other).max())) if name == "tokens" else 1.0  # not bounded as the others are
        np.testing.assert_allclose(value, other, rtol=0, atol=1e-4 * scale, err_msg=name)


def said(made: Network, batch: Batch) -> Output:
    """What torch says, without gradients."""
    with torch.no_grad():
        out: Output = made(tensors(batch))
    return out


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("windows", [1, 2, 7, 8, 9, 16])
def test_equal_to_torch(windows: int, seed: int) -> None:
    """Random weights and inputs, leads and features missing here and there, groups filled and half filled."""
    made = network(CONFIG, seed)
    batch = random_batch(windows, seed=100 + seed, leads=(0.1, 0.4, 1.0)[seed])
    assert_same(Forward(weights(made), CONFIG)(batch), said(made, batch))


@pytest.mark.parametrize("unknown", ["leads", "rr", "shape", "atrial", "context", "context_age_s", "all"])
def test_equal_to_torch_where_something_is_missing(reference: Network, forward: Forward, unknown: str) -> None:
    """No lead at all in some windows or in all of them; a group of features all NaN; nothing but the pulse."""
    batch = random_batch(5, seed=3)
    batch.leads[1] = True
    if unknown in ("leads", "all"):
        batch.leads[2:] = False
    for name in ("rr", "shape", "atrial", "context", "context_age_s"):
        if unknown in (name, "all"):
            getattr(batch, name)[1:] = np.nan
    assert_same(forward(batch), said(reference, batch))


def test_equal_to_torch_at_its_limits(reference: Network, forward: Forward) -> None:
    """A signal at the ends of int16 and features far beyond their scale stay finite and equal."""
    batch = random_batch(3, seed=4, leads=1.0)
    batch.signal[0] = 32767
    batch.signal[1, :, ::2] = -32768
    batch.rr[:] *= 1e20
    batch.pulse[2] *= 100
    got = forward(batch)
    assert_same(got, said(reference, batch))
    assert all(np.isfinite(value).all() for value in got)


def test_other_depths_run_as_well() -> None:
    """What is not compiled in may differ: blocks, heads, the power of the mean."""
    config = replace(CONFIG, blocks=2, heads=2, power=2.0, joint_hidden=32)
    made = network(config, 5)
    batch = random_batch(3, seed=5)
    assert_same(Forward(weights(made), config)(batch), said(made, batch))


def test_a_window_does_not_depend_on_its_company(forward: Forward) -> None:
    """To the last bit: how beds are batched depends on when their chunks arrived, and a replay batches otherwise."""
    batch = random_batch(11, seed=6)
    batch.leads[3] = False
    batch.leads[4] = True
    together = forward(batch)
    for i in range(11):
        alone = forward(batch[i : i + 1])
        for name, value in alone._asdict().items():
            np.testing.assert_array_equal(value[0], getattr(together, name)[i], err_msg=f"{name} of window {i}")


def test_the_input_is_left_as_it_was(forward: Forward) -> None:
    """The forward pass works in place, but never in what it was given."""
    batch, before = random_batch(2, seed=7), random_batch(2, seed=7)
    forward(batch)
    for f in fields(Batch):
        np.testing.assert_array_equal(getattr(batch, f.name), getattr(before, f.name), err_msg=f.name)


def test_silu_is_silu() -> None:
    """The rational approximation, over all that float32 can be."""
    x = np.concatenate([np.linspace(-30, 30, 100_001), [-1e30, -100, -0.0, 0.0, 100, 1e30]]).astype(np.float32)
    got = x.copy()[None]
    kernels.silu(got, np.zeros(len(x), np.float32))
    exact = x / (1 + np.exp(np.minimum(-x.astype(np.float64), 700)))
    np.testing.assert_allclose(got[0], exact, rtol=3e-7, atol=4e-6)


@pytest.mark.parametrize(
    ("switch", "complaint"),
    [
        ({"use_signal": False}, "use_signal is False: without torch only True runs"),
        ({"fusion": "none"}, "fusion is 'none': without torch only 'cross' runs"),
        ({"pooling": "max"}, "pooling is 'max'"),
        ({"time": "tcn"}, "time is 'tcn'"),
        ({"d_state": 16}, "d_state is 16: without torch only 32 runs"),
    ],
)
def test_what_does_not_run_here_is_named(switch: dict[str, object], complaint: str) -> None:
    """An ablation is refused at once, not computed as if it were the whole network."""
    config = replace(CONFIG, **switch)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=complaint):
        Forward(weights(Network(config)), config)


def test_wrong_weights_are_named(reference: Network) -> None:
    """One that lacks, one too many and one of another shape are errors: a kernel would read beyond its end."""
    whole = weights(reference)
    with pytest.raises(ValueError, match=r"lack 'blocks.1.bwd.D'"):
        Forward({name: value for name, value in whole.items() if name != "blocks.1.bwd.D"}, CONFIG)
    with pytest.raises(ValueError, match=r"does not have: blocks.3.norm.weight"):
        Forward({**whole, "blocks.3.norm.weight": np.ones(64, np.float32)}, CONFIG)
    with pytest.raises(ValueError, match=r"'blocks.0.fwd.conv1d.bias' has the shape \(8,\), not \(192,\)"):
        Forward({**whole, "blocks.0.fwd.conv1d.bias": np.ones(8, np.float32)}, CONFIG)


def test_torch_is_not_imported() -> None:
    """The CPU worker has none: it stays small and starts fast."""
    unwanted = "{'torch', 'sktime', 'neurokit2'}"
    code = f"import sys, models.network.forward; sys.exit(', '.join({unwanted} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert done.returncode == 0
