"""What the network looked at: Grad-CAM over time and leads, and attention to the feature tokens, without autograd.

Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) at the last layer of time tokens, for the window's probability of one
class. From there on the network is per-second means, an RMSNorm, a linear head, (log-)softmax and the power mean, whose
gradient is written out below. A token's weight is spread over the leads as the tokenizer's attention took them.

Symbols: t = 100 tokens, s = 10 seconds, d channels, k outputs; tokens H (t, d), u = means of H by second (s, d).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg.leads import LEADS, N_LEADS
from models.classes import OUTPUTS, RHYTHMS
from models.inputs import CONTEXT_WINDOWS, SECONDS, TOKENS_PER_S
from models.network.config import EPS
from models.network.forward import Result

HEAD = ("norm.weight", "head.weight", "head.bias")  # the weights behind the last layer of tokens

Floats = npt.NDArray[np.float32]


# Feature tokens in the network's order, those of one kind together.
TOKENS = (
    *("joint", "rr_10s", "rr_30s", "rr_60s", "qrs_shape", "atrial"),
    *("morphology",) * N_LEADS,
    *("past_minute",) * CONTEXT_WINDOWS,
)


@dataclass(frozen=True)
class Explanation:
    """Why one window was given one class; whole per cent.

    Attributes:
        saliency: known lead → Grad-CAM in each of its ten seconds, 100 at the largest of all leads; zero where it
            spoke against.
        attention: kind of feature token → its share of the window's attention; the kinds sum to 100 but for rounding.
        attention_by_second: kind of feature token → its share in each of the ten seconds, oldest first; the kinds of a
            second sum to 100 but for rounding.
    """

    saliency: dict[str, tuple[int, ...]]
    attention: dict[str, int]
    attention_by_second: dict[str, tuple[int, ...]]


def explain(result: Result, weights: Mapping[str, Floats], power: float, output: str) -> Explanation:
    """The explanation of ``output`` for the first window of ``result``; arguments as for :func:`grad_cam`."""
    cam = grad_cam(result.tokens[0], result.joint[0], weights, power, output)
    by_second = saliency(cam, result.lead_attention[0])
    known = result.lead_attention[0].any(axis=0)
    shares = attention_by_second(result.attention[0])
    return Explanation(
        saliency={
            lead: tuple(round(100 * float(value)) for value in by_second[:, at])
            for at, lead in enumerate(LEADS)
            if known[at]
        },
        attention={kind: round(100 * float(share.mean())) for kind, share in shares.items()},
        attention_by_second={kind: tuple(round(100 * float(s)) for s in share) for kind, share in shares.items()},
    )


def attention_by_second(attention: Floats) -> dict[str, Floats]:
    """Kind of feature token → (10,) its share in each second, of (100, 23) attention; the kinds of a second sum to 1.

    The cross-attention asks once each tenth of a second, with what the signal and the pulse around it have told.
    """
    by_second = attention.reshape(SECONDS, TOKENS_PER_S, -1).mean(axis=1)  # (s, f)
    shares = {kind: np.zeros(SECONDS, np.float32) for kind in TOKENS}
    for kind, share in zip(TOKENS, by_second.T, strict=True):
        shares[kind] += share
    return shares


def grad_cam(tokens: Floats, joint: Floats, weights: Mapping[str, Floats], power: float, output: str) -> Floats:
    """(100,) Grad-CAM of one window: how each tenth of a second speaks for ``output``; zero or more.

    Args:
        tokens: (100, d) the last layer of time tokens.
        joint: (k,) what the joint feature token adds to each second's logits.
        weights: ``norm.weight`` (d,), ``head.weight`` (k, d) and ``head.bias`` (k,).
        power: Q of the power mean.
        output: one of ``models.classes.OUTPUTS``.

    Raises:
        ValueError: there is no such output.
    """
    if output not in OUTPUTS:
        raise ValueError(f"output: expected one of {', '.join(OUTPUTS)}, got {output!r}")
    k = OUTPUTS.index(output)
    gamma, head = weights["norm.weight"].astype(np.float64), weights["head.weight"].astype(np.float64)
    u = tokens.astype(np.float64).reshape(SECONDS, TOKENS_PER_S, -1).mean(axis=1)  # (s, d)
    rms = np.sqrt((u**2).mean(axis=1, keepdims=True) + EPS)  # (s, 1)
    logits = (gamma * u / rms) @ head.T + weights["head.bias"] + joint  # (s, k)
    if k < len(RHYTHMS):
        rhythms = logits[:, : len(RHYTHMS)]
        p = np.exp(rhythms - rhythms.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        log_p = np.log(p[:, k])
        by_logit = -p @ head[: len(RHYTHMS)] + head[k]  # (s, d): d log p_k / d logits · head
    else:
        log_p = -np.logaddexp(0, -logits[:, k])
        by_logit = (1 - np.exp(log_p))[:, None] * head[k]
    share = np.exp(power * (log_p - log_p.max()))
    share /= share.sum()  # of each second in the gradient of the power mean
    g = gamma * by_logit * share[:, None]  # (s, d)
    by_u = g / rms - u * (u * g).mean(axis=1, keepdims=True) / rms**3
    gradient = np.repeat(by_u / TOKENS_PER_S, TOKENS_PER_S, axis=0)  # (t, d)
    cam: Floats = np.maximum(tokens @ gradient.mean(axis=0), 0).astype(np.float32)
    return cam


def saliency(cam: Floats, lead_attention: Floats) -> Floats:
    """(10, 12) of (100,) Grad-CAM and the (100, 12) attention to leads, scaled to 1 at the largest."""
    by_second = (cam[:, None] * lead_attention).reshape(SECONDS, TOKENS_PER_S, -1).mean(axis=1)
    top = by_second.max()
    scaled: Floats = (by_second / top if top > 0 else by_second).astype(np.float32)
    return scaled
