"""The alarm and its parts: kind, priority, phase, state, and ids that the same data always yields again."""

from enum import StrEnum
from hashlib import blake2b

import msgspec


class Priority(StrEnum):
    """How soon somebody must come (IEC 60601-1-8); technical conditions are apart."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    TECHNICAL = "technical"


class Phase(StrEnum):
    """What an event says of its alarm (IHE ACM)."""

    START = "start"
    CONTINUE = "continue"
    UPDATE = "update"
    ESCALATE = "escalate"
    DEESCALATE = "de-escalate"
    END = "end"


class State(StrEnum):
    """How the alarm stands after the event (IHE ACM)."""

    ACTIVE = "active"
    LATCHED = "latched"
    INACTIVE = "inactive"


class Kind(StrEnum):
    """The conditions that this ward knows."""

    ASYSTOLE = "asystole"
    EXTREME_BRADY = "extreme_brady"
    EXTREME_TACHY = "extreme_tachy"
    PAUSE = "pause"
    BRADY = "brady"
    TACHY = "tachy"
    AF = "af"
    FLUTTER = "flutter"
    LEADS_OFF = "leads_off"
    SIGNAL_POOR = "signal_poor"
    NO_DATA = "no_data"


PRIORITY = {
    Kind.ASYSTOLE: Priority.HIGH,
    Kind.EXTREME_BRADY: Priority.HIGH,
    Kind.EXTREME_TACHY: Priority.HIGH,
    Kind.PAUSE: Priority.MEDIUM,
    Kind.BRADY: Priority.MEDIUM,
    Kind.TACHY: Priority.MEDIUM,
    Kind.AF: Priority.MEDIUM,
    Kind.FLUTTER: Priority.LOW,
    Kind.LEADS_OFF: Priority.TECHNICAL,
    Kind.SIGNAL_POOR: Priority.TECHNICAL,
    Kind.NO_DATA: Priority.TECHNICAL,
}


class AlarmEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event in the life of an alarm, as it stands in the log ``ecg.alarms``.

    Attributes:
        id: the alarm: a digest of bed, epoch, kind and onset.
        event: this event: the alarm's id, the phase and the deciding sample. Consumers are idempotent by it.
        bed: the bed.
        epoch: Unix milliseconds of sample 0; wall-clock times are epoch + 2 ms × sample index.
        kind: the condition.
        priority: how soon somebody must come.
        phase: what this event says.
        state: how the alarm stands now.
        onset: analysis sample index (500 Hz) at which the condition began. For AF and flutter a later event may know it
            better than the first one did; the id stays.
        at: analysis sample index at which it was decided.
        text: what the nurse reads, naming the limit that was broken: ``HR 134 > 120``.
        value: the measured value, where the condition has one.
        limit: the limit that it broke.
        sent_at: Unix milliseconds at which the monitor sent the samples that decided it.
        model: what judged.
        reason: what the network judged by, in words; empty for alarms that it has no part in.
        prediction_set: rhythms that could not be ruled out; empty likewise.
        offset: analysis sample index at which the rhythm ended; only in the end event of AF and flutter.
        saliency: what the network looked at when an AF or flutter alarm started or was confirmed: lead → Grad-CAM in
            each of the ten seconds before ``at``, per cent of the largest.
        attention: which features it looked at: kind → per cent.
        attention_by_second: the same in each of those ten seconds: kind → ten times per cent, oldest first.
    """

    id: str
    event: str
    bed: str
    epoch: int
    kind: Kind
    priority: Priority
    phase: Phase
    state: State
    onset: int
    at: int
    text: str
    value: float | None = None
    limit: float | None = None
    sent_at: float = 0.0
    model: str = ""
    reason: str = ""
    prediction_set: tuple[str, ...] = ()
    offset: int | None = None
    saliency: dict[str, tuple[int, ...]] = {}
    attention: dict[str, int] = {}
    attention_by_second: dict[str, tuple[int, ...]] = {}
    v: int = 1


def alarm_id(bed: str, epoch: int, kind: Kind, onset: int) -> str:
    """Sixteen hex digits that the same condition on the same data always yields again."""
    return blake2b(f"{bed}\0{epoch}\0{kind}\0{onset}".encode(), digest_size=8).hexdigest()


def event_id(alarm: str, phase: Phase, at: int) -> str:
    """Id of one event in the life of ``alarm``."""
    return f"{alarm}.{phase}.{at}"
