"""``/ws/waves``: display frames as they come. A slow client loses the oldest, and never more than a second waits."""

import asyncio
import logging
import time
from collections import deque
from typing import Any

import redis.asyncio as redis
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.config import ApiConfig
from api.sockets import (
    CLOSE_BAD_REQUEST,
    Refused,
    close_socket,
    end_with_token,
    expect_silence,
    open_socket,
)
from stream.lifetime import run_until_first
from stream.store_keys import StoreKeys

log = logging.getLogger(__name__)

MAX_AGE_S = 1.0  # an older frame would show the past as now
MAX_WAITING = 4096  # frames; a second of 800 beds
POLL_S = 0.2  # how soon a newly watched bed is subscribed
SILENT_S = 5.0  # with beds watched and not a frame, the subscription may be a dead connection: subscribe anew
RETRY_S = 0.5
ALL = "*"


class WaveBox:
    """Frames that wait for one client.

    Args:
        beds: those that the client watches; None: all.
    """

    def __init__(self, beds: frozenset[str] | None) -> None:
        self.beds = beds
        self.dropped = 0
        self._frames: deque[tuple[float, bytes]] = deque()
        self._news = asyncio.Event()

    def put(self, frame: bytes) -> None:
        """Queue the frame; the oldest go if they are too old or too many."""
        now = time.monotonic()
        while self._frames and (now - self._frames[0][0] > MAX_AGE_S or len(self._frames) >= MAX_WAITING):
            self._frames.popleft()
            self.dropped += 1
        self._frames.append((now, frame))
        self._news.set()

    async def take(self) -> bytes:
        """The next frame that is not too old."""
        while True:
            while self._frames:
                arrived, frame = self._frames.popleft()
                if time.monotonic() - arrived <= MAX_AGE_S:
                    return frame
                self.dropped += 1
            self._news.clear()
            await self._news.wait()


class WaveHub:
    """One subscription for all clients of this process, to the beds that somebody watches."""

    def __init__(self, client: redis.Redis, keys: StoreKeys) -> None:
        self._client = client
        self._keys = keys
        self._boxes: set[WaveBox] = set()
        self._watched = asyncio.Event()
        self._dropped_before = 0
        self.forwarded = 0

    @property
    def clients(self) -> int:
        """Clients connected now."""
        return len(self._boxes)

    @property
    def dropped(self) -> int:
        """Frames that slow clients lost since the start."""
        return self._dropped_before + sum(box.dropped for box in self._boxes)

    def join(self, beds: frozenset[str] | None) -> WaveBox:
        """A place for a new client."""
        box = WaveBox(beds)
        self._boxes.add(box)
        self._watched.set()
        return box

    def leave(self, box: WaveBox) -> None:
        """The client is gone."""
        self._boxes.discard(box)
        self._dropped_before += box.dropped

    async def run(self) -> None:
        """Forward until cancelled."""
        while True:
            await self._watched.wait()
            self._watched.clear()
            try:
                await self._follow()
            except (redis.RedisError, OSError) as error:
                log.warning("waves: the store does not answer: %s", error)
                self._watched.set()
                await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        """Forward while somebody watches."""
        subscribed: frozenset[str] | None = frozenset()
        heard_at = looked_at = time.monotonic()
        by_name: tuple[bytes, bytes] | None = None  # the last frame that came by its bed's name
        async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
            while self._boxes:
                now = time.monotonic()
                if now - looked_at > POLL_S or not pubsub.subscribed:
                    looked_at = now
                    subscribed = await self._subscribe(pubsub, subscribed)
                    if now - heard_at > SILENT_S:
                        self._watched.set()
                        return
                message = await pubsub.get_message(timeout=POLL_S)
                if message is None:
                    continue
                heard_at = time.monotonic()
                name_and_frame = (message["channel"], message["data"])
                # While one kind of subscription takes over from the other, the server sends a frame for each: first for
                # the name, right after it for the pattern.
                doubled = message["type"] == "pmessage" and name_and_frame == by_name
                by_name = name_and_frame if message["type"] == "message" else None
                if doubled:
                    continue
                self._forward(self._keys.bed_of_waves(message["channel"]), message["data"])

    async def _subscribe(self, pubsub: Any, subscribed: frozenset[str] | None) -> frozenset[str] | None:
        """Subscribe to what is watched now; returns it, None for all beds."""
        wanted = self._wanted()
        if wanted == subscribed:
            return wanted
        if wanted is None:
            await pubsub.psubscribe(self._keys.all_waves)
            if subscribed:
                await pubsub.unsubscribe()
            return wanted
        if new := wanted - (subscribed or frozenset()):
            await pubsub.subscribe(*map(self._keys.waves, new))
        if subscribed is None:
            await pubsub.punsubscribe()
        elif old := subscribed - wanted:
            await pubsub.unsubscribe(*map(self._keys.waves, old))
        return wanted

    def _wanted(self) -> frozenset[str] | None:
        beds: set[str] = set()
        for box in self._boxes:
            if box.beds is None:
                return None
            beds |= box.beds
        return frozenset(beds)

    def _forward(self, bed: str, frame: bytes) -> None:
        self.forwarded += 1
        for box in self._boxes:
            if box.beds is None or bed in box.beds:
                box.put(frame)


def beds_of(text: str | None) -> frozenset[str] | None:
    """The beds in ``a,b``, or None for ``*``. Raises Refused, quoting, where there is none."""
    if text == ALL:
        return None
    beds = frozenset(filter(None, (text or "").split(",")))
    if not beds:
        raise Refused(CLOSE_BAD_REQUEST, f"beds: expected '*' or names parted by commas, got {text!r:.60}")
    return beds


class WaveSocket:
    """One connection to ``/ws/waves``.

    Args:
        beds: the parameter as the client gave it.
    """

    def __init__(self, socket: WebSocket, config: ApiConfig, hub: WaveHub, beds: str | None) -> None:
        self._socket = socket
        self._config = config
        self._hub = hub
        self._beds = beds

    async def run(self) -> None:
        """Serve the connection until it ends."""
        identity = await open_socket(self._socket, self._config)
        if identity is None:
            return
        box: WaveBox | None = None
        try:
            box = self._hub.join(beds_of(self._beds))
            await run_until_first(self._send(box), expect_silence(self._socket), end_with_token(identity))
        except WebSocketDisconnect:
            pass
        except Refused as refusal:
            await close_socket(self._socket, refusal.code, refusal.reason)
        finally:
            if box is not None:
                self._hub.leave(box)

    async def _send(self, box: WaveBox) -> None:
        while True:
            await self._socket.send_bytes(await box.take())
