"""The assembler's promise: what comes out depends on the samples alone, and no crash can be told from the outside."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecg.chunk import MISSING, Chunk
from ecg.leads import LEADS
from windowing.assembler import Assembler, Output
from windowing.spans import EpochEnd, EpochStart, Span

RATES = (100, 125, 128, 200, 250, 257, 300, 360, 500, 512, 1000)
REORDER_S = 3.0  # chunks of up to 2 s that swap places by up to 0.9 s stay within it
EPOCH = 1_700_000_000_000

seeds = st.integers(0, 2**32 - 1)
slow = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Counts = npt.NDArray[np.int16]


def recording(rng: np.random.Generator, fs: int, seconds: float) -> tuple[tuple[str, ...], Counts]:
    """Random leads and (leads, n) counts with a few stretches that were not measured."""
    chosen = rng.permutation(len(LEADS))[: rng.integers(1, 13)]
    leads = tuple(LEADS[i] for i in chosen)
    n = max(1, int(seconds * fs))
    counts = rng.integers(-3000, 3000, (len(leads), n)).astype("<i2")
    for _ in range(rng.integers(0, 4)):
        start = rng.integers(0, n)
        rows = rng.random(len(leads)) < 0.5
        counts[rows, start : start + rng.integers(1, fs)] = MISSING
    return leads, counts


def chunk(
    leads: tuple[str, ...],
    counts: Counts,
    fs: int,
    first: int,
    end: int,
    *,
    seq: int = 0,
    epoch: int = EPOCH,
    sent: float = 0,
) -> Chunk:
    return Chunk(
        bed="b1",
        epoch=epoch,
        seq=seq,
        first_sample=first,
        fs=fs,
        leads=leads,
        uv_per_bit=2.5,
        sent_at=epoch + sent + 1000 * end / fs,
        samples=counts[:, first:end].tobytes(),
        final=end == counts.shape[1],
    )


def cut(rng: np.random.Generator, leads: tuple[str, ...], counts: Counts, fs: int, **of: int) -> list[Chunk]:
    """All samples in chunks of 1 ms to 2 s."""
    chunks, first, n = [], 0, counts.shape[1]
    while first < n:
        longest = rng.choice([0.01, 0.2, 2.0])
        end = min(n, first + 1 + int(rng.random() * (longest * fs - 1)))
        chunks.append(chunk(leads, counts, fs, first, end, seq=len(chunks), **of))
        first = end
    return chunks


def disorder(rng: np.random.Generator, chunks: list[Chunk]) -> list[Chunk]:
    """Swapped by up to 0.9 s, some doubled, some sent again in part or together with what follows."""
    extra = []
    for a, b in pairwise(chunks):
        if rng.random() < 0.1:
            extra.append(a)
        if rng.random() < 0.1 and a.end == b.first_sample and a.n + b.n < 2 * a.fs:
            both = np.concatenate([a.counts(), b.counts()], axis=1)
            extra.append(msgspec.structs.replace(b, first_sample=a.first_sample, samples=both.tobytes()))
    every = [*chunks, *extra]
    keys = [c.end + rng.random() * 0.9 * c.fs for c in every]
    return [every[i] for i in np.argsort(keys, kind="stable")]


@dataclass
class Got:
    """What came out, copied."""

    spans: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    windows: list[tuple[int, int, bytes, bytes]] = field(default_factory=list)
    marks: list[tuple[str, int, int]] = field(default_factory=list)
    exact: list[object] = field(default_factory=list)  # with how it was cut into spans, and sent_at

    def take(self, outputs: Iterable[Output]) -> "Got":
        for out in outputs:
            if isinstance(out, Span):
                assert out.first % 50 == 0
                assert out.end % 50 == 0
                self.spans.append((out.microvolts.copy(), out.mask.copy()))
                self.firsts.append(out.first)
                self.exact.append((out.epoch, out.first, out.sent_at, out.microvolts.tobytes(), out.mask.tobytes()))
                if out.window:
                    w = out.window
                    self.windows.append((w.epoch, w.end, w.microvolts.tobytes(), w.mask.tobytes()))
            elif isinstance(out, EpochStart):
                self.marks.append(("start", out.epoch, 0))
            else:
                assert isinstance(out, EpochEnd)
                self.marks.append(("end", out.epoch, out.end))
                self.exact.append(out)
        return self

    def signal(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        return np.concatenate([s[0] for s in self.spans], axis=1), np.concatenate([s[1] for s in self.spans], axis=1)


def run(chunks: Iterable[Chunk], hop_s: float = 1.0) -> Got:
    assembler, got = Assembler(hop_s, reorder_s=REORDER_S), Got()
    for c in chunks:
        got.take(assembler.push(c))
    return got.take(assembler.end())


def same(a: Got, b: Got) -> None:
    assert a.marks == b.marks
    for x, y in zip(a.signal(), b.signal(), strict=True):
        assert x.tobytes() == y.tobytes()
    assert a.windows == b.windows


def in_seconds(leads: tuple[str, ...], counts: Counts, fs: int) -> Iterator[Chunk]:
    for seq, first in enumerate(range(0, counts.shape[1], fs)):
        yield chunk(leads, counts, fs, first, min(first + fs, counts.shape[1]), seq=seq)


@slow
@given(seed=seeds, fs=st.sampled_from(RATES), hop=st.sampled_from([0.5, 0.7, 1.0, 5.0]), seconds=st.floats(0.01, 18))
def test_cutting_order_and_copies_do_not_matter(seed: int, fs: int, hop: float, seconds: float) -> None:
    """Any cut, any order within the bound, doubled and overlapping chunks: the same signal, windows and epoch end."""
    rng = np.random.default_rng(seed)
    leads, counts = recording(rng, fs, seconds)
    plain = run(in_seconds(leads, counts, fs), hop)
    same(run(disorder(rng, cut(rng, leads, counts, fs)), hop), plain)
    ends = [w[1] for w in plain.windows]
    assert ends == list(range(5000, max(5000, plain.firsts[-1] + plain.spans[-1][0].shape[1]) + 1, round(hop * 500)))


@slow
@given(seed=seeds, fs=st.sampled_from(RATES))
def test_a_hole_is_what_a_masked_stretch_is(seed: int, fs: int) -> None:
    """Chunks that never come leave the same signal as chunks that say MISSING; what comes too late changes nothing."""
    rng = np.random.default_rng(seed)
    leads, counts = recording(rng, fs, 20)
    a = int(rng.uniform(0, 9) * fs)
    b = a + 1 + int(rng.uniform(0, 3.5) * fs)
    chunks = cut(rng, leads, counts, fs)
    lost = [c for c in chunks if c.end > a and c.first_sample < b]
    masked = counts.copy()
    masked[:, lost[0].first_sample : lost[-1].end] = MISSING
    # in order beside the hole: what comes after a longer one, out of order, may be given up with it
    head = [c for c in chunks if c.end <= a]
    near = [c for c in chunks if b <= c.first_sample < b + 4 * fs]
    tail = [c for c in chunks if c.first_sample >= b + 4 * fs]
    kept = [*disorder(rng, head), *near, *disorder(rng, tail)]
    plain = run(in_seconds(leads, masked, fs))
    same(run(kept), plain)
    too_late = 1 + next(i for i, c in enumerate(kept) if c.end > b + 4 * fs)
    same(run([*kept[:too_late], *lost, *kept[too_late:]]), plain)


def ward_log(rng: np.random.Generator) -> list[Chunk]:
    """Three epochs with holes, late chunks, restarts of the numbering, long silences, refused chunks and stragglers."""
    log: list[Chunk] = []
    for number in range(3):
        fs = int(rng.choice(RATES))
        epoch = EPOCH + number * 100_000
        leads, counts = recording(rng, fs, rng.uniform(0.1, 22))
        chunks = cut(rng, leads, counts, fs, epoch=epoch)
        if rng.random() < 0.6:
            chunks.pop()
        hole = {i for i in range(len(chunks)) if rng.random() < 0.05}
        part = disorder(rng, [c for i, c in enumerate(chunks) if i not in hole])
        for i in hole:
            part.insert(int(rng.integers(0, len(part) + 1)), chunks[i])
        if log and rng.random() < 0.5:
            part.insert(int(rng.integers(0, len(part) + 1)), log[int(rng.integers(0, len(log)))])
        log += part
        if rng.random() < 0.5:
            leads, counts = recording(rng, fs, rng.uniform(5, 20))
            log += disorder(rng, cut(rng, leads, counts, fs, epoch=epoch, sent=40_000))
        if rng.random() < 0.3:
            silent = 7200 * fs
            leads, counts = recording(rng, fs, rng.uniform(5, 20))
            log += [
                msgspec.structs.replace(c, first_sample=c.first_sample + silent, seq=c.seq + 10_000)
                for c in disorder(rng, cut(rng, leads, counts, fs, epoch=epoch, sent=7_200_000))
            ]
    for _ in range(3):
        at = int(rng.integers(0, len(log)))
        broken = rng.choice(["fs", "first_sample"])
        wrong = {"fs": 999} if broken == "fs" else {"first_sample": 10**12}
        log.insert(at, msgspec.structs.replace(log[at], **wrong))
    return log


def feed(assembler: Assembler, c: Chunk, got: Got) -> None:
    try:
        got.take(assembler.push(c))
    except ValueError as error:
        got.exact.append(str(error))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=seeds, where=st.floats(0, 1), hop=st.sampled_from([0.5, 1.0, 2.3, 5.0]))
def test_a_crash_anywhere_changes_nothing(seed: int, where: float, hop: float) -> None:
    """Snapshot, restore, refill from the first chunk needed or before: every later byte is as without a crash.

    So is the state itself, ring, history and pending chunks included; and a snapshot with its ring needs no log.
    """
    rng = np.random.default_rng(seed)
    log = ward_log(rng)
    at = int(where * len(log))
    before = Assembler(hop, reorder_s=REORDER_S)
    for c in log[:at]:
        feed(before, c, Got())
    small, large = before.snapshot(), before.snapshot(with_ring=True)
    assert len(small) < 2000
    first = next((i for i, c in enumerate(log[:at]) if before.needs(c.epoch, c.end, c.sent_at)), at)
    refilled, carried = Assembler(hop, reorder_s=REORDER_S), Assembler(hop, reorder_s=REORDER_S)
    refilled.restore(small)
    for c in log[int(rng.integers(0, first + 1)) : at]:
        refilled.refill(c)
    carried.restore(large)
    assert (refilled.epoch, refilled.needed_from) == (before.epoch, before.needed_from)
    assert refilled.snapshot(with_ring=True) == large
    assert carried.snapshot(with_ring=True) == large
    everything, after_refill, after_carry = Got(), Got(), Got()
    for c in log[at:]:
        feed(before, c, everything)
        feed(refilled, c, after_refill)
        feed(carried, c, after_carry)
    for assembler, got in ((before, everything), (refilled, after_refill), (carried, after_carry)):
        got.take(assembler.end())
        assert got.exact == everything.exact
        assert got.windows == everything.windows
        assert got.marks == everything.marks
        assert assembler.counts == before.counts
    assert before.counts.unrefilled == 0


@slow
@given(seed=seeds, fs=st.sampled_from(RATES))
def test_needed_from_never_falls_within_an_epoch(seed: int, fs: int) -> None:
    """A log that was let go at one moment is not asked for at a later one, and stays within about a window."""
    rng = np.random.default_rng(seed)
    leads, counts = recording(rng, fs, 15)
    assembler, lowest, newest = Assembler(reorder_s=REORDER_S), 0, 0
    for c in disorder(rng, cut(rng, leads, counts, fs)):
        Got().take(assembler.push(c))
        newest = max(newest, c.end)
        assert lowest <= assembler.needed_from <= newest
        lowest = assembler.needed_from
        assert newest - lowest <= (10 + REORDER_S + 0.5) * fs
