"""Beats: R peaks of one bed from whatever leads can be trusted, decided 0.28 to 0.44 s after they happened."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from ecg import detector_kernels as kernels
from ecg.leads import N_LEADS

BLOCK = 50  # samples; the grid on which everything behind the assembler works
LATENCY_SAMPLES = 222  # 0.44 s: no beat before this far behind the newest sample is still undecided
_run: Callable[..., int] = kernels.run
_NO_BEAT_YET = -100_000  # frames: long before anything


@dataclass(frozen=True)
class Beats:
    """Beats in the order of time.

    Attributes:
        sample: (b,) int64 analysis sample index (500 Hz) of the R peak: the QRS's centre over all leads, ascending.
        at: (b,) int64 index of the sample whose arrival decided it; ``at - sample`` ≤ ``LATENCY_SAMPLES``.
        confidence: (b,) float32, 0 (just over the threshold, or few leads agree) to 1.
    """

    sample: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """How many."""
        return len(self.sample)


class _State(msgspec.Struct, array_like=True):
    raws: bytes
    medians: bytes
    smooths: bytes
    energies: bytes
    lead: bytes
    count: bytes
    level: bytes
    clock: bytes
    slopes: bytes
    apexes: bytes


_FIELDS = _State.__struct_fields__


class BeatDetector:
    """Streaming QRS detector of one bed at 500 Hz over up to twelve leads; docs/beat-detection.md says how it works.

    A beat, once told, never changes. The result depends on the samples alone, not on how they were cut into pushes.
    """

    def __init__(self) -> None:
        """Know nothing yet: the first beats are told after about half a second of signal."""
        self.reset()

    def reset(self) -> None:
        """Begin an epoch: sample 0 comes next, and nothing is remembered."""
        lead = np.zeros((N_LEADS, kernels.LEAD_COLUMNS))
        lead[:, kernels.TRUST] = 0.5
        level = np.zeros(kernels.LEVELS)
        level[[kernels.SIGNAL, kernels.BACKGROUND, kernels.RR, kernels.LAST_LEVEL]] = (1.0, 0.1, 200.0, 1.0)
        clock = np.zeros(kernels.CLOCKS, dtype=np.int64)
        clock[[kernels.PEAK_AT, kernels.LAST, kernels.STARTED]] = (-1, _NO_BEAT_YET, -1)
        self._memory: dict[str, npt.NDArray[np.generic]] = {
            "raws": np.zeros((N_LEADS, 5), dtype=np.float32),
            "medians": np.zeros((N_LEADS, kernels.TAPS - 1), dtype=np.float32),
            "smooths": np.zeros((N_LEADS, kernels.MEMORY), dtype=np.float32),
            "energies": np.zeros((N_LEADS, kernels.WIDTH), dtype=np.float32),
            "lead": lead,
            "count": np.zeros((N_LEADS, kernels.COUNT_COLUMNS), dtype=np.int64),
            "level": level,
            "clock": clock,
            "slopes": np.zeros(kernels.RING, dtype=np.float32),
            "apexes": np.zeros(kernels.RING, dtype=np.float32),
        }

    def push(self, microvolts: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> Beats:
        """Take the next samples and tell the beats that they decided.

        Args:
            microvolts: (12, n) µV float32 in the order of ``ecg.leads.LEADS``, n a multiple of 50; what stands where
                the mask is False is not looked at.
            mask: (12, n) bool, True where the sample is real.

        Raises:
            ValueError: a shape is not (12, n), or n is no multiple of 50.
        """
        if microvolts.ndim != 2 or microvolts.shape[0] != N_LEADS or microvolts.shape[1] % BLOCK:
            raise ValueError(f"microvolts: expected (12, a multiple of {BLOCK}), got {microvolts.shape}")
        if mask.shape != microvolts.shape:
            raise ValueError(f"mask: expected {microvolts.shape}, got {mask.shape}")
        most = microvolts.shape[1] // (2 * kernels.REFRACTORY) + 2
        samples = np.empty(most, dtype=np.int64)
        ats = np.empty(most, dtype=np.int64)
        confidence = np.empty(most, dtype=np.float32)
        # Contiguous, so that numba compiles one variant only.
        found = _run(
            np.ascontiguousarray(microvolts),
            np.ascontiguousarray(mask),
            *self._memory.values(),
            samples,
            ats,
            confidence,
        )
        return Beats(samples[:found], ats[:found], confidence[:found])

    def flush(self) -> Beats:
        """Judge the candidate that is still waiting for its 0.2 s: the epoch is over and nothing more will come."""
        kept = self._memory
        clock = kept["clock"]
        if clock[kernels.PEAK_AT] < 0:
            return Beats(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
        last = 2 * int(clock[kernels.NOW]) - 1
        sample, confidence = kernels.decide(*(kept[name] for name in _FIELDS[4:]))
        some = slice(0, 1 if sample >= 0 else 0)
        return Beats(np.array([sample])[some], np.array([last])[some], np.array([confidence], np.float32)[some])

    def snapshot(self) -> bytes:
        """Everything remembered, MessagePack, about 6.5 kB."""
        return msgspec.msgpack.encode(_State(**{name: kept.tobytes() for name, kept in self._memory.items()}))

    def restore(self, data: bytes) -> None:
        """Continue where ``snapshot`` was taken.

        Raises:
            ValueError: the snapshot is not one of this detector.
        """
        state = msgspec.msgpack.decode(data, type=_State)
        for name, kept in self._memory.items():
            stored: bytes = getattr(state, name)
            if len(stored) != kept.nbytes:
                raise ValueError(f"snapshot: expected {kept.nbytes} bytes of {name}, got {len(stored)}")
            self._memory[name] = np.frombuffer(stored, dtype=kept.dtype).reshape(kept.shape).copy()
