"""The rhythm network in torch, for training and as the reference; ``models.network.forward`` is the same without torch.

The order of reading is the order of the data. Symbols:
    b  windows of a batch               n  known leads of all of them, packed one after another
    t  100 tokens of 0.1 s              c  chunks of the scan, l (and s) tokens of one chunk: c · l = t
    d  width of a token                 f  feature tokens of a window
    h  heads, p channels of a head      m  state of a Mamba-2 (``d_state``)
    k  13 outputs: the first five exclude each other, the other eight do not

Mamba-2 is that of Dao & Gu 2024 (arXiv 2405.21060) with the names and shapes of mamba_ssm.Mamba2, so that its kernels
run on the same weights. Leads share one tokenizer, so that any set of them will do.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecg.leads import N_LEADS
from models.classes import OUTPUTS, RHYTHMS
from models.inputs import (
    N_ATRIAL,
    N_CONTEXT,
    N_PULSE,
    N_RR,
    N_RR_SPAN,
    N_SHAPE,
    PPV_PER_LEAD,
    SECONDS,
    TOKENS,
    TOKENS_PER_S,
)
from models.network.batch import Batch
from models.network.config import FARTHEST, LOOKS, RR_SPANS, SIGNAL_UNIT, NetworkConfig
from models.network.mamba import FusedMamba2, Mamba2, RMSNorm, kernel_mamba2


class Output(NamedTuple):
    """What the network says of b windows.

    Attributes:
        seconds: (b, 10, k) probabilities of each second, oldest first.
        pooled_log: (b, k) log of the window's probabilities: those of the seconds, pooled.
        attention: (b, t, f) how much each token looked at each feature token (rows sum to 1); zeros without fusion.
        lead_attention: (b, t, 12) how much each token looked at each lead; zero at leads that are not known.
        logits: (b, 10, k) of ``seconds``.
        tokens: (b, t, d) the last layer of time tokens: what Grad-CAM starts from.
        joint: (b, k) what the joint feature token adds to each second's logits; zeros without the rhythm stream.
    """

    seconds: Tensor
    pooled_log: Tensor
    attention: Tensor
    lead_attention: Tensor
    logits: Tensor
    tokens: Tensor
    joint: Tensor


def tensors(batch: Batch, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """A batch as the network takes it: signal (n, 1000), ppv (n, 504), window and lead (n,) of the known leads."""
    window, lead = np.nonzero(batch.leads)
    arrays = {
        "signal": batch.signal[window, lead].astype(np.float32),
        "ppv": batch.ppv[window, lead].astype(np.float32),
        "window": window,
        "lead": lead,
        "leads": batch.leads,
        "rr": batch.rr,
        "shape": batch.shape,
        "atrial": batch.atrial,
        "pulse": batch.pulse.astype(np.float32),
        "context": batch.context,
        "context_age_s": batch.context_age_s,
    }
    return {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in arrays.items()}


class Standard(nn.Module):
    """Features to about −1 … 1, with a mask of what is known; ``center`` and ``scale`` are measured, not trained."""

    center: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    def measure(self, values: np.ndarray) -> None:
        """Median and interquartile range (/ 1.35: the σ of a normal distribution) of (rows, features), without NaN."""
        for i, column in enumerate(values.T):
            known = column[np.isfinite(column)].astype(np.float64)
            if len(known) == 0:
                continue
            low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
            self.center[i] = float(middle)
            self.scale[i] = max((high - low) / 1.35 or float(known.std()), 1e-6)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(…, features) with NaN -> values, 0 where unknown, and mask (1.0 known); both (…, features)."""
        values = ((x - self.center) / self.scale).clamp(-FARTHEST, FARTHEST)
        known = torch.isfinite(x)
        return torch.where(known, values, 0.0), known.to(x.dtype)


class Tokenizer(nn.Module):
    """One lead's 10 s at 100 Hz to 100 tokens; then all leads of a window to one token each 0.1 s.

    Without normalised convolutions the signal is learnt so late that the features have explained everything by then.
    """

    def __init__(self, config: NetworkConfig, normed: bool) -> None:
        super().__init__()
        narrow, wide = config.narrow, config.wide
        norm = nn.BatchNorm1d if normed else nn.Identity
        self.conv1 = nn.Conv1d(1, narrow, 9, stride=2, padding=4)
        self.depthwise = nn.Conv1d(narrow, narrow, 7, padding=3, groups=narrow)
        self.pointwise = nn.Conv1d(narrow, narrow, 1)
        self.conv2 = nn.Conv1d(narrow, wide, 11, stride=5, padding=5)
        self.norm1, self.norm_pointwise, self.norm2 = norm(narrow), norm(narrow), norm(wide)
        self.score = nn.Linear(wide, LOOKS)
        self.out = nn.Linear(LOOKS * wide, config.d)
        self.none = nn.Parameter(torch.zeros(config.d))  # the token where no lead is known

    def forward(self, signal: Tensor, window: Tensor, lead: Tensor, leads: Tensor) -> tuple[Tensor, Tensor]:
        """Signal (n, 1000), window and lead (n,), leads (b, 12) -> tokens (b, t, d), lead attention (b, t, 12)."""
        if not len(signal):  # nothing to take the statistics of
            return self.none.expand(len(leads), TOKENS, -1), signal.new_zeros(len(leads), TOKENS, N_LEADS)
        x = (signal / SIGNAL_UNIT).unsqueeze(1)  # (n, 1, 1000)
        x = F.silu(self.norm1(self.conv1(x)))  # (n, narrow, 500)
        x = x + F.silu(self.norm_pointwise(self.pointwise(self.depthwise(x))))  # (n, narrow, 500)
        x = F.silu(self.norm2(self.conv2(x))).transpose(1, 2).contiguous()  # (n, t, wide)
        b, t = len(leads), x.shape[1]
        score = x.new_full((b, N_LEADS, t, LOOKS), -torch.inf)
        score = score.index_put((window, lead), self.score(x))  # (b, 12, t, looks)
        some = leads.any(1)[:, None, None]  # (b, 1, 1)
        share = torch.where(some[..., None], score, 0.0).softmax(1) * leads[:, :, None, None]  # (b, 12, t, looks)
        seen = x.unsqueeze(2) * share[window, lead].unsqueeze(-1)  # (n, t, looks, wide)
        mean = x.new_zeros(b, t, LOOKS, x.shape[2]).index_add(0, window, seen)  # (b, t, looks, wide)
        tokens = self.out(mean.flatten(2))  # (b, t, d)
        return torch.where(some, tokens, self.none), share.mean(3).transpose(1, 2)


class MambaBlock(nn.Module):
    """x + forwards(norm(x)) and, unless causal, + backwards(norm(x))."""

    def __init__(self, config: NetworkConfig, kernels: str) -> None:
        super().__init__()
        make = {"torch": Mamba2, "fused": FusedMamba2, "mamba_ssm": kernel_mamba2}[kernels]
        self.norm = RMSNorm(config.d)
        self.fwd = make(config)
        self.bwd = make(config) if config.time == "bimamba" else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, d) -> (b, t, d)."""
        u = self.norm(x)
        y = self.fwd(u)
        if self.bwd is not None:
            y = y + self.bwd(u.flip(1)).flip(1)
        return torch.add(x, self.dropout(y))


class ConvBlock(nn.Module):
    """Two dilated convolutions with a residual: about as many weights as a Bi-Mamba block."""

    def __init__(self, config: NetworkConfig, at: int) -> None:
        super().__init__()
        first, second = 4**at, 2 * 4**at
        self.norm = RMSNorm(config.d)
        self.conv1 = nn.Conv1d(config.d, config.d, 7, padding=3 * first, dilation=first)
        self.conv2 = nn.Conv1d(config.d, config.d, 7, padding=3 * second, dilation=second)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, d) -> (b, t, d)."""
        y = self.conv2(F.silu(self.conv1(self.norm(x).transpose(1, 2))))
        return torch.add(x, self.dropout(F.silu(y).transpose(1, 2)))


def mlp(inputs: int, hidden: int, d: int) -> nn.Sequential:
    """Linear, SiLU, Linear."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, d))


class Features(nn.Module):
    """Feature tokens of a window: joint, rhythm, morphology, context, in this order."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        d = config.d
        if config.use_rhythm:
            self.rr, self.shape, self.atrial = Standard(N_RR), Standard(N_SHAPE), Standard(N_ATRIAL)
            self.joint = mlp(2 * (N_RR + N_SHAPE + N_ATRIAL), config.joint_hidden, d)
            self.rr_token = mlp(2 * N_RR_SPAN, d, d)
            self.span = nn.Parameter(0.02 * torch.randn(RR_SPANS, d))
            self.shape_token = mlp(2 * N_SHAPE, d, d)
            self.atrial_token = mlp(2 * N_ATRIAL, d, d)
        else:
            self.nothing = nn.Parameter(0.02 * torch.randn(d))  # attention needs one token at least
        if config.use_minirocket:
            self.ppv_token = mlp(PPV_PER_LEAD, d, d)
            self.lead = nn.Parameter(0.02 * torch.randn(N_LEADS, d))  # an RSR' means something else in V1 than in I
        if config.use_context:
            self.context = Standard(N_CONTEXT)
            self.context_token = mlp(2 * N_CONTEXT + 1, d, d)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Tokens (b, f, d), and which of them hold anything (b, f) bool; the first always does."""
        b, leads = len(batch["leads"]), batch["leads"]
        one = torch.ones(b, 1, dtype=torch.bool, device=leads.device)
        if self.config.use_rhythm:
            groups = [getattr(self, name)(batch[name]) for name in ("rr", "shape", "atrial")]
            joint = torch.cat([values for values, _ in groups] + [known for _, known in groups], -1)  # (b, 382)
            spans = [each.view(b, RR_SPANS, N_RR_SPAN) for each in groups[0]]
            rr = self.rr_token(torch.cat(spans, -1)) + self.span  # (b, 3, d)
            shape, atrial = self.shape_token(torch.cat(groups[1], -1)), self.atrial_token(torch.cat(groups[2], -1))
            tokens = [self.joint(joint)[:, None], rr, shape[:, None], atrial[:, None]]
            some = [one, spans[1].any(-1), groups[1][1].any(-1, keepdim=True), groups[2][1].any(-1, keepdim=True)]
        else:
            tokens, some = [self.nothing.expand(b, 1, -1)], [one]
        if self.config.use_minirocket:
            ppv = self.ppv_token(2 * (batch["ppv"] - 0.5)) + self.lead[batch["lead"]]  # (n, d)
            tokens.append(ppv.new_zeros(b, N_LEADS, ppv.shape[1]).index_put((batch["window"], batch["lead"]), ppv))
            some.append(leads)
        if self.config.use_context:
            values, known = self.context(batch["context"])  # (b, 5, 115)
            minutes = torch.nan_to_num(batch["context_age_s"] / 60).unsqueeze(-1)  # (b, 5, 1)
            tokens.append(self.context_token(torch.cat([values, known, minutes], -1)))
            some.append(known.any(-1))
        return self.dropout(torch.cat(tokens, 1)), torch.cat(some, 1)


class Fusion(nn.Module):
    """Each time token asks the feature tokens; then a small feed-forward."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        d = config.d
        if config.fusion == "cross":
            self.norm, self.feature_norm = RMSNorm(d), RMSNorm(d)
            self.q, self.kv, self.out = nn.Linear(d, d), nn.Linear(d, 2 * d), nn.Linear(d, d)
        self.ff_norm = RMSNorm(d)
        self.ff = mlp(d, 2 * d, d)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, tokens: Tensor, some: Tensor) -> tuple[Tensor, Tensor]:
        """x (b, t, d), tokens (b, f, d), some (b, f) -> x (b, t, d), attention (b, t, f), the mean of the heads."""
        if self.config.fusion == "cross":
            added, attention = self.ask(self.norm(x), self.feature_norm(tokens), some)
        else:
            added = ((tokens * some[..., None]).sum(1) / some.sum(1, keepdim=True))[:, None].expand_as(x)
            attention = x.new_zeros(*x.shape[:2], tokens.shape[1])
        x = x + self.dropout(added)
        return x + self.dropout(self.ff(self.ff_norm(x))), attention

    def ask(self, x: Tensor, tokens: Tensor, some: Tensor) -> tuple[Tensor, Tensor]:
        """Multi-head attention over what is known."""
        b, t, d = x.shape
        h = self.config.heads
        q = self.q(x).view(b, t, h, d // h).transpose(1, 2)  # (b, h, t, d / h)
        k, v = self.kv(tokens).view(b, -1, 2, h, d // h).permute(2, 0, 3, 1, 4)  # (b, h, f, d / h) each
        score = q @ k.transpose(-1, -2) * (d // h) ** -0.5  # (b, h, t, f)
        share = score.masked_fill(~some[:, None, None], -torch.inf).softmax(-1)
        return self.out((share @ v).transpose(1, 2).reshape(b, t, d)), share.mean(1)


class Network(nn.Module):
    """From the tensors of a batch to probabilities by second and by window."""

    def __init__(self, config: NetworkConfig, kernels: str = "torch", normed: bool = False) -> None:
        """A network with random weights.

        Args:
            config: its shape.
            kernels: all on the same state dict: "torch"; "fused" trains faster on a CPU; "mamba_ssm" is for CUDA.
            normed: batch normalisation in the tokenizer, for training; :meth:`folded` takes it out.
        """
        super().__init__()
        self.config = config
        self.kernels = kernels
        d = config.d
        if config.use_signal:
            self.tokenizer = Tokenizer(config, normed)
        else:
            self.none = nn.Parameter(torch.zeros(d))
        if config.use_rhythm:
            self.pulse = nn.Linear(N_PULSE, d)
            self.joint_head = nn.Linear(d, len(OUTPUTS))
        self.features = Features(config)
        self.blocks = nn.ModuleList(
            ConvBlock(config, at) if config.time == "tcn" else MambaBlock(config, kernels)
            for at in range(config.blocks)
        )
        self.fusion = Fusion(config)
        self.norm = RMSNorm(d)
        self.head = nn.Linear(d, len(OUTPUTS))

    def set_scales(self, batch: Batch) -> None:
        """Measure center and scale of each feature on a batch that stands for the data; NaN is left out."""
        if self.config.use_rhythm:
            for name in ("rr", "shape", "atrial"):
                getattr(self.features, name).measure(getattr(batch, name))
        if self.config.use_context:
            self.features.context.measure(batch.context.reshape(-1, N_CONTEXT))

    def forward(self, batch: Mapping[str, Tensor]) -> Output:
        """What :func:`tensors` makes -> what is said of each window."""
        leads = batch["leads"]
        b, t = batch["pulse"].shape[:2]
        if self.config.use_signal:
            x, lead_attention = self.tokenizer(batch["signal"], batch["window"], batch["lead"], leads)  # (b, t, d)
        else:
            x, lead_attention = self.none.expand(b, t, -1), self.none.new_zeros(b, t, N_LEADS)
        if self.config.use_rhythm:
            x = x + self.pulse(batch["pulse"])  # (b, t, d)
        tokens, some = self.features(batch)  # (b, f, d), (b, f)
        for block in self.blocks[:-1]:
            x = block(x)  # (b, t, d)
        x, attention = self.fusion(x, tokens, some)  # (b, t, d), (b, t, f)
        last = self.blocks[-1](x)  # (b, t, d)
        x = self.norm(last.view(b, SECONDS, TOKENS_PER_S, -1).mean(2))  # (b, 10, d)
        logits = self.head(x)  # (b, 10, k)
        joint = self.joint_head(tokens[:, 0]) if self.config.use_rhythm else logits.new_zeros(b, len(OUTPUTS))  # (b, k)
        logits = logits + joint[:, None]
        rhythms, findings = logits[..., : len(RHYTHMS)], logits[..., len(RHYTHMS) :]
        log = torch.cat([rhythms.log_softmax(-1), F.logsigmoid(findings)], -1)  # (b, 10, k)
        return Output(log.exp(), self.pool(log), attention, lead_attention, logits, last, joint)

    def folded(self) -> "Network":
        """The same network as it is evaluated, its batch normalisation multiplied into the convolutions before it."""
        state = self.state_dict()
        for name, module in self.named_modules():
            if not isinstance(module, nn.BatchNorm1d):
                continue
            assert module.running_mean is not None
            assert module.running_var is not None
            conv = name.replace("norm_", "").replace("norm", "conv")
            by = module.weight / torch.sqrt(module.running_var + module.eps)
            state[f"{conv}.weight"] = state[f"{conv}.weight"] * by[:, None, None]
            state[f"{conv}.bias"] = (state[f"{conv}.bias"] - module.running_mean) * by + module.bias
            for each in module.state_dict():
                del state[f"{name}.{each}"]
        network = Network(self.config, self.kernels).to(next(self.parameters()).device)
        network.load_state_dict(state)
        return network.eval()

    def pool(self, log: Tensor) -> Tensor:
        """Log p = log((mean over seconds of p_t^q)^(1/q)): (b, 10, k) -> (b, k)."""
        if self.config.pooling == "max":
            return log.amax(1)
        q = self.config.power if self.config.pooling == "power" else 1.0
        return torch.div(torch.logsumexp(q * log, 1) - np.log(SECONDS), q)


def parameter_count(network: nn.Module) -> int:
    """Trained numbers."""
    return sum(p.numel() for p in network.parameters())
