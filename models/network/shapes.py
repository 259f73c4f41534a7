"""Names and shapes of the network's tensors, so that a file of weights can be judged without torch."""

from ecg.leads import N_LEADS
from models.classes import OUTPUTS
from models.inputs import N_ATRIAL, N_CONTEXT, N_PULSE, N_RR, N_RR_SPAN, N_SHAPE, PPV_PER_LEAD
from models.network.config import LOOKS, RR_SPANS, NetworkConfig

Shapes = dict[str, tuple[int, ...]]


def tensor_shapes(config: NetworkConfig) -> Shapes:
    """Name → shape of all that ``models.network.torch_network.Network(config).state_dict()`` holds."""
    d, k = config.d, len(OUTPUTS)
    shapes = _tokenizer(config) if config.use_signal else {"none": (d,)}
    if config.use_rhythm:
        shapes |= _linear("pulse", N_PULSE, d) | _linear("joint_head", d, k)
    shapes |= _features(config)
    for at in range(config.blocks):
        shapes |= _block(f"blocks.{at}", config)
    return shapes | _fusion(config) | {"norm.weight": (d,)} | _linear("head", d, k)


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _conv(name: str, inputs: int, outputs: int, width: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, width), f"{name}.bias": (outputs,)}


def _mlp(name: str, inputs: int, hidden: int, d: int) -> Shapes:
    return _linear(f"{name}.0", inputs, hidden) | _linear(f"{name}.2", hidden, d)


def _standard(name: str, features: int) -> Shapes:
    return {f"{name}.center": (features,), f"{name}.scale": (features,)}


def _tokenizer(config: NetworkConfig) -> Shapes:
    narrow, wide = config.narrow, config.wide
    return {
        **_conv("tokenizer.conv1", 1, narrow, 9),
        **_conv("tokenizer.depthwise", 1, narrow, 7),
        **_conv("tokenizer.pointwise", narrow, narrow, 1),
        **_conv("tokenizer.conv2", narrow, wide, 11),
        **_linear("tokenizer.score", wide, LOOKS),
        **_linear("tokenizer.out", LOOKS * wide, config.d),
        "tokenizer.none": (config.d,),
    }


def _features(config: NetworkConfig) -> Shapes:
    d = config.d
    shapes: Shapes = {}
    if config.use_rhythm:
        groups = {"rr": N_RR, "shape": N_SHAPE, "atrial": N_ATRIAL}
        for name, features in groups.items():
            shapes |= _standard(f"features.{name}", features)
        shapes |= _mlp("features.joint", 2 * sum(groups.values()), config.joint_hidden, d)
        shapes |= _mlp("features.rr_token", 2 * N_RR_SPAN, d, d)
        shapes["features.span"] = (RR_SPANS, d)
        shapes |= _mlp("features.shape_token", 2 * N_SHAPE, d, d)
        shapes |= _mlp("features.atrial_token", 2 * N_ATRIAL, d, d)
    else:
        shapes["features.nothing"] = (d,)
    if config.use_minirocket:
        shapes |= _mlp("features.ppv_token", PPV_PER_LEAD, d, d)
        shapes["features.lead"] = (N_LEADS, d)
    if config.use_context:
        shapes |= _standard("features.context", N_CONTEXT)
        shapes |= _mlp("features.context_token", 2 * N_CONTEXT + 1, d, d)
    return shapes


def _mamba2(name: str, config: NetworkConfig) -> Shapes:
    """Those of ``mamba_ssm.Mamba2`` with one group and neither bias of its projections."""
    inner, heads = config.d_inner, config.mamba_heads
    channels = inner + 2 * config.d_state
    return {
        f"{name}.in_proj.weight": (inner + channels + heads, config.d),
        **_conv(f"{name}.conv1d", 1, channels, config.d_conv),
        f"{name}.dt_bias": (heads,),
        f"{name}.A_log": (heads,),
        f"{name}.D": (heads,),
        f"{name}.norm.weight": (inner,),
        f"{name}.out_proj.weight": (config.d, inner),
    }


def _block(name: str, config: NetworkConfig) -> Shapes:
    d = config.d
    shapes: Shapes = {f"{name}.norm.weight": (d,)}
    if config.time == "tcn":
        return shapes | _conv(f"{name}.conv1", d, d, 7) | _conv(f"{name}.conv2", d, d, 7)
    shapes |= _mamba2(f"{name}.fwd", config)
    return shapes | (_mamba2(f"{name}.bwd", config) if config.time == "bimamba" else {})


def _fusion(config: NetworkConfig) -> Shapes:
    d = config.d
    shapes: Shapes = {"fusion.ff_norm.weight": (d,), **_mlp("fusion.ff", d, 2 * d, d)}
    if config.fusion == "cross":
        shapes |= {"fusion.norm.weight": (d,), "fusion.feature_norm.weight": (d,)}
        shapes |= _linear("fusion.q", d, d) | _linear("fusion.kv", d, 2 * d) | _linear("fusion.out", d, d)
    return shapes
