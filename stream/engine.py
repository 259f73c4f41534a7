"""What an engine gives the pump: messages in, and a log that keeps what came of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from alarms.alarm import AlarmEvent
from models.finding import Finding
from stream.wire import DeadLetter


@dataclass(frozen=True, slots=True)
class Message:
    """One message of ``ecg.chunks`` as the engine took it from the log.

    Attributes:
        partition: the part of the log that it stands in.
        position: its place there: grows from message to message, a Kafka offset or a Valkey entry id as one number.
        received_at: Unix milliseconds at which the log took it, by the log's clock.
        value: the encoded chunk.
    """

    partition: int
    position: int
    received_at: float
    value: bytes


@dataclass
class Batch:
    """What came of some messages and must be kept."""

    alarms: list[AlarmEvent] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    deadletters: list[DeadLetter] = field(default_factory=list)


class Log(Protocol):
    """The log that an engine runs on."""

    async def load_checkpoints(self, partition: int) -> dict[str, bytes]:
        """The newest checkpoint of each bed of ``partition``, by the position inside it."""

    async def publish(self, partition: int, batch: Batch) -> None:
        """Keep the batch; returns once its alarms and dead letters are confirmed written."""

    async def save_checkpoints(self, partition: int, checkpoints: Mapping[str, bytes]) -> None:
        """Keep checkpoints by bed; returns once they are confirmed written."""

    async def commit(self, partition: int, position: int) -> None:
        """No message below ``position`` is needed any more."""


class Source(Protocol):
    """Where a feeder puts chunks."""

    def send(self, bed: str, value: bytes) -> None:
        """Hand over one encoded chunk; may block while the log is slow, never drops."""

    def flush(self) -> None:
        """Return once everything handed over is confirmed. Raises what went wrong."""

    def close(self) -> None:
        """Flush and let go."""


Messages = Sequence[Message]
