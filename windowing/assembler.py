"""The assembler: one bed's chunks in, as they come; spans and windows out, by sample index.

What comes out is a pure function of the chunks in the order of the log: no clock is read. The decisions:

- **Order.** Of each sample the copy that came first counts. A hole is waited for until samples ``reorder_s`` beyond
  its beginning are there; then it is masked for good, and what still comes for it is late.
- **Restart of the numbering** without a new epoch: a chunk below the watermark by more than the reorder bound, sent
  later than every chunk before and numbered lower than the highest. It opens a new epoch; chunks that name the
  declared epoch belong to it if they were sent after its sample 0 and after every chunk before it. A duplicate is
  never sent later. A restart within the first ``reorder_s`` of an epoch cannot be told from lateness: its samples are
  dropped until they reach the watermark, at most ``reorder_s`` of them, and then the epoch simply goes on. A monitor
  whose clock went back at the restart, or that has none, is heard again once it begins an epoch.
- **A jump** of more than an hour is refused, unless the monitor's own clock bears it out (it was cut off and numbered
  on): then the old epoch ends and a new one begins there. An hour of masked samples is the most a hole can be.
- **The end.** The last block is filled up with masked samples. An epoch shorter than a window becomes one window.
- **Refill.** A sample at or above ``needed_from`` has all its copies in chunks that end above it, and ``needed_from``
  never falls within an epoch; so whoever keeps the log from the first chunk that :meth:`Assembler.needs` has every copy
  of it, the first one included, and first-come decides again as it did. What had been given up is in the snapshot.
"""

from collections.abc import Iterator
from math import ceil

import msgspec
import numpy as np
import numpy.typing as npt

from ecg.chunk import Chunk
from windowing.order import Reorder, Segment
from windowing.resample import Resampler
from windowing.ring import Ring
from windowing.spans import ANALYSIS_FS, BLOCK, EpochEnd, EpochStart, Span, Window
from windowing.state import STATE_VERSION, Counts, Numbering, SavedRing, State

LONGEST_HOLE_S = 3600  # beyond it a sample index is a fault or a new beginning, not a hole to be filled
KEPT_S = 2  # s in the ring beyond a window: half to write ahead of a span, the rest so that views stay intact
MAX_MS = 2.0**53  # beyond it whole milliseconds cannot be told apart
MAX_UV_PER_BIT = 1e4  # a step of 10 mV is larger than any ECG: the unit is wrong

Output = Span | EpochStart | EpochEnd

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(State)


def _blocks(name: str, seconds: float, least: float, most: float) -> int:
    """Seconds as samples at 500 Hz on the block grid."""
    tenths = round(seconds * 10) if least <= seconds <= most else 0
    if not tenths or abs(seconds * 10 - tenths) > 1e-6:
        raise ValueError(f"{name}: expected a multiple of 0.1 s from {least} to {most} s, got {seconds!r}")
    return tenths * BLOCK


def _fault(chunk: Chunk) -> str | None:
    """What no monitor can mean, whatever came before."""
    if not abs(chunk.sent_at) <= MAX_MS or chunk.epoch > MAX_MS:
        return f"sent_at, epoch: expected Unix milliseconds, got {chunk.sent_at!r}, {chunk.epoch}"
    if chunk.uv_per_bit > MAX_UV_PER_BIT:
        return f"uv_per_bit: expected at most {MAX_UV_PER_BIT:g}, got {chunk.uv_per_bit!r}"
    return None


class Assembler:
    """One bed.

    :meth:`push` returns an iterator that has to be drawn to its end before anything else is called: so an hour's gap
    costs no memory. Views in a span or window stay intact until the next item is drawn, and beyond that until another
    second of signal has been taken in; whoever needs them longer copies them.

    Attributes:
        counts: what was not taken as it came.
    """

    def __init__(self, hop_s: float = 1.0, window_s: float = 10.0, reorder_s: float = 2.0) -> None:
        """Windows of ``window_s`` end at ``window_s`` and every ``hop_s`` after it.

        Spans end wherever a window could end: at ``window_s`` plus or minus whole hops.

        Raises:
            ValueError: ``hop_s`` is not a multiple of 0.1 in 0.5 … 5, ``window_s`` not one in 5 … 60, or ``reorder_s``
                not above 0 and at most 10; quotes it.
        """
        self._hop = _blocks("hop_s", hop_s, 0.5, 5.0)
        self._window = _blocks("window_s", window_s, 5.0, 60.0)
        if not 0 < reorder_s <= 10:
            raise ValueError(f"reorder_s: expected more than 0 and at most 10 s, got {reorder_s!r}")
        self._reorder_s = reorder_s
        self.counts = Counts()
        self._ring = Ring(self._window + KEPT_S * ANALYSIS_FS)
        self._numbering: Numbering | None = None
        self._order = Reorder(1)
        self._resampler = Resampler(ANALYSIS_FS, self._ring)
        self._emitted = 0
        self._refill: Reorder | None = None
        self._drawing = False

    # ---- what the ward core asks

    @property
    def epoch(self) -> int | None:
        """The present epoch as it stands in spans, Unix ms; None before the first chunk."""
        return self._numbering.epoch if self._numbering else None

    @property
    def needed_from(self) -> int:
        """The monitor's own index of the first sample that a refill must bring back. Never falls within an epoch."""
        numbering = self._numbering
        if numbering is None:
            return 0
        return numbering.origin + (self._order.newest if numbering.over else self._lowest())

    def needs(self, chunk_epoch: int, end: int, sent_at: float) -> bool:
        """Whether a chunk that was pushed has to stay in the log: a refill after a snapshot taken now needs it.

        Args:
            chunk_epoch: ``chunk.epoch``.
            end: ``chunk.end``.
            sent_at: ``chunk.sent_at``.
        """
        numbering = self._numbering
        if numbering is None or chunk_epoch != numbering.declared or sent_at <= numbering.after:
            return False
        return self.needed_from < end <= numbering.origin + self._order.newest

    def push(self, chunk: Chunk) -> Iterator[Output]:
        """Take a chunk that passed ``Chunk.check`` and iterate over what it completes, oldest first.

        Raises:
            ValueError: at once, and none of its samples count: another ``fs`` than its epoch's, a jump of more
                than an hour, a ``sent_at`` or ``uv_per_bit`` that cannot be; quotes it.
            RuntimeError: the iterator of an earlier call was not drawn to its end.
        """
        self._drawn()
        self._settle()
        try:
            begun = self._begun_by(chunk)
        except ValueError:
            self.counts.refused += 1
            raise
        numbering = begun or self._numbering
        assert numbering is not None  # the first chunk begins a numbering
        if chunk.epoch < numbering.declared or chunk.sent_at <= numbering.after:
            self.counts.old_epoch += 1
            return iter(())
        return self._draw(self._pushed(chunk, begun))

    def end(self) -> Iterator[Output]:
        """End the epoch with what has come, as a final chunk does; the same iterator as :meth:`push`."""
        self._drawn()
        self._settle()
        return self._draw(self._finished(self._numbering.sent_at if self._numbering else 0.0))

    # ---- whose samples these are

    def _begun_by(self, chunk: Chunk) -> Numbering | None:
        """The numbering that this chunk begins; None if it belongs to the present one or an earlier one."""
        if fault := _fault(chunk):
            raise ValueError(fault)
        now = self._numbering
        if now is None or chunk.epoch > now.declared:
            return self._fresh(Numbering(chunk.epoch, chunk.epoch, chunk.fs), chunk)
        if chunk.epoch < now.declared or chunk.sent_at <= now.after:
            return None
        anew = chunk.seq < now.seq and chunk.sent_at > now.sent_at
        if chunk.fs != now.fs and not anew:
            now.sent_at = max(now.sent_at, chunk.sent_at)  # or a refill after a restart would take it for a later one
            raise ValueError(f"fs: epoch {now.declared} has {now.fs} Hz, got {chunk.fs} Hz in chunk {chunk.seq}")
        first = chunk.first_sample - now.origin
        if anew and (chunk.fs != now.fs or first < self._order.watermark - self._order.bound):
            zero = chunk.sent_at - 1000 * chunk.end / chunk.fs
            return self._fresh(Numbering(now.declared, int(zero), chunk.fs, after=max(now.sent_at, zero)), chunk)
        if first - self._order.watermark > LONGEST_HOLE_S * now.fs and not now.over:
            zero = now.epoch - 1000 * now.origin // now.fs
            due = now.sent_at + 1000 * (first + chunk.n - self._order.newest) / now.fs
            return self._far(Numbering(now.declared, zero, now.fs, after=now.after), chunk, due)
        return None

    def _fresh(self, begun: Numbering, chunk: Chunk) -> Numbering:
        """A numbering from sample 0, or joined far on."""
        if chunk.first_sample <= LONGEST_HOLE_S * chunk.fs:
            return self._later(begun)
        return self._far(begun, chunk, begun.epoch + 1000 * chunk.end / chunk.fs)

    def _far(self, begun: Numbering, chunk: Chunk, due: float) -> Numbering:
        """A numbering joined far on, its sample 0 a little before ``chunk``, if that was sent about when ``due``."""
        if abs(chunk.sent_at - due) > 1000 * LONGEST_HOLE_S:
            now = self._numbering
            expected = now.origin + self._order.watermark if now and now.declared == begun.declared else 0
            raise ValueError(
                f"first_sample: expected at most {LONGEST_HOLE_S} s beyond {expected}, got {chunk.first_sample}, "
                f"which sent_at {chunk.sent_at!r} does not bear out"
            )
        # on a whole second, and low enough for chunks that this one overtook
        begun.origin = max(0, chunk.first_sample - ceil(self._reorder_s * chunk.fs)) // chunk.fs * chunk.fs
        begun.epoch += 1000 * begun.origin // chunk.fs
        return self._later(begun)

    def _later(self, begun: Numbering) -> Numbering:
        """Epochs grow, whatever the monitor's clock says."""
        if self._numbering:
            begun.epoch = max(begun.epoch, self._numbering.epoch + 1)
        return begun

    # ---- the flow

    def _drawn(self) -> None:
        if self._drawing:
            raise RuntimeError("the iterator of the last push or end was not drawn to its end")

    def _draw(self, outputs: Iterator[Output]) -> Iterator[Output]:
        self._drawing = True
        return outputs

    def _pushed(self, chunk: Chunk, begun: Numbering | None) -> Iterator[Output]:
        if begun:
            if self._numbering:
                same = begun.declared == self._numbering.declared
                self.counts.restarts += same and begun.after != self._numbering.after
                self.counts.jumps += same and begun.after == self._numbering.after
            yield from self._finish(chunk.sent_at)
            self._begin(begun)
            yield EpochStart(begun.epoch)
        numbering = self._numbering
        assert numbering is not None
        numbering.seq = max(numbering.seq, chunk.seq)
        numbering.sent_at = max(numbering.sent_at, chunk.sent_at)
        segment = Segment.of(chunk, numbering.origin)
        if numbering.over:
            self.counts.late += 1
        else:
            kept = self._order.offer(segment)
            if not kept:
                gone = self._order.was_given_up(segment)
                self.counts.late += gone
                self.counts.duplicates += not gone
            self.counts.overlaps += 0 < kept < chunk.n
            if chunk.final and numbering.final is None:
                numbering.final = segment.end
            yield from self._release(chunk.sent_at, drain=False)
            if numbering.final is not None and self._order.watermark >= numbering.final:
                self.counts.late += len(self._order.pending)
                self._order.pending.clear()
                yield from self._finish(chunk.sent_at)
        self._drawing = False

    def _finished(self, sent_at: float) -> Iterator[Output]:
        yield from self._finish(sent_at)
        self._drawing = False

    def _begin(self, numbering: Numbering) -> None:
        self._numbering = numbering
        self._order = Reorder(ceil(self._reorder_s * numbering.fs))
        self._resampler = Resampler(numbering.fs, self._ring)
        self._emitted = 0

    def _release(self, sent_at: float, *, drain: bool) -> Iterator[Output]:
        """Everything that is in order now, through the resampler and out."""
        resampler, boundary = self._resampler, self._boundary()
        while (segment := self._order.take(drain=drain)) is not None:
            if segment.is_gap:
                self.counts.gaps += 1
                self.counts.gap_samples += segment.end - segment.first
            for first in range(segment.first, segment.end, resampler.piece):
                resampler.push(segment, first, min(first + resampler.piece, segment.end))
                if resampler.written >= boundary:
                    yield from self._spans(resampler.written, sent_at, whole=False)
                    boundary = self._boundary()
        yield from self._spans(resampler.written, sent_at, whole=True)
        self._order.forget(self._lowest())

    def _finish(self, sent_at: float) -> Iterator[Output]:
        """Hand on all that is left of the epoch, and end it."""
        numbering = self._numbering
        if numbering is None or numbering.over:
            return
        yield from self._release(sent_at, drain=True)
        self._resampler.flush()
        end = self._resampler.written
        padded = max(-(-end // BLOCK) * BLOCK, self._window)
        self._ring.blank(end, padded)
        yield from self._spans(padded, sent_at, whole=True)
        numbering.over = True
        self._order.forget(self._order.watermark)
        yield EpochEnd(numbering.epoch, end, sent_at)

    def _boundary(self) -> int:
        """The next index at which a window could end."""
        return self._emitted + self._hop - (self._emitted - self._window) % self._hop

    def _spans(self, written: int, sent_at: float, *, whole: bool) -> Iterator[Span]:
        """Spans up to ``written``: to each boundary, and to the last block beyond it if ``whole``."""
        assert self._numbering is not None
        epoch = self._numbering.epoch
        while True:
            first, end = self._emitted, self._boundary()
            if end > written:
                end = written // BLOCK * BLOCK
                if not whole or end == first:
                    return
                window = None
            elif end < self._window:
                window = None
            else:
                window = Window(epoch, end, *self._ring.view(end - self._window, end))
            self._emitted = end
            yield Span(epoch, first, *self._ring.view(first, end), self._received(first, end), sent_at, window)

    def _received(self, first: int, end: int) -> npt.NDArray[np.bool_]:
        """Which blocks of ``[first, end)`` lie neither within a hole that was given up nor beyond the epoch's end."""
        starts = np.arange(first, end, BLOCK)
        received: npt.NDArray[np.bool_] = starts < self._resampler.written
        for gap_first, gap_end in self._order.gaps:
            inside = (starts >= self._resampler.outputs(gap_first)) & (
                starts + BLOCK <= self._resampler.outputs(gap_end)
            )
            received &= ~inside
        return received

    def _lowest(self) -> int:
        """The input below which nothing is needed for the windows to come."""
        return self._resampler.needs_from(max(0, self._boundary() - self._window))

    # ---- what survives a crash

    def snapshot(self, *, with_ring: bool = False) -> bytes:
        """The bed's state, under 2 kB; ``with_ring`` adds the signal (up to some 250 kB), and no refill is needed.

        Raises:
            RuntimeError: an iterator was not drawn to its end.
        """
        self._drawn()
        order = self._order
        state = State(STATE_VERSION, self._grid, self.counts, self._numbering)
        if self._numbering:
            state.watermark, state.newest, state.gaps = order.watermark, order.newest, order.gaps
            state.written, state.emitted = self._resampler.written, self._emitted
            if with_ring and not self._numbering.over:
                self._settle()
                first = max(0, self._boundary() - self._window)
                history = self._resampler.history
                state.ring = SavedRing.of(self._ring, first, state.written, history, order.pending)
        return _encoder.encode(state)

    @property
    def _grid(self) -> tuple[int, int, int]:
        return self._window, self._hop, round(1000 * self._reorder_s)

    def restore(self, data: bytes) -> None:
        """Take over a snapshot; unless it has its ring, :meth:`refill` must follow before the next push.

        Raises:
            ValueError: of another version or taken with another window, hop or reorder bound; quotes both.
        """
        state = _decoder.decode(data)
        if (state.version, state.grid) != (STATE_VERSION, self._grid):
            raise ValueError(
                f"snapshot: expected version {STATE_VERSION} of window, hop, reorder {self._grid}, "
                f"got {state.version} of {state.grid}"
            )
        self.counts, self._numbering, self._emitted = state.counts, state.numbering, state.emitted
        self._drawing, self._refill = False, None
        if state.numbering is None:
            return
        fs = state.numbering.fs
        pending = [saved.segment() for saved in state.ring.pending] if state.ring else []
        self._order = Reorder(ceil(self._reorder_s * fs), state.watermark, pending)
        self._order.newest, self._order.gaps = state.newest, state.gaps
        self._resampler = Resampler(fs, self._ring, read=state.watermark, written=state.written)
        if state.ring:
            state.ring.put_back(self._ring)
            self._resampler.history = state.ring.history
        elif not state.numbering.over:
            lowest = self._lowest()
            gaps = [Segment.gap(max(first, lowest), end) for first, end in state.gaps if end > lowest]
            self._refill = Reorder(1, lowest, gaps)

    def refill(self, chunk: Chunk) -> None:
        """Read again a chunk that had been pushed before the snapshot, in the order of the log; nothing comes out.

        Every chunk may be given, from the first that :meth:`needs` up to the last one before the snapshot: those of
        other epochs, duplicates, late and refused ones are told apart as they were.
        """
        numbering = self._numbering
        if self._refill is None or numbering is None or _fault(chunk):
            return
        if (chunk.epoch, chunk.fs) != (numbering.declared, numbering.fs) or chunk.sent_at <= numbering.after:
            return
        # beyond the newest sample kept it was refused (that a jump passed a refused one by is two faults in a window)
        if chunk.end - numbering.origin <= self._order.newest:
            self._refill.offer(Segment.of(chunk, numbering.origin))

    def _settle(self) -> None:
        """Turn what was refilled into ring, history and pending segments."""
        refill, self._refill = self._refill, None
        if refill is None or self._numbering is None:
            return
        watermark, written = self._order.watermark, self._resampler.written
        first_out = max(0, self._boundary() - self._window)
        again = Resampler(self._numbering.fs, self._ring, read=refill.watermark, written=first_out)
        while again.read < watermark:
            segment = refill.pending[0] if refill.pending else None
            if segment is None or segment.first > again.read:
                segment = Segment.gap(again.read, min(watermark, segment.first) if segment else watermark)
                self.counts.unrefilled += segment.end - segment.first
            else:
                refill.pending.pop(0)
            if segment.end > watermark:
                refill.pending.insert(0, segment.cut(watermark, segment.end))
            for first in range(segment.first, min(segment.end, watermark), again.piece):
                again.push(segment, first, min(first + again.piece, segment.end, watermark))
        assert again.written == written
        self._resampler, self._order.pending = again, refill.pending
