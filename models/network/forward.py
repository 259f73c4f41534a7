"""The rhythm network without torch: NumPy's matrix products and the kernels of ``models.network.kernels``.

The same function as ``torch_network``, which tells the symbols and the shape of each step; the tests hold the two
together. Scales that stand before a matrix product (of RMSNorm, of the attention's score, of the signal's unit) are
multiplied into its weights once. Each window is computed by products of its own shape, never of the batch's, so that
what is said of it does not depend on its company.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ecg.leads import N_LEADS
from models.classes import OUTPUTS, RHYTHMS
from models.inputs import N_RR_SPAN, SECONDS, TOKENS, TOKENS_PER_S, Floats
from models.network import kernels
from models.network.batch import Batch
from models.network.config import EPS, FARTHEST, LOOKS, RR_SPANS, SIGNAL_UNIT, NetworkConfig

Weights = Mapping[str, npt.NDArray[np.generic]]

GROUP = 8  # windows at a time: their tokens stay in the second cache
FREE = ("blocks", "heads", "joint_hidden", "chunk", "power", "dropout")  # any value runs here; the rest is compiled in


class Result(NamedTuple):
    """What the network says of b windows, float32.

    Attributes:
        seconds: (b, 10, 13) probabilities of each second, oldest first, in the order of ``models.classes.OUTPUTS``.
        pooled_log: (b, 13) log of the window's probabilities: those of the seconds, pooled.
        attention: (b, 100, 23) how much each tenth of a second looked at each feature token (rows sum to 1).
        lead_attention: (b, 100, 12) how much it looked at each lead; zero at leads that are not known.
        logits: (b, 10, 13) of ``seconds``.
        tokens: (b, 100, 64) the last layer of time tokens: what Grad-CAM starts from.
        joint: (b, 13) what the joint feature token adds to each second's logits.
    """

    seconds: Floats
    pooled_log: Floats
    attention: Floats
    lead_attention: Floats
    logits: Floats
    tokens: Floats
    joint: Floats


class _Take:
    """Weights by name, each once: what lacks or is left over is an error."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.taken: set[str] = set()

    def __call__(self, name: str, *shape: int) -> Floats:
        """Of this shape where one is given: what a kernel reads has to be as long as the kernel believes."""
        if name not in self.weights:
            raise ValueError(f"the weights lack {name!r}")
        self.taken.add(name)
        value: Floats = np.ascontiguousarray(self.weights[name], np.float32)
        if shape and value.shape != shape:
            raise ValueError(f"{name!r} has the shape {value.shape}, not {shape}")
        return value

    def linear(self, name: str) -> tuple[Floats, Floats]:
        """Weight (inputs, outputs) and bias (outputs,) of x @ weight + bias."""
        weight: Floats = np.ascontiguousarray(self(f"{name}.weight").T)
        return weight, self(f"{name}.bias", weight.shape[1])

    def finish(self) -> None:
        """Raise ValueError for weights that nothing reads."""
        left = sorted(set(self.weights) - self.taken)
        if left:
            raise ValueError(f"weights that this network does not have: {', '.join(left)}")


class _Mlp:
    """Linear, SiLU, Linear."""

    def __init__(self, take: _Take, name: str) -> None:
        self.first, self.first_bias = take.linear(f"{name}.0")
        self.second, self.second_bias = take.linear(f"{name}.2")

    def __call__(self, x: Floats) -> Floats:
        """(b, rows, inputs) -> (b, rows, outputs)."""
        hidden = x @ self.first
        kernels.silu(hidden.reshape(-1, hidden.shape[-1]), self.first_bias)
        out: Floats = np.add(hidden @ self.second, self.second_bias)
        return out


class _Standard:
    """Features to about −1 … 1, with a mask of what is known."""

    def __init__(self, take: _Take, name: str) -> None:
        self.center, self.scale = take(f"{name}.center"), take(f"{name}.scale")

    def __call__(self, x: Floats) -> tuple[Floats, Floats]:
        """(…, features) with NaN -> values, 0 where unknown, and mask (1.0 known); both (…, features)."""
        known = np.isfinite(x)
        values = np.clip((x - self.center) / self.scale, -FARTHEST, FARTHEST)
        return np.where(known, values, np.float32(0)), known.astype(np.float32)


class _Tokenizer:
    """Known leads of each window to one token each 0.1 s."""

    def __init__(self, take: _Take, name: str) -> None:
        k = kernels

        def taps(layer: str, outputs: int, inputs: int, taps: int) -> tuple[Floats, Floats]:
            """Of a convolution: weight (taps · inputs, outputs), bias (outputs,)."""
            weight = take(f"{name}.{layer}.weight", outputs, inputs, taps)
            bias = take(f"{name}.{layer}.bias", outputs)
            return np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(-1, outputs)), bias

        conv1, conv1_bias = taps("conv1", k.NARROW, 1, k.TAPS1)
        depthwise = take(f"{name}.depthwise.weight", k.NARROW, 1, k.TAPS2)[:, 0].T
        depthwise_bias = take(f"{name}.depthwise.bias", k.NARROW)
        self.first = (conv1 / np.float32(SIGNAL_UNIT), conv1_bias, np.ascontiguousarray(depthwise), depthwise_bias)
        self.pointwise, self.pointwise_bias = taps("pointwise", k.NARROW, k.NARROW, 1)
        self.conv2, self.conv2_bias = taps("conv2", k.DEFAULT.wide, k.NARROW, k.TAPS3)
        self.score, self.score_bias = (
            take(f"{name}.score.weight", LOOKS, k.DEFAULT.wide),
            take(f"{name}.score.bias", LOOKS),
        )
        self.out, self.out_bias = take.linear(f"{name}.out")
        self.none = take(f"{name}.none")

    def __call__(self, signal: npt.NDArray[np.int16], leads: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Signal (b, 12, 1000), leads (b, 12) -> tokens (b, t, d), lead attention (b, t, 12)."""
        b = len(leads)
        pooled = np.zeros((b, TOKENS, len(self.out)), np.float32)
        share = np.zeros((b, TOKENS, N_LEADS), np.float32)
        x = np.empty((kernels.HALF + kernels.TAPS2 - 1, kernels.NARROW), np.float32)
        y = np.empty((kernels.HALF, kernels.NARROW), np.float32)
        mixed = np.empty_like(y)
        column = np.empty((TOKENS, kernels.COLUMN), np.float32)
        wide = np.empty((N_LEADS, TOKENS, kernels.DEFAULT.wide), np.float32)
        for window in range(b):
            rows = np.flatnonzero(leads[window])
            for i, lead in enumerate(rows):  # one at a time: its arrays stay in the second cache
                kernels.first_convolutions(signal[window, lead], *self.first, x, y)
                np.matmul(y, self.pointwise, out=mixed)
                kernels.columns(x, mixed, self.pointwise_bias, column)
                np.matmul(column, self.conv2, out=wide[i])
            if len(rows):
                kernels.pool_leads(
                    wide, rows, self.conv2_bias, self.score, self.score_bias, pooled[window], share[window]
                )
        tokens = pooled @ self.out + self.out_bias
        tokens[~leads.any(1)] = self.none
        return tokens, share


class _Block:
    """x + forwards(norm(x)) + backwards(norm(x)); the two share their matrix products."""

    def __init__(self, take: _Take, name: str) -> None:
        k, d = kernels, kernels.DEFAULT.d
        norm = take(f"{name}.norm.weight", d)[:, None]
        into, out, self.sides = [], [], []
        for side in (f"{name}.fwd", f"{name}.bwd"):
            into.append(norm * take(f"{side}.in_proj.weight", k.PROJECTION, d).T)
            out.append((take(f"{side}.out_proj.weight", d, k.INNER) * take(f"{side}.norm.weight", k.INNER)).T)
            self.sides.append(
                (
                    np.ascontiguousarray(take(f"{side}.conv1d.weight", k.CHANNELS, 1, k.D_CONV)[:, 0].T),
                    take(f"{side}.conv1d.bias", k.CHANNELS),
                    take(f"{side}.dt_bias", k.HEADS),
                    -np.exp(take(f"{side}.A_log", k.HEADS)),
                    take(f"{side}.D", k.HEADS),
                )
            )
        self.into, self.out = np.concatenate(into, 1), np.concatenate(out)

    def __call__(self, x: Floats, added: Floats) -> tuple[Floats, Floats]:
        """x and what is still to be added to it, (b, t, d) each -> the same, after this block."""
        b, t, d = x.shape
        unit = np.empty_like(x)
        kernels.add_and_norm(x.reshape(-1, d), added.reshape(-1, d), unit.reshape(-1, d))
        projected = unit @ self.into  # (b, t, 2 · (2 inner + 2 m + h))
        y = np.empty((b, t, len(self.out)), np.float32)
        for i, (conv, conv_bias, dt_bias, a, skip) in enumerate(self.sides):
            kernels.mamba2(projected, i, conv, conv_bias, dt_bias, a, skip, y)
        return x, y @ self.out


class _Features:
    """Feature tokens of each window: joint, rhythm, morphology, context."""

    def __init__(self, take: _Take, name: str) -> None:
        self.standards = [_Standard(take, f"{name}.{group}") for group in ("rr", "shape", "atrial", "context")]
        self.joint = _Mlp(take, f"{name}.joint")
        self.rr, self.span = _Mlp(take, f"{name}.rr_token"), take(f"{name}.span")
        self.shape, self.atrial = _Mlp(take, f"{name}.shape_token"), _Mlp(take, f"{name}.atrial_token")
        self.ppv, self.lead = _Mlp(take, f"{name}.ppv_token"), take(f"{name}.lead", N_LEADS, kernels.DEFAULT.d)
        self.context = _Mlp(take, f"{name}.context_token")

    def __call__(self, batch: Batch) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Tokens (b, f, d), and which of them hold anything (b, f) bool; the first always does."""
        b = len(batch)
        groups = (batch.rr, batch.shape, batch.atrial, batch.context)
        (rr, shape, atrial, context) = (s(g) for s, g in zip(self.standards, groups, strict=True))
        joint = np.concatenate([rr[0], shape[0], atrial[0], rr[1], shape[1], atrial[1]], -1)  # (b, 382)
        spans = [each.reshape(b, RR_SPANS, N_RR_SPAN) for each in rr]
        minutes = np.nan_to_num(batch.context_age_s / np.float32(60))[..., None]  # (b, 5, 1)
        tokens = (
            self.joint(joint[:, None]),
            self.rr(np.concatenate(spans, -1)) + self.span,
            self.shape(np.concatenate(shape, -1)[:, None]),
            self.atrial(np.concatenate(atrial, -1)[:, None]),
            self.ppv(2 * (batch.ppv - np.float32(0.5))) + self.lead,
            self.context(np.concatenate([*context, minutes], -1)),
        )
        some = (
            np.ones((b, 1), np.bool_),
            spans[1].any(-1),
            shape[1].any(-1, keepdims=True),
            atrial[1].any(-1, keepdims=True),
            batch.leads,
            context[1].any(-1),
        )
        return np.concatenate(tokens, 1), np.concatenate(some, 1)


class _Fusion:
    """Each time token asks the feature tokens; then a small feed-forward."""

    def __init__(self, take: _Take, name: str, heads: int) -> None:
        self.heads = heads
        norm, ff_norm = take(f"{name}.norm.weight")[:, None], take(f"{name}.ff_norm.weight")[:, None]
        self.feature_norm = take(f"{name}.feature_norm.weight")
        q, q_bias = take.linear(f"{name}.q")
        by = np.float32((len(q) // heads) ** -0.5)
        self.q, self.q_bias = q * norm * by, q_bias * by
        self.kv, self.kv_bias = take.linear(f"{name}.kv")
        self.out, self.out_bias = take.linear(f"{name}.out")
        self.ff = _Mlp(take, f"{name}.ff")
        self.ff.first *= ff_norm

    def __call__(
        self, x: Floats, added: Floats, tokens: Floats, some: npt.NDArray[np.bool_]
    ) -> tuple[Floats, Floats, Floats]:
        """x and what is still to be added (b, t, d), tokens (b, f, d), some (b, f) -> x, to be added, (b, t, f)."""
        b, t, d = x.shape
        h = self.heads
        unit = np.empty_like(x)
        kernels.add_and_norm(x.reshape(-1, d), added.reshape(-1, d), unit.reshape(-1, d))
        tokens = tokens / np.sqrt(np.square(tokens).mean(-1, keepdims=True) + EPS) * self.feature_norm
        q = (unit @ self.q + self.q_bias).reshape(b, t, h, d // h).transpose(0, 2, 1, 3)  # (b, h, t, d / h)
        kv = (tokens @ self.kv + self.kv_bias).reshape(b, -1, 2, h, d // h)
        k, v = (
            kv[:, :, 0].transpose(0, 2, 3, 1),
            kv[:, :, 1].transpose(0, 2, 1, 3),
        )  # (b, h, d / h, f), (b, h, f, d / h)
        share = q @ k  # (b, h, t, f)
        share += np.where(some, np.float32(0), np.float32(-np.inf))[:, None, None]
        share -= share.max(-1, keepdims=True)
        np.exp(share, out=share)
        share /= share.sum(-1, keepdims=True)
        asked = (share @ v).transpose(0, 2, 1, 3).reshape(b, t, d) @ self.out + self.out_bias
        kernels.add_and_norm(x.reshape(-1, d), asked.reshape(-1, d), unit.reshape(-1, d))
        return x, self.ff(unit), share.mean(1)


class Forward:
    """The network with its weights; one call for the windows of many beds."""

    def __init__(self, weights: Weights, config: NetworkConfig) -> None:
        """``weights``: the state dict of ``torch_network.Network``. Raises ValueError for what does not run here."""
        default = NetworkConfig()
        for field in fields(config):
            value, known = getattr(config, field.name), getattr(default, field.name)
            if field.name not in FREE and value != known:
                raise ValueError(f"{field.name} is {value!r}: without torch only {known!r} runs")
        take = _Take(weights)
        self.power = np.float32(config.power)
        self._tokenizer = _Tokenizer(take, "tokenizer")
        self._pulse, self._pulse_bias = take.linear("pulse")
        self._features = _Features(take, "features")
        self._blocks = [_Block(take, f"blocks.{at}") for at in range(config.blocks)]
        self._fusion = _Fusion(take, "fusion", config.heads)
        self._norm = take("norm.weight")
        self._head, self._head_bias = take.linear("head")
        self._joint_head, self._joint_head_bias = take.linear("joint_head")
        take.finish()

    def __call__(self, batch: Batch) -> Result:
        """What is said of each window of the batch; ValueError for none."""
        if not len(batch):
            raise ValueError("a batch needs one window at least, got 0")
        groups = [self._judge(batch[at : at + GROUP]) for at in range(0, len(batch), GROUP)]
        return Result(*(np.concatenate(parts) for parts in zip(*groups, strict=True)))

    def _judge(self, batch: Batch) -> Result:
        b = len(batch)
        x, lead_attention = self._tokenizer(batch.signal, batch.leads)  # (b, t, d), (b, t, 12)
        added = batch.pulse @ self._pulse + self._pulse_bias  # (b, t, d)
        tokens, some = self._features(batch)  # (b, f, d), (b, f)
        for block in self._blocks[:-1]:
            x, added = block(x, added)
        x, added, attention = self._fusion(x, added, tokens, some)
        x, added = self._blocks[-1](x, added)
        last = x + added  # (b, t, d)
        x = last.reshape(b, SECONDS, TOKENS_PER_S, -1).mean(2)  # (b, 10, d)
        x = x / np.sqrt(np.square(x).mean(-1, keepdims=True) + EPS) * self._norm
        joint = tokens[:, :1] @ self._joint_head + self._joint_head_bias  # (b, 1, k)
        logits = x @ self._head + self._head_bias + joint
        log = np.empty((b, SECONDS, len(OUTPUTS)), np.float32)
        rhythms, findings = logits[..., : len(RHYTHMS)], logits[..., len(RHYTHMS) :]
        log[..., : len(RHYTHMS)] = rhythms - _log_sum_exp(rhythms, -1)
        log[..., len(RHYTHMS) :] = -np.logaddexp(np.float32(0), -findings)
        pooled = (_log_sum_exp(self.power * log, 1)[:, 0] - np.float32(np.log(SECONDS))) / self.power  # (b, 13)
        return Result(np.exp(log), pooled, attention, lead_attention, logits, last, joint[:, 0])


def _log_sum_exp(x: Floats, axis: int) -> Floats:
    """Log of the sum of exp along the axis, which is kept."""
    highest = x.max(axis, keepdims=True)
    total: Floats = np.log(np.exp(x - highest).sum(axis, keepdims=True)) + highest
    return total
