"""Mamba-2 in torch (Dao & Gu 2024, arXiv 2405.21060): plainly, by fused CPU kernels, and by those of mamba_ssm.

All three have the names and shapes of mamba_ssm.Mamba2, so that they share their weights. Symbols: as in
``models.network.torch_network``, which alone imports this.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.inputs import Floats
from models.network import kernels as network_kernels
from models.network import mamba_gradient
from models.network.config import EPS, NetworkConfig


class RMSNorm(nn.Module):
    """x / rms(x) · weight (Zhang & Sennrich 2019)."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x: Tensor) -> Tensor:
        """(…, d) -> (…, d)."""
        return F.rms_norm(x, self.weight.shape, self.weight, EPS)


def segment_sums(a: Tensor) -> Tensor:
    """(…, l) -> (…, l, s): a[s+1] + … + a[l], and −∞ above the diagonal, where s > l."""
    sums = a.cumsum(-1)
    below = torch.ones(a.shape[-1], a.shape[-1], dtype=torch.bool, device=a.device).tril()
    return (sums[..., :, None] - sums[..., None, :]).masked_fill(~below, -torch.inf)


def scan(x: Tensor, a: Tensor, B: Tensor, C: Tensor, chunk: int) -> Tensor:
    """The state-space recurrence, chunk by chunk: quadratic within one, by its states from one to the next.

    state_t = exp(a_t) · state_{t−1} + x_t ⊗ B_t and y_t = C_t · state_t (arXiv 2405.21060, listing 1).

    Args: x (b, t, h, p) times its step already, a (b, t, h), B and C (b, t, m). Returns: y (b, t, h, p).
    """
    b, t, h, p = x.shape
    m = B.shape[-1]
    c = t // chunk
    x = x.view(b, c, chunk, h, p).transpose(2, 3)  # (b, c, h, l, p)
    a = a.view(b, c, chunk, h).transpose(2, 3)  # (b, c, h, l)
    B, C = B.reshape(b, c, 1, chunk, m), C.reshape(b, c, 1, chunk, m)
    sums = a.cumsum(-1)  # (b, c, h, l)
    within = (C @ B.transpose(-1, -2)) * segment_sums(a).exp()  # (b, c, h, l, s)
    y = within @ x  # (b, c, h, l, p)
    to_end = (sums[..., -1:] - sums).exp().unsqueeze(-1)  # (b, c, h, l, 1)
    added = B.transpose(-1, -2) @ (x * to_end)  # (b, c, h, m, p), what each chunk adds to the state
    between = segment_sums(F.pad(sums[..., -1].transpose(1, 2), (1, 0))).exp()[..., :-1, 1:]  # (b, h, c, c)
    states = between @ added.transpose(1, 2).reshape(b, h, c, m * p)  # (b, h, c, m p), before each chunk
    states = states.view(b, h, c, m, p).transpose(1, 2)  # (b, c, h, m, p)
    y = y + (C @ states) * sums.exp().unsqueeze(-1)  # (b, c, h, l, p)
    return y.transpose(2, 3).reshape(b, t, h, p)


class Mamba2(nn.Module):
    """Mamba-2 in the names and shapes of mamba_ssm.Mamba2: one group, gated RMSNorm after the scan."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        inner, h = config.d_inner, config.mamba_heads
        channels = inner + 2 * config.d_state
        self.in_proj = nn.Linear(config.d, inner + channels + h, bias=False)
        self.conv1d = nn.Conv1d(channels, channels, config.d_conv, groups=channels, padding=config.d_conv - 1)
        step = torch.exp(torch.rand(h) * (np.log(0.1) - np.log(0.001)) + np.log(0.001))  # 1 … 100 ms, as in mamba_ssm
        self.dt_bias = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # the inverse of softplus
        self.A_log = nn.Parameter(torch.empty(h).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(h))
        self.norm = RMSNorm(inner)
        self.out_proj = nn.Linear(inner, config.d, bias=False)

    def forward(self, u: Tensor) -> Tensor:
        """(b, t, d) -> (b, t, d), causal."""
        b, t, _ = u.shape
        inner, m, h = self.config.d_inner, self.config.d_state, self.config.mamba_heads
        z, xBC, dt = torch.split(self.in_proj(u), [inner, inner + 2 * m, h], -1)
        xBC = self.conv1d(xBC.transpose(1, 2))[..., :t].transpose(1, 2).contiguous()  # (b, t, inner + 2 m)
        xBC = F.silu(xBC)
        x, B, C = torch.split(xBC, [inner, m, m], -1)
        x = x.reshape(b, t, h, inner // h)  # (b, t, h, p)
        dt = F.softplus(dt + self.dt_bias)  # (b, t, h)
        y = scan(x * dt.unsqueeze(-1), -dt * self.A_log.exp(), B, C, self.config.chunk)  # (b, t, h, p)
        y = (y + x * self.D[:, None]).reshape(b, t, inner)
        out: Tensor = self.out_proj(self.norm(y * F.silu(z)))
        return out


class FusedScan(torch.autograd.Function):
    """All of a Mamba-2 between its projections, on a CPU, by the kernels that the ward runs; their gradient beside."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, *weights: Tensor) -> Tensor:
        """Projected (b, t, …) and conv, conv bias, dt_bias, a, D as ``mamba2`` takes them -> (b, t, inner)."""
        ctx.save_for_backward(projected, *weights)
        x, (conv, bias, dt_bias, a, skip) = projected.detach().numpy(), [each.detach().numpy() for each in weights]
        out = np.empty((*x.shape[:2], network_kernels.INNER), np.float32)
        in_parts(lambda part: network_kernels.mamba2(x[part], 0, conv, bias, dt_bias, a, skip, out[part]), len(x))
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, ...]:
        """Of everything that ``forward`` takes."""
        x, conv, bias, dt_bias, a, skip = [each.detach().numpy() for each in ctx.saved_tensors]
        d_y, d_x = d_out.detach().contiguous().numpy(), np.empty_like(x)

        def gradient(part: slice) -> tuple[Floats, Floats]:
            d_channels, d_heads = np.zeros((len(conv) + 1, len(bias)), np.float32), np.zeros((3, len(a)), np.float32)
            mamba_gradient.mamba2_gradient(
                x[part], conv, bias, dt_bias, a, skip, d_y[part], d_x[part], d_channels, d_heads
            )
            return d_channels, d_heads

        parts = in_parts(gradient, len(x))
        d_channels = torch.from_numpy(np.sum([channels for channels, _ in parts], axis=0))
        d_heads = torch.from_numpy(np.sum([heads for _, heads in parts], axis=0))
        return torch.from_numpy(d_x), d_channels[:-1], d_channels[-1], *d_heads


T = TypeVar("T")


def in_parts(call: Callable[[slice], T], rows: int) -> list[T]:
    """The call on as many slices of the rows as torch has threads, side by side."""
    threads = max(1, min(torch.get_num_threads(), rows))
    edges = [rows * i // threads for i in range(threads + 1)]
    parts = [slice(first, end) for first, end in pairwise(edges)]
    if threads == 1:
        return [call(parts[0])]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, parts))


class FusedMamba2(Mamba2):
    """The same on a CPU by fused kernels, in half the time; of the default sizes, which are compiled in."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        for name in ("d", "expand", "headdim", "d_state", "d_conv"):
            value, known = getattr(config, name), getattr(network_kernels.DEFAULT, name)
            if value != known:
                raise ValueError(f"{name} is {value}: the fused kernels are compiled for {known}")

    def forward(self, u: Tensor) -> Tensor:
        """(b, t, d) -> (b, t, d), causal."""
        conv = self.conv1d.weight[:, 0].T.contiguous()
        weights = (conv, self.conv1d.bias, self.dt_bias, -self.A_log.exp(), self.D)
        y: Tensor = FusedScan.apply(self.in_proj(u).contiguous(), *weights)  # type: ignore[no-untyped-call]
        return F.linear(y, self.out_proj.weight * self.norm.weight)


def kernel_mamba2(config: NetworkConfig) -> nn.Module:
    """The same module on the CUDA kernels of mamba_ssm. Raises ImportError where it, or causal_conv1d, is missing."""
    import causal_conv1d  # noqa: F401  # mamba_ssm begins without it, and fails at the first window
    from mamba_ssm import Mamba2 as Kernels

    os.environ["TRITON_F32_DEFAULT"] = "ieee"  # its products would keep 10 bits (TF32); read when they are compiled

    module: nn.Module = Kernels(
        d_model=config.d,
        d_state=config.d_state,
        d_conv=config.d_conv,
        expand=config.expand,
        headdim=config.headdim,
    )
    return module
