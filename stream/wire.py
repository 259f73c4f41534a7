"""What the messages look like on the wire: MessagePack for chunks, findings and checkpoints, JSON for alarms."""

import msgspec

from alarms.alarm import AlarmEvent
from ecg.chunk import Chunk
from models.finding import Finding

CHUNKS = "ecg.chunks"
COMMANDS = "ecg.commands"
FINDINGS = "ecg.findings"
ALARMS = "ecg.alarms"
CHECKPOINTS = "ecg.checkpoints"
DEADLETTERS = "ecg.deadletters"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that could not be used, set aside with the reason.

    Attributes:
        topic: where it stood.
        partition: which part of the topic.
        position: its offset (Kafka) or entry id as one number (embedded).
        reason: what is wrong with it, quoting the value.
        value: the message itself.
    """

    topic: str
    partition: int
    position: int
    reason: str
    value: bytes


_encode = msgspec.msgpack.Encoder().encode
_chunk = msgspec.msgpack.Decoder(Chunk)
_finding = msgspec.msgpack.Decoder(Finding)
_alarm = msgspec.json.Decoder(AlarmEvent)
_encode_json = msgspec.json.Encoder(order="deterministic").encode


def encode_chunk(chunk: Chunk) -> bytes:
    """The chunk as a MessagePack map."""
    return _encode(chunk)


def decode_chunk(data: bytes) -> Chunk:
    """The chunk in ``data``, every field checked.

    Raises:
        ValueError: it is no MessagePack, a field is missing or of the wrong type, or a value makes no sense.
    """
    return _chunk.decode(data).check()


def encode_finding(finding: Finding) -> bytes:
    """The finding as a MessagePack map."""
    return _encode(finding)


def decode_finding(data: bytes) -> Finding:
    """The finding in ``data``. Raises ValueError where it is none."""
    return _finding.decode(data)


def encode_alarm(event: AlarmEvent) -> bytes:
    """The alarm event as JSON with its keys in order: the same event gives the same bytes."""
    return _encode_json(event)


def decode_alarm(data: bytes) -> AlarmEvent:
    """The alarm event in ``data``. Raises ValueError where it is none."""
    return _alarm.decode(data)


def encode_deadletter(letter: DeadLetter) -> bytes:
    """The dead letter as a MessagePack map."""
    return _encode(letter)
