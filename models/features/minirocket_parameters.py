"""What MiniRocket is asked for, and what training fixes: plain arrays to be stored beside the weights."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ecg.leads import N_LEADS
from models.features import minirocket_kernels as kernels
from models.stored import StoredArrays
from windowing.spans import ANALYSIS_FS, BLOCK

MOST_LEADS = 9  # in one combination, as in the paper
KNOWN_SHARE = 0.5  # of a window's samples must be real for a lead to be known: below, a gap is most of what it says

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MiniRocketConfig:
    """What is fitted.

    Attributes:
        rate: samples per second that the kernels see; a divisor of 500 that divides the 0.1 s grid.
        window_s: length of a window, s.
        features: about how many; 84 for each full step.
        most_dilations: of one kernel, 32 in the paper.
        reach_s: longest receptive field, s; in the paper, and here where None, the window.
        most_leads: of one combination, 1 … 9.
        use_history: False lets all features count only positions whose taps all lie within the window, so that a
            recording as long as a window has the very features that the ward has.
        seed: of the draw of leads and windows.
    """

    rate: int = 500
    window_s: float = 10.0
    features: int = 10_000
    most_dilations: int = 32
    reach_s: float | None = None
    most_leads: int = MOST_LEADS
    use_history: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: quoting the value.
        """
        if self.rate < 1 or BLOCK % (ANALYSIS_FS / self.rate):
            raise ValueError(f"rate: expected a divisor of {ANALYSIS_FS} on the 0.1 s grid, got {self.rate}")
        if not 1 <= self.most_leads <= MOST_LEADS:
            raise ValueError(f"most_leads: expected 1 to {MOST_LEADS}, got {self.most_leads}")
        if self.features < kernels.N_KERNELS or self.most_dilations < 1:
            raise ValueError(
                f"features, most_dilations: expected at least 84 and 1, got {self.features}, {self.most_dilations}"
            )
        if not kernels.TAPS <= self.reach <= self.window:
            raise ValueError(f"reach_s, window_s: expected 9 samples ≤ reach ≤ window, got {self.reach}, {self.window}")

    @property
    def window(self) -> int:
        """Samples of a window."""
        return round(self.window_s * self.rate)

    @property
    def reach(self) -> int:
        """Samples of the longest receptive field."""
        return self.window if self.reach_s is None else round(self.reach_s * self.rate)


@dataclass(frozen=True)
class MiniRocketParameters(StoredArrays):
    """What training fixes; features are ordered by dilation, then kernel, then bias, as in ``sktime``.

    Attributes:
        geometry: (2,) int32: samples per second, samples of a window.
        dilations: (k,) int32 ascending.
        per_dilation: (k,) int32 features of each kernel at that dilation.
        lead_counts: (m,) int32 leads of each combination, m = 84 k.
        leads: (sum of lead_counts,) int32 rows of ``ecg.leads.LEADS``.
        padded: (m,) uint8, 1 where the whole window counts, with the history before it.
        biases: (f,) int16.
    """

    geometry: npt.NDArray[np.int32]
    dilations: npt.NDArray[np.int32]
    per_dilation: npt.NDArray[np.int32]
    lead_counts: npt.NDArray[np.int32]
    leads: npt.NDArray[np.int32]
    padded: npt.NDArray[np.uint8]
    biases: npt.NDArray[np.int16]

    def __post_init__(self) -> None:
        """Refuse arrays that contradict each other: the kernels do not look.

        Raises:
            ValueError: quoting what does not fit.
        """
        for each, dtype in zip(fields(self), ("<i4", "<i4", "<i4", "<i4", "<i4", "|u1", "<i2"), strict=True):
            value = getattr(self, each.name)
            if value.ndim != 1 or value.dtype != np.dtype(dtype):
                raise ValueError(f"{each.name}: expected one dimension of {dtype}, got {value.shape} {value.dtype}")
        m = kernels.N_KERNELS * len(self.dilations)
        shapes = (len(self.geometry), len(self.per_dilation), len(self.lead_counts), len(self.padded), len(self.biases))
        expected = (2, len(self.dilations), m, m, kernels.N_KERNELS * int(self.per_dilation.sum()))
        if shapes != expected or not m:
            raise ValueError(f"parameters: expected lengths {expected}, got {shapes}")
        if self.dilations.min() < 1 or 8 * self.dilations.max() >= self.window:
            raise ValueError(f"dilations: expected 1 to {(self.window - 1) // 8}, got {self.dilations.tolist()}")
        if self.per_dilation.min() < 0:
            raise ValueError(f"per_dilation: expected none below 0, got {self.per_dilation.tolist()}")
        if self.lead_counts.min() < 1 or self.lead_counts.max() > MOST_LEADS:
            raise ValueError(f"lead_counts: expected 1 to {MOST_LEADS}, got up to {self.lead_counts.max()}")
        if len(self.leads) != self.lead_counts.sum() or self.leads.min() < 0 or self.leads.max() >= N_LEADS:
            raise ValueError(f"leads: expected {self.lead_counts.sum()} rows of 0 to 11, got {len(self.leads)}")

    @property
    def rate(self) -> int:
        """Samples per second."""
        return int(self.geometry[0])

    @property
    def window(self) -> int:
        """Samples of a window."""
        return int(self.geometry[1])

    @property
    def features(self) -> int:
        """How many."""
        return len(self.biases)

    @cached_property
    def reach(self) -> npt.NDArray[np.int64]:
        """(m,) samples between the newest and the oldest tap: 8 d."""
        return np.repeat(self.dilations.astype(np.int64) * 8, kernels.N_KERNELS)

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """(m,) positions at a window's beginning that do not count."""
        return np.where(self.padded != 0, 0, self.reach)

    @cached_property
    def history(self) -> int:
        """Samples before a window that its features look at."""
        return int((self.reach - self.offsets).max())

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """(m + 1,) where each combination's leads begin."""
        return np.concatenate([[0], np.cumsum(self.lead_counts, dtype=np.int64)])

    @cached_property
    def combination(self) -> npt.NDArray[np.int64]:
        """(f,) which combination a feature belongs to."""
        return np.repeat(np.arange(len(self.padded)), np.repeat(self.per_dilation, kernels.N_KERNELS))

    @cached_property
    def positions(self) -> npt.NDArray[np.int64]:
        """(f,) positions of a window that count."""
        return (self.window - self.offsets)[self.combination]

    @cached_property
    def _members(self) -> npt.NDArray[np.int32]:
        """(m,) the leads of a combination as bits."""
        return np.bitwise_or.reduceat(np.int32(1) << self.leads, self.starts[:-1]).astype(np.int32)

    def known(self, real: npt.NDArray[np.integer]) -> Mask:
        """(..., f) True where at least one of a feature's leads is known, from (..., 12) real samples in the window."""
        leads_known = real >= KNOWN_SHARE * self.window
        bits = (leads_known * (1 << np.arange(N_LEADS))).sum(axis=-1)
        known: Mask = ((self._members & bits[..., None]) != 0)[..., self.combination]
        return known


def alternating(dilations: int) -> npt.NDArray[np.uint8]:
    """(m,) the paper's choice of the combinations that are padded: every other one."""
    k, kernel = np.divmod(np.arange(dilations * kernels.N_KERNELS), kernels.N_KERNELS)
    padded: npt.NDArray[np.uint8] = ((k + kernel) % 2 == 0).astype(np.uint8)
    return padded
