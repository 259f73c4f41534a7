"""The alarms that are active on one bed, and the events that start, update and end them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from alarms.alarm import PRIORITY, AlarmEvent, Kind, Phase, State, alarm_id, event_id


class Ledger:
    """At most one active alarm of a kind. Every change becomes an event in ``events``, in the order it was made."""

    def __init__(self, bed: str, model: str) -> None:
        self.bed = bed
        self.model = model
        self.epoch = 0
        self.sent_at = 0.0
        self.active: dict[Kind, AlarmEvent] = {}
        self.events: list[AlarmEvent] = []

    def begin(self, epoch: int) -> None:
        """Alarms of ``epoch`` come next.

        Raises:
            ValueError: alarms of the epoch before are still active.
        """
        if self.active:
            raise ValueError(f"epoch {epoch} cannot start, {self.epoch} has {', '.join(self.active)}")
        self.epoch = epoch

    def restore(self, epoch: int | None, active: Sequence[AlarmEvent]) -> None:
        """Hold the alarms that a snapshot said are active in ``epoch``.

        Raises:
            ValueError: one is of another bed.
        """
        for event in active:
            if event.bed != self.bed:
                raise ValueError(f"snapshot: expected bed {self.bed!r}, got {event.bed!r}")
        self.epoch = epoch or 0
        self.active = {event.kind: event for event in active}

    def start(
        self,
        kind: Kind,
        onset: int,
        at: int,
        text: str,
        value: float | None = None,
        limit: float | None = None,
        *,
        reason: str = "",
        prediction_set: tuple[str, ...] = (),
    ) -> None:
        """Begin an alarm of ``kind``; its event is added to ``events``.

        Args:
            kind: the condition; none of it may be active.
            onset: analysis sample index (500 Hz) at which the condition began.
            at: analysis sample index at which it was decided.
            text: what the nurse reads.
            value: the measured value, in the unit of ``limit``: bpm for rates, s for pauses.
            limit: the limit that it broke.
            reason: what the network judged by, in words.
            prediction_set: rhythms that could not be ruled out.

        Raises:
            ValueError: an alarm of the kind is active; quotes it and since when.
        """
        if kind in self.active:
            raise ValueError(f"{kind} is already active since {self.active[kind].onset}, cannot start at {at}")
        alarm = alarm_id(self.bed, self.epoch, kind, onset)
        event = AlarmEvent(
            id=alarm,
            event=event_id(alarm, Phase.START, at),
            bed=self.bed,
            epoch=self.epoch,
            kind=kind,
            priority=PRIORITY[kind],
            phase=Phase.START,
            state=State.ACTIVE,
            onset=onset,
            at=at,
            text=text,
            value=value,
            limit=limit,
            sent_at=self.sent_at,
            model=self.model,
            reason=reason,
            prediction_set=prediction_set,
        )
        self.active[kind] = event
        self.events.append(event)

    def update(self, kind: Kind, at: int, text: str, value: float | None = None, **known: Any) -> None:
        """Show another text and value of the active alarm of ``kind``; ``known`` are further fields that changed."""
        self.active[kind] = event = self._next(kind, Phase.UPDATE, State.ACTIVE, at, text, value, **known)
        self.events.append(event)

    def escalate(self, kind: Kind, at: int, text: str, value: float | None = None, **known: Any) -> None:
        """The active alarm of ``kind`` was provisional and is now sure; ``known`` are further fields that changed."""
        self.active[kind] = event = self._next(kind, Phase.ESCALATE, State.ACTIVE, at, text, value, **known)
        self.events.append(event)

    def end(self, kind: Kind, at: int, text: str | None = None, value: float | None = None, **known: Any) -> None:
        """End the active alarm of ``kind``; without a ``text`` it ends with what it showed last."""
        last = self.active[kind]
        if text is None:
            text, value = last.text, last.value
        self.events.append(self._next(kind, Phase.END, State.INACTIVE, at, text, value, **known))
        del self.active[kind]

    def end_all(self, at: int) -> None:
        """End every active alarm, in the order in which they started."""
        for kind in list(self.active):
            self.end(kind, at)

    def take(self) -> list[AlarmEvent]:
        """The events since the last call."""
        events, self.events = self.events, []
        return events

    def _next(
        self, kind: Kind, phase: Phase, state: State, at: int, text: str, value: float | None, **known: Any
    ) -> AlarmEvent:
        last = self.active[kind]
        event = event_id(last.id, phase, at)
        return msgspec.structs.replace(
            last, event=event, phase=phase, state=state, at=at, text=text, value=value, sent_at=self.sent_at, **known
        )


def unseen_end(last: AlarmEvent, at: int, sent_at: float) -> AlarmEvent:
    """The end of an alarm of which nobody will see more: what watched it is gone. ``last`` is its latest event.

    Args:
        last: says how the alarm stands.
        at: sample up to which it was watched.
        sent_at: Unix milliseconds at which the monitor sent that.
    """
    at = max(at, last.at)
    return msgspec.structs.replace(
        last,
        event=event_id(last.id, Phase.END, at),
        phase=Phase.END,
        state=State.INACTIVE,
        at=at,
        text=f"{last.text} (end not seen)",
        sent_at=sent_at,
        offset=at if last.kind in (Kind.AF, Kind.FLUTTER) else None,
    )
