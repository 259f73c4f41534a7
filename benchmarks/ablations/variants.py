"""What is compared: the whole network, each with one part taken out or put in, and the rivals."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.ablations.resnet import ResNetwork, WindowAlone
from models.network.config import NetworkConfig
from models.network.kernels import DEFAULT
from models.network.torch_network import Network

REFERENCE = "full"
_FUSED = ("d", "expand", "headdim", "d_state", "d_conv")  # what the fused kernels are compiled for
_SIGNAL_ALONE = {"use_minirocket": False, "use_rhythm": False, "use_context": False}


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        name: of its folder and its row.
        about: what it is, in the table.
        changed: fields of the network's config.
        kind: the class of the network.
        trees: the rival of ``wardbeat.training.boosted`` that is trained instead of a network.
        taught: learns from the base's teacher, if it has one.
        seed: added to the config's.
    """

    name: str
    about: str
    changed: Mapping[str, Any] = field(default_factory=dict)
    kind: type[Network] = Network
    trees: str | None = None
    taught: bool = True
    seed: int = 0

    def network(self, base: NetworkConfig) -> NetworkConfig:
        """The network's config."""
        return replace(base, **self.changed)

    def kernels(self, base: NetworkConfig) -> str:
        """The quickest kernels on a CPU that can do it; none of this changes a weight by more than rounding."""
        config = self.network(base)
        fits = all(getattr(config, name) == getattr(DEFAULT, name) for name in _FUSED)
        return "fused" if fits and config.time == "bimamba" and self.kind is not ResNetwork else "torch"


VARIANTS = (
    Variant(REFERENCE, "the network as it is"),
    Variant("full_again", "the same from another seed: what chance alone does", seed=1),
    Variant("no_teacher", "by labels alone", taught=False),
    Variant("no_signal", "without the signal's tokens", {"use_signal": False}),
    Variant("no_minirocket", "without MiniRocket", {"use_minirocket": False}),
    Variant("no_rhythm", "without RR, QRS shape, atrial features and pulse", {"use_rhythm": False}),
    Variant("no_context", "without past windows", {"use_context": False}),
    Variant("window_alone", "without past windows and RR features beyond 10 s", {"use_context": False}, WindowAlone),
    Variant("signal_alone", "tokenizer and Bi-Mamba on 10 s of signal alone", _SIGNAL_ALONE),
    Variant("no_fusion", "feature tokens' mean added instead of cross-attention", {"fusion": "none"}),
    Variant("mean_pooling", "mean instead of power mean over seconds", {"pooling": "mean"}),
    Variant("max_pooling", "maximum instead of power mean over seconds", {"pooling": "max"}),
    Variant("causal", "causal Mamba of twice the width instead of Bi-Mamba", {"time": "mamba", "expand": 4}),
    Variant("tcn", "TCN instead of Bi-Mamba, all streams", {"time": "tcn"}),
    Variant("resnet", "ResNet1D instead of tokenizer and Bi-Mamba, all streams", {"blocks": 2}, ResNetwork),
    Variant("resnet_alone", "ResNet1D on 10 s of signal alone", {**_SIGNAL_ALONE, "blocks": 5}, ResNetwork),
    Variant("trees_rr", "boosted trees on RR of 10, 30 and 60 s", trees="rr"),
    Variant("trees_features", "boosted trees on RR, QRS shape and atrial features", trees="features"),
    Variant("trees_context", "the same with past windows", trees="context"),
)


def chosen(names: list[str]) -> tuple[Variant, ...]:
    """The variants of these names in the table's order, all where none is named; ValueError for an unknown one."""
    known = {variant.name: variant for variant in VARIANTS}
    for name in names:
        if name not in known:
            raise ValueError(f"no variant {name!r}; known: {', '.join(known)}")
    return tuple(variant for variant in VARIANTS if not names or variant.name in names)
