"""The chunk: what a monitor sends, consecutive samples of some leads of one bed."""

import math

import msgspec
import numpy as np
import numpy.typing as npt

from ecg.leads import lead_indices

WIRE_VERSION = 1
MIN_FS, MAX_FS = 100, 1000  # Hz
MAX_CHUNK_S = 10.0  # a longer chunk would keep every alarm drawn from it waiting
MISSING = -32768  # a sample that the monitor did not measure: the smallest int16 is never a voltage


class Chunk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Consecutive samples of some leads of one bed, as they stand on the wire (MessagePack map).

    Attributes:
        bed: id of the monitored position; the Kafka key of everything about it.
        epoch: Unix time in milliseconds of sample 0. A restart or a new patient begins a new, later epoch.
        seq: number of the chunk in its epoch, from 0.
        first_sample: index of the first sample in the epoch, at ``fs``.
        fs: samples per second and lead, a whole number of Hz, the same for all of an epoch.
        leads: names of the leads, in the order of the rows of ``samples``.
        uv_per_bit: microvolts of one step of ``samples``.
        sent_at: Unix time in milliseconds at which the monitor sent it, by the monitor's own clock.
        samples: little-endian int16, lead-major (leads, n); ``MISSING`` marks a sample that was not measured.
        final: the monitor ends the epoch with this chunk.
        v: version of this format.
    """

    bed: str
    epoch: int
    seq: int
    first_sample: int
    fs: int
    leads: tuple[str, ...]
    uv_per_bit: float
    sent_at: float
    samples: bytes
    final: bool = False
    v: int = WIRE_VERSION

    @property
    def n(self) -> int:
        """Samples per lead."""
        return len(self.samples) // (2 * len(self.leads))

    @property
    def end(self) -> int:
        """Index of the first sample after this chunk, at ``fs``."""
        return self.first_sample + self.n

    def counts(self) -> npt.NDArray[np.int16]:
        """(leads, n) int16 view of the samples, no copy; microvolts are counts × ``uv_per_bit``."""
        return np.frombuffer(self.samples, dtype="<i2").reshape(len(self.leads), -1)

    def check(self) -> "Chunk":
        """Return the chunk itself if every field makes sense.

        Raises:
            ValueError: says which field is wrong and quotes its value.
        """
        if self.v != WIRE_VERSION:
            raise ValueError(f"v: expected {WIRE_VERSION}, got {self.v!r}")
        if not self.bed or len(self.bed) > 64 or not self.bed.isprintable():
            raise ValueError(f"bed: expected 1 to 64 printable characters, got {self.bed[:80]!r}")
        if self.epoch < 0 or self.seq < 0 or self.first_sample < 0:
            raise ValueError(
                f"epoch, seq, first_sample: expected none below 0, got {self.epoch}, {self.seq}, {self.first_sample}"
            )
        if not MIN_FS <= self.fs <= MAX_FS:
            raise ValueError(f"fs: expected {MIN_FS} to {MAX_FS} Hz, got {self.fs!r}")
        if not self.leads:
            raise ValueError("leads: expected at least one, got none")
        lead_indices(self.leads)
        if not (math.isfinite(self.uv_per_bit) and self.uv_per_bit > 0):
            raise ValueError(f"uv_per_bit: expected a positive number, got {self.uv_per_bit!r}")
        if not self.samples or len(self.samples) % (2 * len(self.leads)):
            raise ValueError(
                f"samples: expected a multiple of {2 * len(self.leads)} bytes for {len(self.leads)} leads, "
                f"got {len(self.samples)}"
            )
        if self.n > MAX_CHUNK_S * self.fs:
            raise ValueError(f"samples: expected at most {MAX_CHUNK_S} s, got {self.n / self.fs:.3f} s")
        return self
