"""What the assembler keeps of a bed: the numbering of its epoch, its counters, and the form in which both are saved."""

import zlib

import msgspec
import numpy as np

from ecg.leads import N_LEADS
from windowing.order import Segment
from windowing.ring import Ring

STATE_VERSION = 1
EVER = float("-inf")  # a numbering that nothing went before


class Counts(msgspec.Struct, array_like=True):
    """What was not taken as it came, since the bed's first chunk.

    Attributes:
        duplicates: chunks dropped because all their samples had come before.
        late: chunks dropped because the hole that they fill had been given up, or their epoch had ended.
        overlaps: chunks of which a part had come before.
        gaps: holes that were given up.
        gap_samples: samples in those holes, at the monitor's rate.
        restarts: numberings that a monitor began without a new epoch.
        jumps: silences of more than an hour after which the same numbering went on.
        old_epoch: chunks dropped because they belong to an earlier epoch or to the numbering before a restart.
        refused: chunks that contradict their epoch.
        unrefilled: samples that a refill should have brought back and did not, at the monitor's rate; they are masked.
    """

    duplicates: int = 0
    late: int = 0
    overlaps: int = 0
    gaps: int = 0
    gap_samples: int = 0
    restarts: int = 0
    jumps: int = 0
    old_epoch: int = 0
    refused: int = 0
    unrefilled: int = 0


class Numbering(msgspec.Struct, array_like=True):
    """How the chunks of a bed are numbered at present.

    Attributes:
        declared: the epoch that the chunks name.
        epoch: the epoch that they are taken for, Unix ms of sample 0: ``declared``, or a later one after a restart of
            the numbering or a long silence.
        fs: samples per second.
        origin: the monitor's index of sample 0.
        after: chunks sent no later than this belong to the numbering before a restart, Unix ms.
        seq: highest number of a chunk.
        sent_at: latest instant at which a chunk was sent, Unix ms.
        final: index after the last sample, once the monitor said so.
        over: the epoch has ended; whatever comes is late.
    """

    declared: int
    epoch: int
    fs: int
    origin: int = 0
    after: float = EVER
    seq: int = -1
    sent_at: float = EVER
    final: int | None = None
    over: bool = False


class SavedSegment(msgspec.Struct, array_like=True):
    """A pending segment as bytes."""

    first: int
    rows: tuple[int, ...]
    uv_per_bit: float
    samples: bytes

    @classmethod
    def of(cls, segment: Segment) -> "SavedSegment":
        """Samples in lead-major order, little-endian int16."""
        rows = tuple(int(row) for row in segment.rows)
        samples = segment.counts[:, segment.at : segment.at + segment.end - segment.first].tobytes()
        return cls(segment.first, rows, segment.uv_per_bit, samples)

    def segment(self) -> Segment:
        """The segment again."""
        counts = np.frombuffer(self.samples, dtype="<i2").reshape(len(self.rows), -1)
        rows = np.array(self.rows, dtype=np.intp)
        return Segment(self.first, self.first + counts.shape[1], rows, self.uv_per_bit, counts)


class SavedRing(msgspec.Struct, array_like=True):
    """The signal itself: what the log would otherwise have to bring back."""

    first: int
    microvolts: bytes  # zlib of (12, n) float32
    mask: bytes  # zlib of (12, n) bool
    history: tuple[bytes, bytes]
    pending: list[SavedSegment]

    @classmethod
    def of(cls, ring: Ring, first: int, end: int, history: tuple[bytes, bytes], pending: list[Segment]) -> "SavedRing":
        """Samples ``[first, end)`` of the ring and what is still before it."""
        microvolts, mask = ring.view(first, end)
        return cls(
            first,
            zlib.compress(microvolts.tobytes(), 1),
            zlib.compress(mask.tobytes(), 1),
            history,
            [SavedSegment.of(segment) for segment in pending],
        )

    def put_back(self, ring: Ring) -> None:
        """Write the samples into ``ring``."""
        microvolts = np.frombuffer(zlib.decompress(self.microvolts), dtype=np.float32).reshape(N_LEADS, -1)
        mask = np.frombuffer(zlib.decompress(self.mask), dtype=np.bool_).reshape(N_LEADS, -1)
        ring.write(self.first, microvolts, mask)


class State(msgspec.Struct, array_like=True):
    """A snapshot.

    Attributes:
        version: of this form.
        grid: window, hop (samples at 500 Hz) and reorder bound (ms) that it was taken with.
        counts: the counters.
        numbering: None before the first chunk.
        watermark: next input sample.
        newest: end of the newest input sample that was kept.
        written: next output sample.
        emitted: end of the last span.
        gaps: holes given up that a refill would come across, ``(first, end)``.
        ring: the signal, if it was asked for.
    """

    version: int
    grid: tuple[int, int, int]
    counts: Counts
    numbering: Numbering | None = None
    watermark: int = 0
    newest: int = 0
    written: int = 0
    emitted: int = 0
    gaps: list[tuple[int, int]] = []
    ring: SavedRing | None = None
