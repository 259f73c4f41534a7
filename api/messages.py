"""What goes over the sockets and comes back from REST, as types."""

from typing import Literal

import msgspec

from alarms.alarm import AlarmEvent
from alarms.liveness import Connection, Inop
from stream.states import BedState


class BedView(BedState, frozen=True, kw_only=True):
    """A bed's state, and how its connection stands by the clock.

    Attributes:
        connection: live, offline (no chunk for 3 s), behind (analysis over 3 s late), unserved (no worker, no store).
        inops: technical conditions that the clock tells; those of the signal are alarms.
    """

    connection: Connection
    inops: tuple[Inop, ...]


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """How the service itself stands.

    Attributes:
        cache: whether the store answers.
        workers: workers with a fresh heartbeat.
        ready: the store answers, a worker is there, and findings advance.
        reason: why it is not ready; empty if it is.
    """

    cache: Literal["up", "down"]
    workers: int
    ready: bool
    reason: str


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A message on ``/ws/alarms``."""


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """The first message.

    Attributes:
        since: alarms after this entry follow; null while the store has not told which is the newest.
        top: the newest entry in the store; null while it does not answer. Lower than ``since`` while an emptied store
            is filled again.
        log: name of the log of alarms. Give it back as ``log=`` with ``since=``: ids of another log mean other events,
            so all of the new log is sent then, and ``since`` is ``0-0``.
        truncated: entries after ``since`` were cut off already; the history has a gap.
        heartbeat_s: the socket is never silent for longer.
        server_time: Unix milliseconds.
    """

    since: str | None
    top: str | None
    log: str | None
    truncated: bool
    heartbeat_s: float
    server_time: float


class Alarm(Message, frozen=True, kw_only=True, tag="alarm"):
    """An entry of the log of alarms: its id, to be named as ``since`` on the next connection, and the event."""

    id: str
    event: AlarmEvent


class Status(Message, frozen=True, kw_only=True, tag="status"):
    """All beds and the service, once a second."""

    server_time: float
    service: Service
    beds: tuple[BedView, ...]


class Heartbeat(Message, frozen=True, kw_only=True, tag="heartbeat"):
    """The connection lives; ``last_id`` is the last alarm that was sent on it, or where it began."""

    server_time: float
    last_id: str | None


class Bye(Message, frozen=True, kw_only=True, tag="bye"):
    """The server closes: why, and the last alarm that was sent."""

    reason: str
    last_id: str | None


class AlarmItem(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the log of alarms in a REST answer."""

    id: str
    event: AlarmEvent


class AlarmPage(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms, newest first; ``before`` is the parameter that continues, null at the end."""

    alarms: list[AlarmItem]
    before: str | None


class Ward(msgspec.Struct, frozen=True, kw_only=True):
    """All beds and the service."""

    server_time: float
    service: Service
    beds: tuple[BedView, ...]


class StripView(msgspec.Struct, frozen=True, kw_only=True):
    """All leads of a bed at the full rate.

    Attributes:
        bed: the bed.
        epoch: Unix milliseconds of sample 0.
        fs: samples per second.
        leads: names of the rows.
        first: analysis sample index of the first column.
        end: analysis sample index after the last column.
        microvolts: a row for each lead, or null where none of it was measured; in a row null where a sample was not.
    """

    bed: str
    epoch: int
    fs: int
    leads: tuple[str, ...]
    first: int
    end: int
    microvolts: list[list[float | None] | None]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused, quoting the value."""

    error: str


SOCKET_MESSAGES = (Hello, Alarm, Status, Heartbeat, Bye)
