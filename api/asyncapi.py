"""The AsyncAPI 3.0 document: topics and sockets, with schemas made from the types that encode them."""

from typing import Any

from alarms.alarm import AlarmEvent
from api.messages import SOCKET_MESSAGES
from api.outbox import CLOSE_RESTART, CLOSE_TOO_SLOW
from api.schemas import components
from api.sockets import CLOSE_BAD_REQUEST, CLOSE_BAD_TOKEN, CLOSE_UNEXPECTED
from ecg.chunk import Chunk
from models.finding import Finding
from stream import wire
from stream.wire import DeadLetter

MSGPACK = "application/msgpack"
JSON = "application/json"
BINARY = "application/octet-stream"

WAVE_FRAME = """\
Little-endian, 125 samples per second for the eye, 0.5 to 40 Hz:
offset 0 u8 version = 1 | 1 u8 number of leads L | 2 u16 samples per lead N | 4 u8 length B of the bed's name |
5 u8[3] zero | 8 f64 epoch, Unix ms | 16 f64 index of the first sample in the epoch, at 125 Hz |
24 f32 microvolts per bit | 28 u32 ms after the epoch at which the monitor sent it | 32 B bytes UTF-8, the bed's name |
L bytes, the leads' places in I II III aVR aVL aVF V1 V2 V3 V4 V5 V6 | zero up to an even offset |
L·N int16, lead after lead; -32768 is not measured.
"""

# topic: what is on it, its type, how it is encoded, what the key is
TOPICS: dict[str, tuple[str, type, str, str]] = {
    wire.CHUNKS: ("What monitors send.", Chunk, MSGPACK, "bed"),
    wire.FINDINGS: ("What is found in each window.", Finding, MSGPACK, "bed"),
    wire.ALARMS: ("The truth about alarms: one partition, one order.", AlarmEvent, JSON, "bed"),
    wire.DEADLETTERS: ("Messages that could not be used, with the reason.", DeadLetter, MSGPACK, "bed, if it is known"),
}

CLOSE_CODES = {
    CLOSE_RESTART: "the server restarts, or the log of alarms began anew: connect again",
    CLOSE_UNEXPECTED: "the client sent a message; these sockets take none",
    CLOSE_BAD_REQUEST: "a parameter makes no sense; the reason quotes it",
    CLOSE_BAD_TOKEN: "the token is missing, wrong or expired",
    CLOSE_TOO_SLOW: "the client did not take its alarms in time: connect again with since=last_id",
}


def asyncapi_document(version: str) -> dict[str, Any]:
    """The document, as JSON-able dictionaries."""
    kinds = {kind.__name__: kind for kind in (*SOCKET_MESSAGES, *(row[1] for row in TOPICS.values()))}
    messages: dict[str, Any] = {
        name: {
            "name": name,
            "summary": _first_line(kind),
            "contentType": JSON,
            "payload": {"$ref": f"#/components/schemas/{name}"},
        }
        for name, kind in kinds.items()
    }
    for _, kind, content, key in TOPICS.values():
        messages[kind.__name__] |= {
            "contentType": content,
            "bindings": {"kafka": {"key": {"type": "string", "description": key}}},
        }
    messages["WaveFrame"] = {
        "name": "WaveFrame",
        "summary": "Samples of one bed for the screen.",
        "description": WAVE_FRAME,
        "contentType": BINARY,
        "payload": {"type": "string", "format": "binary"},
    }
    channels: dict[str, Any] = {
        topic: {
            "address": topic,
            "description": text,
            "servers": [{"$ref": "#/servers/kafka"}],
            "messages": _refs(kind.__name__),
        }
        for topic, (text, kind, _, _) in TOPICS.items()
    }
    channels["alarmSocket"] = _socket(
        "/ws/alarms",
        "Every alarm after `since`, exactly once and in order, and the state of the ward once a second.",
        {
            "since": "the last entry seen, e.g. `57-0`; `0`: all that is kept; left out: only what is new",
            "log": "the log that `since` belongs to, as `hello` named it",
        },
        [kind.__name__ for kind in SOCKET_MESSAGES],
    )
    channels["waveSocket"] = _socket(
        "/ws/waves",
        "Display frames; a slow client loses the oldest.",
        {"beds": "names parted by commas, or `*`"},
        ["WaveFrame"],
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Wardbeat",
            "version": version,
            "description": "Live ECG of a telemetry ward in, alarms out.",
            "license": {"name": "Apache-2.0"},
        },
        "servers": {
            "kafka": {"host": "localhost:9092", "protocol": "kafka"},
            "api": {
                "host": "localhost:8080",
                "protocol": "ws",
                "description": "JWT as subprotocols `wardbeat`, `bearer.<token>`, or `Authorization: Bearer <token>`.",
            },
        },
        "channels": channels,
        "operations": {
            f"{'receive' if topic == wire.CHUNKS else 'send'}_{topic.replace('.', '_')}": _operation(topic)
            for topic in channels
        },
        "components": {"messages": messages, "schemas": components(*kinds.values())},
    }


def _socket(address: str, text: str, query: dict[str, str], messages: list[str]) -> dict[str, Any]:
    codes = "\n".join(f"- {code}: {meaning}" for code, meaning in CLOSE_CODES.items())
    properties = {name: {"type": "string", "description": meaning} for name, meaning in query.items()}
    return {
        "address": address,
        "description": f"{text}\n\nClose codes:\n{codes}",
        "servers": [{"$ref": "#/servers/api"}],
        "messages": _refs(*messages),
        "bindings": {"ws": {"query": {"type": "object", "properties": properties}}},
    }


def _refs(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _operation(channel: str) -> dict[str, Any]:
    action = "receive" if channel == wire.CHUNKS else "send"
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").splitlines()[0]
