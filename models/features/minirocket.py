"""MiniRocket over twelve leads (Dempster, Schmidt and Webb 2021, arXiv 2012.08791), whole windows or hop by hop.

A feature is a PPV: the proportion of positions at which a dilated convolution exceeds a bias. Departures from the
paper, each for the live ward:

- **Integers.** Samples are whole steps, clipped to ±303: then nine leads sum up exactly in int16, and a bias is an
  integer, because C > b exactly if C > ⌊b⌋. How large a step is, ``models.features.extractor`` says.
- **Real history instead of zero padding.** Position ``e`` of a convolution is that of its newest tap. Half of the
  features ("padded" in the paper) count every position of the window and look up to 8 d samples further back, where the
  paper assumes zeros. The other half count only positions whose taps all lie within the window, as in the paper.
- **No normalisation by window**: the same second must give the same counts in each window that holds it.
- **Missing leads** add nothing. A feature none of whose leads is known is not known.

So counts add up over hops, and :class:`MiniRocketStream` and :func:`transform` agree to the last bit.

Symbols: b windows, n samples of a window, h samples of history, f features, m combinations (84 for each dilation).
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from ecg.leads import N_LEADS
from models.features import minirocket_kernels as kernels
from models.features.minirocket_parameters import (
    KNOWN_SHARE,
    Mask,
    MiniRocketConfig,
    MiniRocketParameters,
    alternating,
)

LIMIT = 303  # steps; the weights' magnitudes sum to 12, and 12 · 303 · 9 leads = 32724 fits into int16

Samples = npt.NDArray[np.int16]
_count_window: Callable[..., None] = kernels.count_window


def _dilations(config: MiniRocketConfig) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Dilations spread evenly over octaves, and features for each (Dempster 2021, section 3.1)."""
    per_kernel = config.features // kernels.N_KERNELS
    most = min(per_kernel, config.most_dilations)
    exponents = np.linspace(0, np.log2((config.reach - 1) / (kernels.TAPS - 1)), most)
    dilations, counts = np.unique(np.exp2(exponents).astype(np.int32), return_counts=True)
    counts = (counts * (per_kernel / most)).astype(np.int32)
    counts[: per_kernel - counts.sum()] += 1
    return dilations, counts.astype(np.int32)


def fit(windows: Samples, mask: Mask, config: MiniRocketConfig) -> MiniRocketParameters:
    """Draw leads, and take the biases from convolutions of training windows at low-discrepancy quantiles.

    The windows of a combination's biases are among those that know most of its leads.

    Args:
        windows: (b, 12, h + n) int16 steps of ±303, any history h; older samples count as zero.
        mask: the same shape, True where real.
        config: what to fit; the same input and seed give the same parameters.

    Raises:
        ValueError: a shape or value is wrong, or no window knows any lead of a combination.
    """
    dilations, per_dilation = _dilations(config)
    rng = np.random.default_rng(config.seed)
    m = kernels.N_KERNELS * len(dilations)
    lead_counts = np.exp2(rng.uniform(0, np.log2(config.most_leads + 1), m)).astype(np.int32)
    leads = np.concatenate([rng.choice(N_LEADS, count, replace=False) for count in lead_counts]).astype(np.int32)
    blank = MiniRocketParameters(
        geometry=np.array([config.rate, config.window], dtype=np.int32),
        dilations=dilations,
        per_dilation=per_dilation,
        lead_counts=lead_counts,
        leads=leads,
        padded=alternating(len(dilations)) if config.use_history else np.zeros(m, dtype=np.uint8),
        biases=np.zeros(kernels.N_KERNELS * int(per_dilation.sum()), dtype=np.int16),
    )
    check(windows, mask)
    real = mask[..., -config.window :].sum(axis=-1) >= KNOWN_SHARE * config.window  # (b, 12)
    of_each = np.repeat(per_dilation, kernels.N_KERNELS)
    quantiles = (np.arange(1, blank.features + 1) * ((np.sqrt(5) + 1) / 2)) % 1
    biases = []
    done = 0
    for i in range(m):
        own = leads[blank.starts[i] : blank.starts[i + 1]]
        score = real[:, own].sum(axis=1)
        if not score.any():
            raise ValueError(f"windows: none of {len(windows)} knows any of the leads {own.tolist()}")
        window = int(rng.choice(np.flatnonzero(score == score.max())))
        x = extended(windows[window], mask[window], blank.history, config.window, kernels.BLOCK)
        at, n = blank.history + int(blank.offsets[i]), config.window - int(blank.offsets[i])
        d, twos = int(blank.reach[i]) // 8, kernels.TWOS[i % kernels.N_KERNELS]
        c = kernels.convolution(x, own, at, n, d, twos)
        biases.append(np.floor(np.quantile(c, quantiles[done : done + of_each[i]])))
        done += int(of_each[i])
    stored = blank.arrays() | {"biases": np.concatenate(biases).astype(np.int16)}
    return MiniRocketParameters.from_arrays(stored)


def check(samples: Samples, mask: Mask) -> None:
    """Refuse what the kernels would not: beyond ±303 steps their int16 sums would wrap unseen.

    Args:
        samples: (…, 12, n) int16 steps of ±303.
        mask: the same shape, True where real.

    Raises:
        ValueError: a shape, dtype or value is wrong; quotes it.
    """
    if samples.dtype != np.int16 or samples.shape[-2:-1] != (N_LEADS,) or samples.shape != mask.shape:
        raise ValueError(
            f"samples, mask: expected int16 (..., 12, n) twice, got {samples.dtype} {samples.shape}, {mask.shape}"
        )
    if samples.size and (samples.max() > LIMIT or samples.min() < -LIMIT):
        raise ValueError(f"samples: expected ±{LIMIT} steps, got {samples.min()} to {samples.max()}")


def extended(samples: Samples, mask: Mask, left: int, width: int, right: int) -> Samples:
    """(12, left + width + right): the newest samples, zero where missing, before the first, and on the right."""
    taken = min(samples.shape[-1], left + width)
    x = np.zeros((N_LEADS, left + width + right), dtype=np.int16)
    newest = slice(samples.shape[-1] - taken, samples.shape[-1])
    np.multiply(samples[:, newest], mask[:, newest], out=x[:, left + width - taken : left + width])
    return x


def transform(
    windows: Samples,
    mask: Mask,
    parameters: MiniRocketParameters,
    padding: Literal["history", "zeros"] = "history",
) -> tuple[npt.NDArray[np.float32], Mask]:
    """PPVs of whole windows.

    Args:
        windows: (b, 12, h + n) int16 steps of ±303; the last n samples are the window. ``parameters.history`` samples
            before it are looked at; those not given count as zero, as before the beginning of an epoch.
        mask: the same shape, True where real.
        parameters: what :func:`fit` gave.
        padding: ``zeros`` is the paper's and ``sktime``'s, centred: zeros before and after the window.

    Returns:
        (b, f) float32 PPV in 0 … 1, zero where not known; (b, f) True where known: one of the feature's leads is real
        in at least half of the window.

    Raises:
        ValueError: a shape, dtype or value is wrong, or less than a window is given.
    """
    check(windows, mask)
    n, margin = parameters.window, int(parameters.reach.max())
    if windows.ndim != 3 or windows.shape[-1] < n:
        raise ValueError(f"windows: expected (b, 12, at least {n}), got {windows.shape}")
    if padding == "zeros":
        windows, mask = windows[..., -n:], mask[..., -n:]
    centred = parameters.reach // 2 if padding == "zeros" else 0
    first = margin + np.where(parameters.padded != 0, centred, parameters.offsets)
    end = margin + n + np.where(parameters.padded != 0, centred, 0)
    counts = np.empty((len(windows), parameters.features), dtype=np.int32)
    for i in range(len(windows)):
        x = extended(windows[i], mask[i], margin, n, margin + kernels.BLOCK)
        _count_window(x, first, end, *arguments(parameters), counts[i])
    known = parameters.known(mask[..., -n:].sum(axis=-1))
    return proportions(counts, known, parameters), known


def arguments(parameters: MiniRocketParameters) -> tuple[npt.NDArray[np.generic], ...]:
    """What ``count_window`` and ``count_hop`` take of the parameters, in their order.

    Returns:
        Dilations (k,), features a kernel at each (k,), where each combination's leads begin (m + 1,), the leads, the
        biases (f,), and the taps of weight two of each kernel (84, 3).
    """
    p = parameters
    return p.dilations, p.per_dilation, p.starts, p.leads, p.biases, kernels.TWOS


def proportions(
    counts: npt.NDArray[np.int32], known: Mask, parameters: MiniRocketParameters
) -> npt.NDArray[np.float32]:
    """PPV = positives / positions, one float32 division.

    Args:
        counts: (…, f) int32 positions of the window at which the convolution exceeds the bias.
        known: (…, f) True where the feature is known.
        parameters: tell how many positions count.

    Returns:
        (…, f) float32 in 0 … 1; zero where not known.
    """
    return np.where(known, counts.astype(np.float32) / parameters.positions.astype(np.float32), np.float32(0))
