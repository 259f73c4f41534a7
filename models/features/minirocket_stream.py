"""MiniRocket of one bed, hop by hop: only the newest hop is convolved; its counts add up with the older ones."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ecg.leads import N_LEADS
from models.features import minirocket_kernels as kernels
from models.features.minirocket import Samples, arguments, check, extended, proportions
from models.features.minirocket_parameters import Mask, MiniRocketParameters

_count_hop: Callable[..., None] = kernels.count_hop
LONGEST_HOP = 2**15 - kernels.LANES  # positives of a hop are counted in int16


class MiniRocketStream:
    """The features of a sliding window; equal to ``minirocket.transform`` over the same samples to the last bit.

    Memory is finite: :meth:`refill` with the last ``parameters.history`` samples and the window brings it all back, so
    nothing has to be stored. Before the first sample of an epoch stand zeros that are not real.
    """

    def __init__(self, parameters: MiniRocketParameters, hop_s: float = 1.0) -> None:
        """Stand at the beginning of an epoch.

        Args:
            parameters: what ``minirocket.fit`` gave.
            hop_s: seconds by which the window moves on; where the ward's hop does not divide the window, give their
                common divisor and push several at once.

        Raises:
            ValueError: a window is not a whole number of hops, or a hop not one of samples.
        """
        self.hop = round(hop_s * parameters.rate)
        hop_is_whole = abs(self.hop - hop_s * parameters.rate) < 1e-6
        if not hop_is_whole or not 1 <= self.hop <= LONGEST_HOP or parameters.window % self.hop:
            raise ValueError(f"hop_s: expected a divisor of {parameters.window / parameters.rate:g} s, got {hop_s!r}")
        self.parameters = parameters
        self._hops = parameters.window // self.hop
        self._margin = int(parameters.reach.max())
        self._arguments = arguments(parameters)
        self._offsets_in_hops = (parameters.offsets // self.hop)[parameters.combination]
        self.reset()

    def reset(self) -> None:
        """Begin an epoch: sample 0 comes next."""
        p = self.parameters
        self._x = np.zeros((N_LEADS, self._margin + self.hop + kernels.LANES), dtype=np.int16)
        self._ring = np.empty((self._hops + 1, 2, p.features), dtype=np.uint16)
        _count_hop(self._x, self.hop, p.offsets, *self._arguments, *self._ring[0])
        self._ring[1:] = self._ring[0]
        self._total = np.where(p.biases < 0, p.positions, 0).astype(np.int32)
        self._real = np.zeros((self._hops + 1, N_LEADS), dtype=np.int64)
        self._newest = 0

    def push(self, samples: Samples, mask: Mask) -> None:
        """Take one or more hops.

        Args:
            samples: (12, k · hop) int16 steps of ±303.
            mask: (12, k · hop) True where real; elsewhere samples count as zero.

        Raises:
            ValueError: a shape, dtype or value is wrong.
        """
        check(samples, mask)
        if samples.ndim != 2 or samples.shape[1] % self.hop:
            raise ValueError(f"samples: expected (12, a multiple of {self.hop}), got {samples.shape}")
        for first in range(0, samples.shape[1], self.hop):
            self._push_hop(samples[:, first : first + self.hop], mask[:, first : first + self.hop])

    def _push_hop(self, samples: Samples, mask: Mask) -> None:
        x, newest = self._x, (self._newest + 1) % (self._hops + 1)
        x[:, : self._margin] = x[:, self.hop : self.hop + self._margin]
        np.multiply(samples, mask, out=x[:, self._margin : self._margin + self.hop])
        before, after = self._ring[newest]
        _count_hop(x, self.hop, self.parameters.offsets, *self._arguments, before, after)
        kernels.slide(self._total, self._ring, newest, self._offsets_in_hops)
        self._real[newest] = mask.sum(axis=1)
        self._newest = newest

    def refill(self, samples: Samples, mask: Mask) -> None:
        """Become what pushing all of an epoch's samples would have made, from the last of them alone.

        Args:
            samples: (12, any) int16, ending at a hop; only the last ``parameters.history`` + window count, and before
                the first one stand zeros.
            mask: the same shape, True where real.

        Raises:
            ValueError: a shape, dtype or value is wrong.
        """
        check(samples, mask)
        self.reset()
        window = self.parameters.window
        x = extended(samples, mask, self._margin, window, 0)
        real = np.zeros((N_LEADS, window), dtype=np.bool_)
        taken = min(window, samples.shape[1])
        real[:, window - taken :] = mask[:, samples.shape[1] - taken :]
        self._x[:, self.hop : self.hop + self._margin] = x[:, : self._margin]
        for first in range(0, window, self.hop):
            hop = slice(first, first + self.hop)
            self._push_hop(x[:, self._margin :][:, hop], real[:, hop])

    def features(self) -> tuple[npt.NDArray[np.float32], Mask]:
        """(f,) PPVs of the window that ends at the newest sample, zero where not known; (f,) True where known."""
        left = (self._newest + 1) % (self._hops + 1)
        known = self.parameters.known(self._real.sum(axis=0) - self._real[left])
        return proportions(self._total, known, self.parameters), known
