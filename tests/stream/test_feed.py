"""Monitors at their own pace into the log."""

import time

import msgspec
import numpy as np

from ecg.chunk import Chunk
from stream.feed import feed
from stream.wire import decode_chunk

FS = 100


class ListSource:
    """Keeps what it is sent, with the time since it was made."""

    def __init__(self) -> None:
        self._made = time.monotonic()
        self.sent: list[tuple[float, Chunk]] = []

    def send(self, bed: str, value: bytes) -> None:
        """See ``Source``."""
        chunk = decode_chunk(value)
        assert chunk.bed == bed
        self.sent.append((time.monotonic() - self._made, chunk))

    def flush(self) -> None:
        """See ``Source``."""

    def close(self) -> None:
        """See ``Source``."""


def monitor(bed: str, epoch: int, chunks: int = 4, n: int = 20) -> list[Chunk]:
    return [
        Chunk(
            bed=bed,
            epoch=epoch,
            seq=seq,
            first_sample=seq * n,
            fs=FS,
            leads=("I",),
            uv_per_bit=1.0,
            sent_at=0.0,
            samples=np.zeros(n, "<i2").tobytes(),
            final=seq == chunks - 1,
        )
        for seq in range(chunks)
    ]


def test_each_monitor_begins_at_its_epoch() -> None:
    """Protects the pace of a ward: a monitor that began 0.3 s later stays 0.3 s behind, and no chunk comes early."""
    early, late = monitor("early", 1_000_000), monitor("late", 1_000_300)
    source = ListSource()
    counts = feed([iter(late), iter(early)], source)
    assert counts.chunks == 8
    due = sorted((0.3 * (chunk.bed == "late") + chunk.end / FS, chunk.bed, chunk.seq) for chunk in early + late)
    assert [(chunk.bed, chunk.seq) for _, chunk in source.sent] == [(bed, seq) for _, bed, seq in due]
    assert all(at >= when for (at, _), (when, *_) in zip(source.sent, due, strict=True))


def test_as_fast_as_the_log_takes_it() -> None:
    """Protects `--speed max` from waiting, and the chunks from being changed but for when they were sent."""
    chunks = monitor("b", 5, chunks=500)
    source = ListSource()
    began = time.time() * 1000
    feed([iter(chunks)], source, speed=None)
    assert source.sent[-1][0] < 50, "100 s of signal"
    assert all(chunk.sent_at >= began for _, chunk in source.sent)
    assert [msgspec.structs.replace(chunk, sent_at=0.0) for _, chunk in source.sent] == chunks
