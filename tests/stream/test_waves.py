"""Display frames and strips."""

import struct
import zlib

import numpy as np

from ecg.chunk import MISSING
from stream.waves import DISPLAY_UV_PER_BIT, WaveFeed, lead_names
from windowing.spans import Span

RNG = np.random.default_rng(1)
RECEIVED = np.ones(1, dtype=np.bool_)  # the feed does not look at it


def spans(microvolts: np.ndarray, mask: np.ndarray, cut: int) -> list[Span]:
    return [
        Span(
            1_000,
            first,
            microvolts[:, first : first + cut],
            mask[:, first : first + cut],
            RECEIVED,
            1e3 + (first + cut) * 2.0,
        )
        for first in range(0, microvolts.shape[1], cut)
    ]


def decode(frame: bytes) -> tuple[dict[str, float], str, list[int], np.ndarray]:
    """A frame by the documented layout, not by the code that wrote it."""
    version, leads, n, size = struct.unpack_from("<BBHB", frame)
    epoch, first, uv, sent = struct.unpack_from("<ddfI", frame, 8)
    bed = frame[32 : 32 + size].decode()
    rows = list(frame[32 + size : 32 + size + leads])
    start = 32 + size + leads
    start += start % 2
    samples = np.frombuffer(frame[start:], dtype="<i2").reshape(leads, n)
    return {"version": version, "epoch": epoch, "first": first, "uv": uv, "sent": sent}, bed, rows, samples


def signal(n: int) -> np.ndarray:
    t = np.arange(n) / 500
    return np.outer(np.arange(1, 13), 100 * np.sin(2 * np.pi * 5 * t)).astype(np.float32)


def test_frames_join_into_the_125_hz_signal_however_the_spans_were_cut() -> None:
    """Protects the trace from seams: consecutive frames hold every fourth sample once, at the same scale."""
    n = 5000
    x, mask = signal(n), np.ones((12, n), dtype=np.bool_)
    traces = []
    for cut in (50, 100, 250):
        feed = WaveFeed()
        parts, expected_first = [], 0
        for span in spans(x, mask, cut):
            frame = feed.frame("bed-1", span)
            assert frame is not None
            head, bed, rows, samples = decode(frame)
            assert (head["version"], head["epoch"], head["first"]) == (1, 1_000, expected_first)
            assert (bed, rows) == ("bed-1", list(range(12)))
            assert head["sent"] == span.end * 2
            expected_first += samples.shape[1]
            parts.append(samples)
        traces.append(np.concatenate(parts, axis=1))
    assert all(np.array_equal(traces[0], trace) for trace in traces[1:])
    settled = traces[0][:, 625:] * DISPLAY_UV_PER_BIT
    np.testing.assert_allclose(settled.max(axis=1), 100 * np.arange(1, 13), rtol=0.05)


def test_what_is_not_measured_is_not_drawn() -> None:
    """Protects the screen from a flat line where there is no signal: what is missing stays missing."""
    x, mask = signal(200), np.ones((12, 200), dtype=np.bool_)
    mask[3] = False
    mask[5, 100:] = False
    frame = WaveFeed().frame("bed-é", Span(0, 0, np.where(mask, x, 0).astype(np.float32), mask, RECEIVED, 400.0))
    assert frame is not None
    _, bed, rows, samples = decode(frame)
    assert bed == "bed-é"
    assert rows == [0, 1, 2, *range(4, 12)]
    assert (samples[4, 25:] == MISSING).all()
    assert (samples[4, :25] != MISSING).all()
    assert WaveFeed().frame("b", Span(0, 0, x * 0, np.zeros_like(mask), RECEIVED, 0.0)) is None


def test_a_lead_that_drops_out_does_not_ring() -> None:
    """Protects the trace after a drop-out: the offset of an electrode must not step to zero and back in the filter."""
    x = np.full((12, 4000), 3000.0, dtype=np.float32) + RNG.normal(0, 1, (12, 4000)).astype(np.float32)
    mask = np.ones((12, 4000), dtype=np.bool_)
    mask[:, 3000:3200] = False
    x[~mask] = 0
    feed = WaveFeed()
    worst = 0.0
    for span in spans(x, mask, 100):
        frame = feed.frame("b", span)
        if frame is not None and span.first >= 3200:
            worst = max(worst, float(np.abs(decode(frame)[3].astype(float)).max()) * DISPLAY_UV_PER_BIT)
    assert worst < 50


def test_strip_seconds_hold_the_full_rate() -> None:
    """Protects strips: each whole second comes once, sample for sample, with what is missing marked."""
    n = 1700
    x, mask = np.rint(signal(n)), np.ones((12, n), dtype=np.bool_)
    mask[2, 600:650] = False
    feed = WaveFeed()
    seconds = [second for span in spans(x, mask, 50) for second in feed.strip(span)]
    assert [second.end for second in seconds] == [500, 1000, 1500]
    held = np.concatenate([np.frombuffer(zlib.decompress(s.data), "<i2").reshape(12, 500) for s in seconds], axis=1)
    np.testing.assert_array_equal(held, np.where(mask, x, MISSING)[:, :1500].astype(np.int16))
    assert lead_names(seconds[0].leads)[:2] == ("I", "II")
