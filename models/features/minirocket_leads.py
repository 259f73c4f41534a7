"""The same MiniRocket kernels and biases for every lead: what is learned of one lead serves them all.

The paper draws a random set of leads for each kernel. A ward does not know which leads it will have, so here each lead
has its own copy of all features, with biases taken from all leads together.
"""

import numpy as np
import numpy.typing as npt

from ecg.leads import N_LEADS
from models.features.minirocket import Samples, fit
from models.features.minirocket_kernels import N_KERNELS
from models.features.minirocket_parameters import KNOWN_SHARE, Mask, MiniRocketConfig, MiniRocketParameters

LEAST_ROWS = 2 * N_LEADS  # of known leads to take biases from


def shared_config(rate: int, features: int, reach_s: float) -> MiniRocketConfig:
    """Kernels of one lead: every feature counts positions inside the window only, so that no history is needed."""
    return MiniRocketConfig(rate=rate, features=features, reach_s=reach_s, most_leads=1, use_history=False)


def fit_shared(windows: Samples, mask: Mask, config: MiniRocketConfig) -> MiniRocketParameters:
    """Parameters of ``config.features`` features for each of the twelve leads, ordered as :func:`by_lead` undoes.

    Args:
        windows: (b, 12, n) int16 steps of ±303.
        mask: the same shape, True where real.
        config: as :func:`shared_config` makes it.

    Raises:
        ValueError: fewer than 24 known leads in all windows, or a shape is wrong.
    """
    known = mask.sum(axis=-1) > KNOWN_SHARE * mask.shape[-1]
    rows = windows[known]
    if len(rows) < LEAST_ROWS:
        raise ValueError(f"windows: expected at least {LEAST_ROWS} known leads, got {len(rows)}")
    rows = rows[np.random.default_rng(config.seed).permutation(len(rows))]
    many = len(rows) // N_LEADS
    pool = rows[: many * N_LEADS].reshape(many, N_LEADS, -1)
    return tiled(fit(pool, np.ones(pool.shape, dtype=np.bool_), config))


def tiled(one: MiniRocketParameters) -> MiniRocketParameters:
    """Each dilation of ``one`` twelve times, once for each lead."""
    parts = np.split(one.biases, np.cumsum(one.per_dilation * N_KERNELS)[:-1])
    return MiniRocketParameters(
        geometry=one.geometry,
        dilations=np.repeat(one.dilations, N_LEADS),
        per_dilation=np.repeat(one.per_dilation, N_LEADS),
        lead_counts=np.ones(N_KERNELS * N_LEADS * len(one.dilations), dtype=np.int32),
        leads=np.tile(np.repeat(np.arange(N_LEADS, dtype=np.int32), N_KERNELS), len(one.dilations)),
        padded=np.zeros(N_KERNELS * N_LEADS * len(one.dilations), dtype=np.uint8),
        biases=np.concatenate([part for part in parts for _ in range(N_LEADS)]),
    )


def by_lead(parameters: MiniRocketParameters, ppv: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(12, features / 12) from (features,) of tiled parameters; ordered by dilation, kernel, bias."""
    widths = (parameters.per_dilation[::N_LEADS] * N_KERNELS).tolist()
    blocks, first = [], 0
    for width in widths:
        blocks.append(ppv[first : first + N_LEADS * width].reshape(N_LEADS, width))
        first += N_LEADS * width
    return np.concatenate(blocks, axis=1)
