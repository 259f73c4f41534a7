"""The size of the network, and what an ablation takes out of it."""

from dataclasses import asdict, dataclass
from typing import Any

from models.inputs import N_RR, N_RR_SPAN, TOKENS

EPS = 1e-5  # of RMSNorm, as in mamba_ssm
SIGNAL_UNIT = 100  # of the input, which counts hundredths of the lead's slow amplitude
RR_SPANS = N_RR // N_RR_SPAN
FARTHEST = 5.0  # scales from the center: beyond it a feature says no more
LOOKS = 2  # of a token at the leads: means, for twelve leads say no more than one only because they are twelve
CHOICES = {"fusion": ("cross", "none"), "pooling": ("power", "mean", "max"), "time": ("bimamba", "mamba", "tcn")}


@dataclass(frozen=True)
class NetworkConfig:
    """What shapes the weights; the switches at the end name the ablations.

    Attributes:
        d: width of a token.
        narrow: channels of the tokenizer's first convolutions.
        wide: channels of its last one.
        blocks: Bi-Mamba blocks; the last one stands after the fusion.
        d_state, d_conv, expand, headdim: of each Mamba-2, named as in mamba_ssm.
        chunk: tokens that the training form of Mamba-2 takes at once; the result does not depend on it.
        heads: of the cross-attention.
        joint_hidden: hidden units of the joint feature token.
        power: Q of the power mean over seconds.
        dropout: in training, of what each block adds and of the feature tokens.
        use_signal: the tokenizer's tokens.
        use_minirocket: the morphology tokens.
        use_rhythm: RR, QRS shape, atrial features and the pulse.
        use_context: tokens of past windows.
        fusion: "cross" attention, or "none": the mean of the feature tokens is added to each time token.
        pooling: of the seconds' probabilities: "power" mean, "mean" or "max".
        time: "bimamba", "mamba" (forwards alone: causal) or "tcn" (dilated convolutions of about the same size).
    """

    d: int = 64
    narrow: int = 24
    wide: int = 64
    blocks: int = 3
    d_state: int = 32
    d_conv: int = 4
    expand: int = 2
    headdim: int = 16
    chunk: int = 20
    heads: int = 4
    joint_hidden: int = 192
    power: float = 3.0
    dropout: float = 0.1
    use_signal: bool = True
    use_minirocket: bool = True
    use_rhythm: bool = True
    use_context: bool = True
    fusion: str = "cross"
    pooling: str = "power"
    time: str = "bimamba"

    def __post_init__(self) -> None:
        """Raise ValueError, quoting, for what cannot be built."""
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; known: {', '.join(known)}")
        for whole, part in (("d_inner", "headdim"), ("d", "heads")):
            if getattr(self, whole) % getattr(self, part):
                raise ValueError(f"{whole} is {getattr(self, whole)}, not a multiple of {part} {getattr(self, part)}")
        if TOKENS % self.chunk:
            raise ValueError(f"chunk is {self.chunk}, which does not divide {TOKENS} tokens")
        if self.blocks < 1:
            raise ValueError(f"blocks is {self.blocks}; one at least stands after the fusion")
        if self.power <= 0:
            raise ValueError(f"power is {self.power}; it has to be above 0")

    @property
    def d_inner(self) -> int:
        """Channels that a Mamba-2 scans."""
        return self.expand * self.d

    @property
    def mamba_heads(self) -> int:
        """Heads of a Mamba-2, each with one decay."""
        return self.d_inner // self.headdim

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a file's header."""
        return asdict(self)
