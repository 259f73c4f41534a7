"""A ResNet1D in the place of tokenizer and Bi-Mamba, and a network that sees no second before its window.

The residual tower of a lead is shared by all leads, for one slot a lead generalised worse (a rival has to be the better
of two). After He et al. 2016 (arXiv 1512.03385) and, for ECG, Wang et al. 2017 (arXiv 1611.06455): convolution, batch
normalisation, ReLU, twice, added to what came in. Symbols as in ``models.network.torch_network``.
"""

import copy
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecg.leads import N_LEADS
from models.inputs import N_RR_SPAN, TOKENS
from models.network.config import LOOKS, SIGNAL_UNIT, NetworkConfig
from models.network.torch_network import Network, Output

STEM = 32  # channels of the first convolution
TOWER_KERNEL = 7  # at 50 Hz: 0.14 s, a QRS complex
TRUNK_KERNEL = 9  # at 10 Hz: 0.9 s, so that four blocks see more than 6 s


class Residual(nn.Module):
    """ReLU(x + dropout(two convolutions of x)); the first may take steps and change the channels, as then x does."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm1 = nn.BatchNorm1d(outputs)
        self.conv2 = nn.Conv1d(outputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm2 = nn.BatchNorm1d(outputs)
        self.dropout = nn.Dropout(dropout)
        self.same = inputs == outputs and stride == 1
        self.shortcut = (
            nn.Identity()
            if self.same
            else nn.Sequential(nn.Conv1d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm1d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, l) -> (n, outputs, l / stride)."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(self.shortcut(x) + self.dropout(y))


class Tower(nn.Module):
    """Each lead's 10 s at 100 Hz to 100 tokens by residual blocks; leads are weighed and added as the network does."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        wide = config.wide
        self.stem = nn.Conv1d(1, STEM, 15, stride=2, padding=7, bias=False)
        self.norm = nn.BatchNorm1d(STEM)
        self.block1 = Residual(STEM, STEM, TOWER_KERNEL)
        self.block2 = Residual(STEM, wide, TOWER_KERNEL, stride=5)
        self.score = nn.Linear(wide, LOOKS)
        self.out = nn.Linear(LOOKS * wide, config.d)
        self.none = nn.Parameter(torch.zeros(config.d))  # the token where no lead is known

    def forward(self, signal: Tensor, window: Tensor, lead: Tensor, leads: Tensor) -> tuple[Tensor, Tensor]:
        """Signal (n, 1000), window and lead (n,), leads (b, 12) -> tokens (b, t, d), lead attention (b, t, 12)."""
        b = len(leads)
        if not len(signal):  # nothing to take the statistics of
            return self.none.expand(b, TOKENS, -1), signal.new_zeros(b, TOKENS, N_LEADS)
        x = F.relu(self.norm(self.stem((signal / SIGNAL_UNIT).unsqueeze(1))))  # (n, 32, 500)
        x = self.block2(self.block1(x)).transpose(1, 2)  # (n, t, wide)
        score = x.new_full((b, N_LEADS, TOKENS, LOOKS), -torch.inf)
        score = score.index_put((window, lead), self.score(x))  # (b, 12, t, looks)
        some = leads.any(1)[:, None, None]  # (b, 1, 1)
        share = torch.where(some[..., None], score, 0.0).softmax(1) * leads[:, :, None, None]  # (b, 12, t, looks)
        seen = x.unsqueeze(2) * share[window, lead].unsqueeze(-1)  # (n, t, looks, wide)
        mean = x.new_zeros(b, TOKENS, LOOKS, x.shape[2]).index_add(0, window, seen)  # (b, t, looks, wide)
        return torch.where(some, self.out(mean.flatten(2)), self.none), share.mean(3).transpose(1, 2)


class Trunk(nn.Module):
    """A residual block over time tokens."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.block = Residual(config.d, config.d, TRUNK_KERNEL, dropout=config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(b, t, d) -> (b, t, d)."""
        y: Tensor = self.block(x.transpose(1, 2)).transpose(1, 2)
        return y


class NoFusion(nn.Module):
    """Where there are no features, a ResNet has nothing to ask."""

    def forward(self, x: Tensor, tokens: Tensor, some: Tensor) -> tuple[Tensor, Tensor]:
        """x (b, t, d) as it is, and attention (b, t, f) of zero."""
        del some
        return x, x.new_zeros(*x.shape[:2], tokens.shape[1])


class ResNetwork(Network):
    """The network with a residual tower as its tokenizer and residual blocks instead of Bi-Mamba's.

    With a config that uses no features it is a ResNet1D on 10 s of signal alone.
    """

    def __init__(self, config: NetworkConfig, kernels: str = "torch", normed: bool = False) -> None:
        """As ``Network``, whose normalisation this one keeps, ``normed`` or not."""
        super().__init__(config, kernels, normed)
        self.tokenizer = Tower(config)  # type: ignore[assignment]
        self.blocks = nn.ModuleList(Trunk(config) for _ in range(config.blocks))
        if not (config.use_rhythm or config.use_minirocket or config.use_context):
            self.fusion = NoFusion()  # type: ignore[assignment]

    def folded(self) -> Network:
        """Itself, as it is evaluated."""
        return copy.deepcopy(self).eval()


class WindowAlone(Network):
    """The network without the RR features of 30 and 60 s; without the past windows if its config says so."""

    def forward(self, batch: Mapping[str, Tensor]) -> Output:
        """As ``Network``."""
        rr = batch["rr"].clone()
        rr[:, N_RR_SPAN:] = torch.nan
        return super().forward({**batch, "rr": rr})
