"""A ward that lives in a test: synthetic patients written to the real store by the real writer, in real time."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from alarms.alarm import PRIORITY, AlarmEvent, Kind, Phase, Priority, State, alarm_id, event_id
from ecg.leads import LEADS
from ecg.synthetic import SyntheticPatient
from stream.states import BedState, RhythmState, WorkerState
from stream.store import StoreWriter
from stream.store_keys import connect
from stream.waves import StripSecond, WaveFeed
from windowing.spans import Span

T = TypeVar("T")
SPAN = 100  # samples: the 200 ms that a monitor sends at a time
FRAME_S = 0.2
STRIP_S = 60  # of strip that the store holds of each bed from the start
LOOP_S = 30  # the patients begin again: enough for a screen
RATES = (58, 97, 74, 66, 108, 82)  # one patient each; beds share them, shifted: fifty would cost more than the console


@cache
def patient(rhythm: str, seed: int) -> npt.NDArray[np.float32]:
    """(12, 500 × LOOP_S) float32 µV of one patient in that rhythm: ``sinus(rate=74)``, ``asystole`` …"""
    return SyntheticPatient(f"{rhythm} {LOOP_S}s", seed).microvolts(0, 500 * LOOP_S)


@dataclass
class Bed:
    """One bed of the ward, to be changed by a test while it runs.

    Attributes:
        state: what the store holds of it.
        microvolts: (12, n) float32 µV, played in a loop.
        off: leads that are not measured.
        sending: whether the monitor sends.
        feed: cuts the display frames.
        at: analysis sample index of the next sample.
    """

    state: BedState
    microvolts: npt.NDArray[np.float32]
    off: tuple[str, ...]
    sending: bool
    feed: WaveFeed
    at: int

    def span(self, at: int) -> Span:
        """The 200 ms from sample ``at`` on."""
        start = at % self.microvolts.shape[1]
        mask = np.ones((len(LEADS), SPAN), dtype=np.bool_)
        mask[[LEADS.index(lead) for lead in self.off]] = False
        samples = self.microvolts[:, start : start + SPAN]
        received = np.ones(SPAN // 50, dtype=np.bool_)
        return Span(self.state.epoch, at, samples, mask, received, self.state.epoch + 2.0 * (at + SPAN))

    def past(self) -> list[StripSecond]:
        """The strip before the ward was opened."""
        spans = range(self.at - 500 * STRIP_S, self.at, SPAN)
        return [second for at in spans for second in self.feed.strip(self.span(at))]

    def next_frame(self) -> tuple[bytes | None, list[StripSecond]]:
        """The next 200 ms as the console gets them, and the seconds of strip that they complete."""
        span = self.span(self.at)
        self.at += SPAN
        return self.feed.frame(self.state.bed, span), self.feed.strip(span)


class LiveWard:
    """Publishes frames, bed states and a worker's heartbeat from a thread until closed.

    Args:
        store: address of the store.
        beds: names of the beds.
        frames: whether traces are played.
    """

    def __init__(self, store: str, beds: list[str], *, frames: bool = True) -> None:
        now = 1000 * int(time.time())
        self.epoch = now - 600_000  # they have been lying there for ten minutes
        self.beds = {name: self._bed(name, i) for i, name in enumerate(beds)}
        self._frames = frames
        self._closing = False
        self._alarms: dict[str, AlarmEvent] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client = connect(store)
        self._writer = StoreWriter(self._client)
        self._playing = self._wait(self._start())

    def close(self) -> None:
        """Stop writing; the store stays as it is."""
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set(self, bed: str, **changes: Any) -> None:
        """Change what the store says of the bed."""
        self.beds[bed].state = replace_state(self.beds[bed].state, **changes)

    def play(self, bed: str, rhythm: str, hr_bpm: float | None) -> None:
        """Let the bed's heart beat otherwise; the rate is what the store then says."""
        self.beds[bed].microvolts = patient(rhythm, 4)
        self.set(bed, hr_bpm=hr_bpm)

    def begin_alarm(
        self, bed: str, kind: Kind, text: str, *, ago_s: float = 2.0, priority: Priority | None = None, **more: Any
    ) -> None:
        """Write the start of an alarm to the log; ``more`` are further fields of the event."""
        at = self.beds[bed].at
        onset = at - round(500 * ago_s)
        alarm = alarm_id(bed, self.epoch, kind, onset)
        event = AlarmEvent(
            id=alarm,
            event=event_id(alarm, Phase.START, at),
            bed=bed,
            epoch=self.epoch,
            kind=kind,
            priority=priority or PRIORITY[kind],
            phase=Phase.START,
            state=State.ACTIVE,
            onset=onset,
            at=at,
            text=text,
            **more,
        )
        self._alarms[bed + kind] = event
        self._log(event)

    def alarm(self, bed: str, kind: Kind) -> AlarmEvent:
        """The latest event of the alarm that stands."""
        return self._alarms[bed + kind]

    def confirm_alarm(self, bed: str, kind: Kind, text: str, **more: Any) -> None:
        """Write that the provisional alarm of that kind is sure now."""
        start = self._alarms[bed + kind]
        at = self.beds[bed].at
        event = event_id(start.id, Phase.ESCALATE, at)
        more |= {"event": event, "phase": Phase.ESCALATE, "at": at, "text": text}
        self._alarms[bed + kind] = msgspec.structs.replace(start, **more)
        self._log(self._alarms[bed + kind])

    def end_alarm(self, bed: str, kind: Kind, *, offset: int | None = None) -> None:
        """Write the end of the alarm of that kind; ``offset`` is the sample at which its rhythm ended."""
        start = self._alarms.pop(bed + kind)
        at = self.beds[bed].at
        end = event_id(start.id, Phase.END, at)
        more = {"event": end, "phase": Phase.END, "state": State.INACTIVE, "at": at, "offset": offset}
        self._log(msgspec.structs.replace(start, **more))

    def _bed(self, name: str, number: int) -> Bed:
        rate = RATES[number % len(RATES)]
        state = BedState(
            bed=name,
            epoch=self.epoch,
            sample=0,
            hr_bpm=float(rate),
            usable=True,
            quality=dict.fromkeys(LEADS, "good"),
            leads=LEADS,
            limits={"hr_low": 50, "hr_high": 120},
            received_at=0,
            processed_at=0,
            model="beats-1",
            worker="test",
        )
        shifted = np.roll(patient(f"sinus(rate={rate})", rate), 731 * number, axis=1)
        return Bed(state, shifted, (), True, WaveFeed(), 600 * 500)

    async def _play(self) -> None:
        due = self._loop.time()
        while not self._closing:
            await self._show()
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - self._loop.time()))

    async def _start(self) -> "asyncio.Task[None]":
        if self._frames:
            strips = [(name, second) for name, bed in self.beds.items() for second in bed.past()]
            await self._writer.show(strips=strips)
        return asyncio.create_task(self._play())

    async def _end(self) -> None:
        self._closing = True
        await self._playing
        await self._client.aclose()

    async def _show(self) -> None:
        now = 1000 * time.time()
        sending = [bed for bed in self.beds.values() if bed.sending]
        shown = [(bed.state.bed, *bed.next_frame()) for bed in sending] if self._frames else []
        for bed in sending:
            bed.state = replace_state(bed.state, sample=bed.at, received_at=now, processed_at=now)
        worker = WorkerState(
            worker="test", engine="embedded", at=now, partitions=(0,), beds=len(self.beds), backlog_s=0, counters={}
        )
        await self._writer.show(
            states=[bed.state for bed in self.beds.values()],
            frames=[(name, frame) for name, frame, _ in shown if frame is not None],
            strips=[(name, second) for name, _, seconds in shown for second in seconds],
            worker=worker,
        )

    def _log(self, event: AlarmEvent) -> None:
        self._wait(self._writer.append_alarms([(event.event, msgspec.json.encode(event))]))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=20)


def rhythm_state(now: str | None, **changes: Any) -> RhythmState:
    """What a network says of a bed that it judges for hours already and where it has seen no AF."""
    state = RhythmState(
        now=now,
        provisional=False,
        probabilities={"af": 0.004, "flutter": 0.003, "sinus": 0.981, "other": 0.011, "noise": 0.001},
        prediction_set=("sinus",),
        evidence=(0.01,) * 60,
        burden=0.0,
        af_s=0.0,
        analysed_s=23 * 3600.0 + 10 * 60,
        longest_s=0.0,
        episodes=(),
        model="4be1c0de90a7f215",
    )
    return msgspec.structs.replace(state, **changes)


def replace_state(state: BedState, **changes: Any) -> BedState:
    """The state with some fields changed."""
    return msgspec.structs.replace(state, **changes)
