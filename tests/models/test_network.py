"""The torch network: its recurrence, what a missing input does, its ablations, its size."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.classes import RHYTHMS
from models.inputs import SECONDS, TOKENS
from models.network.batch import Batch
from models.network.config import NetworkConfig
from models.network.mamba import Mamba2, scan
from models.network.torch_network import Network, Output, parameter_count, tensors
from tests.models.network_inputs import random_batch

CONFIG = NetworkConfig(dropout=0.0)
FEATURE_TOKENS = 1 + 3 + 1 + 1 + 12 + 5


@pytest.fixture(scope="module")
def network() -> Network:
    """Seeded, with scales of the made-up inputs."""
    torch.manual_seed(1)
    network = Network(CONFIG).eval()
    network.set_scales(random_batch(50))
    return network


def said(network: Network, batch: Batch) -> Output:
    """What the network says, without gradients."""
    with torch.no_grad():
        out: Output = network(tensors(batch))
    return out


def test_the_chunked_scan_is_the_recurrence() -> None:
    """state = exp(a) state + x ⊗ B, y = C · state, token by token, for any chunk and any decay."""
    rng = torch.Generator().manual_seed(2)
    b, t, h, p, m = 2, 20, 3, 4, 5
    x, B, C = (torch.randn(shape, generator=rng) for shape in ((b, t, h, p), (b, t, m), (b, t, m)))
    a = -torch.rand((b, t, h), generator=rng) * torch.tensor([0.1, 2.0, 200.0])
    state, expected = torch.zeros(b, h, p, m), []
    for at in range(t):
        state = a[:, at].exp()[..., None, None] * state + x[:, at, :, :, None] * B[:, at, None, None, :]
        expected.append((state * C[:, at, None, None, :]).sum(-1))
    for chunk in (1, 4, 20):
        torch.testing.assert_close(scan(x, a, B, C, chunk), torch.stack(expected, 1), rtol=1e-4, atol=1e-5)


def test_mamba2_is_that_of_mamba_ssm_written_plainly() -> None:
    """Order of in_proj, causal convolution, step, decay, skip and the norm after the gate: the published layer."""
    torch.manual_seed(3)
    mamba = Mamba2(CONFIG).eval()
    with torch.no_grad():
        for parameter in mamba.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    w = {name: value.double() for name, value in mamba.state_dict().items()}
    u = torch.randn(2, TOKENS, CONFIG.d)
    with torch.no_grad():
        got = mamba(u)
    inner, m, h, p = CONFIG.d_inner, CONFIG.d_state, CONFIG.mamba_heads, CONFIG.headdim
    for window in range(len(u)):
        past = torch.zeros(CONFIG.d_conv, inner + 2 * m, dtype=torch.float64)
        state = torch.zeros(h, p, m, dtype=torch.float64)
        for at in range(TOKENS):
            z, xBC, dt = (w["in_proj.weight"] @ u[window, at].double()).split([inner, inner + 2 * m, h])
            past = torch.cat([past[1:], xBC[None]])
            xBC = torch.nn.functional.silu((past * w["conv1d.weight"][:, 0].T).sum(0) + w["conv1d.bias"])
            x, B, C = xBC[:inner].view(h, p), xBC[inner : inner + m], xBC[inner + m :]
            dt = torch.log1p(torch.exp(dt + w["dt_bias"]))
            decay = torch.exp(-dt * torch.exp(w["A_log"]))
            state = decay[:, None, None] * state + (dt[:, None] * x)[:, :, None] * B
            y = (state @ C + w["D"][:, None] * x).view(inner) * torch.nn.functional.silu(z)
            y = y / torch.sqrt((y * y).mean() + 1e-5) * w["norm.weight"]
            expected = w["out_proj.weight"] @ y
            torch.testing.assert_close(got[window, at].double(), expected, rtol=1e-4, atol=1e-4)


def test_the_names_are_those_of_mamba_ssm() -> None:
    """Weights trained here load into its kernels, and back."""
    assert {name: tuple(value.shape) for name, value in Mamba2(CONFIG).state_dict().items()} == {
        "dt_bias": (8,),
        "A_log": (8,),
        "D": (8,),
        "in_proj.weight": (2 * 128 + 2 * 32 + 8, 64),
        "conv1d.weight": (192, 1, 4),
        "conv1d.bias": (192,),
        "norm.weight": (128,),
        "out_proj.weight": (64, 128),
    }


def test_shapes_and_probabilities(network: Network) -> None:
    """Rhythms of a second sum to 1; every share of attention sums to 1; what is unknown is not looked at."""
    batch = random_batch(5)
    out = said(network, batch)
    assert out.seconds.shape == (5, SECONDS, 13)
    assert out.pooled_log.shape == (5, 13)
    assert out.attention.shape == (5, TOKENS, FEATURE_TOKENS)
    assert out.lead_attention.shape == (5, TOKENS, 12)
    torch.testing.assert_close(out.seconds[..., : len(RHYTHMS)].sum(-1), torch.ones(5, SECONDS))
    torch.testing.assert_close(out.attention.sum(-1), torch.ones(5, TOKENS))
    known = torch.from_numpy(batch.leads)
    assert torch.equal((out.lead_attention > 0).all(1), known)
    assert torch.equal((out.attention[..., 6:18] > 0).all(1), known)
    power = out.seconds.double().pow(3).mean(1).pow(1 / 3)
    torch.testing.assert_close(out.pooled_log.exp().double(), power, rtol=1e-4, atol=1e-6)


def test_a_window_does_not_depend_on_its_company(network: Network) -> None:
    """Packing leads of many windows into one list mixes nothing up; a window without a lead is judged as well."""
    batch = random_batch(4)
    batch.leads[2] = False
    together = said(network, batch)
    for i in range(4):
        alone = said(network, batch[i : i + 1])
        torch.testing.assert_close(alone.seconds[0], together.seconds[i], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone.lead_attention[0], together.lead_attention[i], rtol=1e-4, atol=1e-5)
    assert bool((together.lead_attention[2] == 0).all())


def test_what_is_not_known_is_not_read(network: Network) -> None:
    """Numbers left behind at an unknown lead change nothing, and all features NaN are no error."""
    batch = random_batch(3)
    before = said(network, batch)
    batch.signal[~batch.leads] = 77
    batch.ppv[~batch.leads] = 0.7
    torch.testing.assert_close(said(network, batch).logits, before.logits, rtol=0, atol=0)
    for name in ("rr", "shape", "atrial", "context", "context_age_s"):
        getattr(batch, name)[:] = np.nan
    batch.leads[:] = False
    out = said(network, batch)
    assert bool(torch.isfinite(out.logits).all())
    assert bool((out.attention[..., 0] == 1).all())


@pytest.mark.parametrize(
    "switch",
    [
        {"use_signal": False},
        {"use_minirocket": False},
        {"use_rhythm": False},
        {"use_context": False},
        {"fusion": "none"},
        {"pooling": "mean"},
        {"pooling": "max"},
        {"time": "mamba"},
        {"time": "tcn"},
        {"use_signal": False, "use_minirocket": False, "use_context": False},
        {"use_minirocket": False, "use_rhythm": False},
    ],
    ids=str,
)
def test_each_ablation_is_trained_whole(switch: dict[str, object]) -> None:
    """Every weight of it gets a gradient, so none is dead, and it reads nothing of the stream that was taken out."""
    torch.manual_seed(4)
    network = Network(replace(CONFIG, **switch))  # type: ignore[arg-type]
    batch = random_batch(6)
    batch.leads[1] = False
    network.set_scales(batch)
    out = network(tensors(batch))
    out.pooled_log.sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool((parameter.grad != 0).any()), name
    assert parameter_count(network) < 1_000_000
    removed = {"use_signal": ("signal",), "use_minirocket": ("ppv",), "use_context": ("context", "context_age_s")}
    removed["use_rhythm"] = ("rr", "shape", "atrial", "pulse")
    for name in (name for key in switch for name in removed.get(key, ())):
        getattr(batch, name)[...] = 1
    torch.testing.assert_close(said(network, batch).logits, out.logits.detach(), rtol=0, atol=0)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_fused_kernels_train_the_same_network(network: Network, threads: int) -> None:
    """The hand-written gradient is that of torch, for every weight and for what stands before, however it is split."""
    fused = Network(CONFIG, kernels="fused")
    fused.load_state_dict(network.state_dict())
    some, before = random_batch(3, seed=8), torch.get_num_threads()
    some.leads[1] = False
    batch = tensors(some)
    gradients = []
    try:
        torch.set_num_threads(threads)
        for each in (network, fused):
            each.zero_grad()
            out = each(batch)
            (out.pooled_log.mean() + out.seconds.square().sum()).backward()
            gradients.append({name: parameter.grad for name, parameter in each.named_parameters()})
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(out.logits, network(batch).logits, rtol=1e-4, atol=1e-5)
    for name, expected in gradients[0].items():
        if name != "tokenizer.score.bias":  # shifts all scores alike: its gradient is 0 but for rounding
            assert float((gradients[1][name] - expected).norm() / expected.norm()) < 1e-4, name


def test_the_fused_kernels_refuse_other_sizes() -> None:
    """They would read beyond an array's end."""
    with pytest.raises(ValueError, match="d_state is 16: the fused kernels are compiled for 32"):
        Network(replace(CONFIG, d_state=16), kernels="fused")


@pytest.mark.parametrize(("time", "sees_the_future"), [("bimamba", True), ("mamba", False)])
def test_only_the_causal_one_is_blind_to_what_follows(time: str, sees_the_future: bool) -> None:
    """A change in the last second reaches the first one's verdict in a Bi-Mamba, and never in a causal Mamba."""
    torch.manual_seed(5)
    network = Network(replace(CONFIG, time=time)).eval()
    batch = random_batch(1, leads=1.0)
    before = said(network, batch).logits
    batch.signal[..., -50:] += 100
    after = said(network, batch).logits
    assert bool((after[:, 0] != before[:, 0]).any()) == sees_the_future
    assert bool((after[:, -1] != before[:, -1]).any())


def test_the_tokenizer_is_the_same_without_its_batch_normalisation() -> None:
    """What is shipped has none: each must be in the weights of the right convolution."""
    torch.manual_seed(6)
    trained = Network(CONFIG, normed=True)
    with torch.no_grad():
        for module in trained.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                for value, low in ((module.running_mean, -1), (module.running_var, 0.1), (module.weight, 0.5)):
                    assert value is not None
                    value.uniform_(low, 3)
                module.bias.uniform_(-1, 1)
    folded, batch = trained.folded(), random_batch(4)
    assert folded.state_dict().keys() == Network(CONFIG).state_dict().keys()
    torch.testing.assert_close(said(folded, batch).logits, said(trained.eval(), batch).logits, rtol=1e-4, atol=1e-4)


def test_a_batch_without_any_lead_leaves_the_statistics_alone() -> None:
    """Streams are dropped at random: a batch of RR alone must not make the batch normalisation NaN."""
    network = Network(CONFIG, normed=True).train()
    network(tensors(random_batch(3, leads=0.0)))
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_scales_are_robust_and_of_the_data() -> None:
    """Median and IQR / 1.35 without NaN; the σ where most values are equal; nothing is divided by zero."""
    network = Network(CONFIG)
    batch = random_batch(101, unknown=0.0)
    batch.rr[:, 0] = np.arange(101)
    batch.rr[:50, 1] = np.nan
    batch.rr[:, 2] = np.where(np.arange(101) == 0, 5.0, 1.0)
    batch.rr[:, 3] = 7.0
    batch.rr[:, 4] = np.nan
    network.set_scales(batch)
    rr = network.features.rr
    assert rr.center[0] == 50
    assert rr.scale[0] == pytest.approx(50 / 1.35)
    assert rr.center[1] == pytest.approx(np.median(batch.rr[50:, 1]))
    assert rr.scale[2] == pytest.approx(np.std(batch.rr[:, 2]), rel=1e-5)
    assert rr.scale[3] == pytest.approx(1e-6)
    assert (rr.center[4], rr.scale[4]) == (0, 1)
    assert {"features.rr.center", "features.context.scale"} <= set(network.state_dict())


def test_a_wrong_switch_is_named() -> None:
    """A typo in an ablation is an error, not the default network."""
    with pytest.raises(ValueError, match="fusion is 'crossed'; known: cross, none"):
        NetworkConfig(fusion="crossed")
    with pytest.raises(ValueError, match="chunk is 30"):
        NetworkConfig(chunk=30)
