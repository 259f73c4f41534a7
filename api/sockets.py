"""``/ws/alarms``: every alarm after the one that the client names, exactly once and in order, and the ward's state.

One connection goes OPENING → REPLAY → LIVE → CLOSED. REPLAY reads pages from the store until the hub's memory reaches
the client's position; LIVE takes from the client's outbox. From every state the way out is ``bye`` and a close code.
"""

import asyncio
import contextlib
import logging
from enum import Enum

import msgspec
import redis.asyncio as redis
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.auth import AuthError, Identity, read_token, token_in_header
from api.board import now_ms
from api.config import ApiConfig
from api.hub import AlarmHub, alarm_text
from api.messages import Bye, Heartbeat, Hello
from api.outbox import CLOSE_TOO_SLOW
from stream.lifetime import run_until_first
from stream.store_reader import LogEnds, StoreReader

log = logging.getLogger(__name__)

PROTOCOL = "wardbeat"
CLOSE_BAD_REQUEST = 4400
CLOSE_BAD_TOKEN = 4401
CLOSE_UNEXPECTED = 1003
MAX_REASON = 120  # a close frame holds 123 bytes
REPLAY_PAGE = 200  # entries between two looks at status and heartbeat
STORE_S = 1.0  # a store that hangs must not keep the status from the client
EMPTY_WAIT_S = 0.2  # an emptied store is asked again for what it does not have yet
FAREWELL_S = 2.0  # a client that takes nothing does not take its farewell either


class Refused(Exception):
    """The connection ends here: close code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def open_socket(socket: WebSocket, config: ApiConfig) -> Identity | None:
    """Accept the connection and look at its token; None if it was refused.

    A browser sees the close code only of a connection that was accepted first.
    """
    offered: list[str] = socket.scope["subprotocols"]
    await socket.accept(subprotocol=PROTOCOL if PROTOCOL in offered else None)
    bearer = next((item.removeprefix("bearer.") for item in offered if item.startswith("bearer.")), None)
    try:
        return read_token(config.secret, bearer or token_in_header(socket.headers.get("Authorization")))
    except AuthError as error:
        await close_socket(socket, CLOSE_BAD_TOKEN, str(error))
        return None


async def close_socket(socket: WebSocket, code: int, reason: str, last_words: str | None = None) -> None:
    """Close, after ``last_words`` if there are any; a client that is gone or takes nothing is left alone."""
    with contextlib.suppress(WebSocketDisconnect, TimeoutError, RuntimeError):
        async with asyncio.timeout(FAREWELL_S):
            if last_words is not None:
                await socket.send_text(last_words)
            await socket.close(code, reason.encode()[:MAX_REASON].decode(errors="ignore"))


async def expect_silence(socket: WebSocket) -> None:
    """Wait for the client to go. Raises Refused if it says anything: a command sent here must not seem done."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005), message.get("reason"))
    said = message.get("text") or message.get("bytes")
    raise Refused(CLOSE_UNEXPECTED, f"expected no message on this socket, got {said!r:.60}")


async def end_with_token(identity: Identity) -> None:
    """Raise Refused when the token expires."""
    await asyncio.sleep(max(0.0, identity.expires - now_ms() / 1000))
    raise Refused(CLOSE_BAD_TOKEN, "token: Signature has expired")


def number_of(since: str) -> int:
    """The number in an entry id (``57-0`` or ``57``). Raises Refused, quoting, if it is none."""
    digits, dash, rest = since.partition("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 15 or (dash and rest != "0"):
        raise Refused(CLOSE_BAD_REQUEST, f"since: expected an entry id such as '57-0', got {since[:40]!r}")
    return int(digits)


class Phase(Enum):
    """Where a connection stands."""

    OPENING = "opening"
    REPLAY = "replay"
    LIVE = "live"
    CLOSED = "closed"


class AlarmSocket:
    """One connection to ``/ws/alarms``.

    Args:
        since: id that the client saw last; None: only what is new.
        known_log: the log that ``since`` belongs to, if the client knows.
    """

    def __init__(
        self,
        socket: WebSocket,
        config: ApiConfig,
        reader: StoreReader,
        hub: AlarmHub,
        since: str | None,
        known_log: str | None,
    ) -> None:
        self._socket = socket
        self._config = config
        self._reader = reader
        self._hub = hub
        self._since = since
        self._known_log = known_log
        self._last: int | None = None
        self._outbox = hub.join(config.queued_alarms)
        self._phase = Phase.OPENING
        self._heartbeat_at = 0.0

    async def run(self) -> None:
        """Serve the connection until it ends."""
        try:
            identity = await open_socket(self._socket, self._config)
            if identity is None:
                return
            await run_until_first(self._send_all(), expect_silence(self._socket), end_with_token(identity))
        except WebSocketDisconnect:
            pass
        except Refused as refusal:
            if refusal.code == CLOSE_TOO_SLOW:
                self._hub.slow_clients += 1
            bye = Bye(reason=refusal.reason, last_id=self._last_id)
            await close_socket(self._socket, refusal.code, refusal.reason, msgspec.json.encode(bye).decode())
        finally:
            self._phase = Phase.CLOSED
            self._hub.leave(self._outbox)

    @property
    def _last_id(self) -> str | None:
        return None if self._last is None else f"{self._last}-0"

    async def _send_all(self) -> None:
        await self._say_hello()
        self._phase = Phase.REPLAY
        while True:
            if self._outbox.ended:
                raise Refused(*self._outbox.ended)
            if self._phase is Phase.REPLAY:
                await self._replay()
            while self._outbox.alarms and not self._outbox.ended:
                n, text = self._outbox.alarms.popleft()
                await self._send_alarm(n, text)
            await self._send_state()
            if self._phase is Phase.LIVE:
                await self._outbox.wait(self._heartbeat_at - asyncio.get_running_loop().time())

    async def _say_hello(self) -> None:
        if self._since is not None:
            self._last = number_of(self._since)
        ends = await self._log_ends()
        another_log = self._known_log is not None and ends is not None and ends.log not in (None, self._known_log)
        if self._last is not None and another_log:
            self._last = 0
        if self._last is None and self._hub.loaded:
            self._last = self._hub.position
        hello = Hello(
            since=self._last_id,
            top=f"{ends.top}-0" if ends else None,
            log=ends.log if ends else None,
            truncated=bool(ends and ends.trimmed and self._last is not None and self._last < ends.oldest - 1),
            heartbeat_s=self._config.heartbeat_s,
            server_time=now_ms(),
        )
        await self._send(msgspec.json.encode(hello).decode())

    async def _log_ends(self) -> LogEnds | None:
        with contextlib.suppress(redis.RedisError, OSError, TimeoutError):  # the status tells that it is down
            async with asyncio.timeout(STORE_S):
                return await self._reader.log_ends()
        return None

    async def _replay(self) -> None:
        """Come nearer to the present: go live, or send one page, or wait a moment for the store."""
        if self._last is None and self._hub.loaded:
            self._last = self._hub.position
        if self._last is not None and self._hub.go_live(self._outbox, self._last):
            self._phase = Phase.LIVE
            return
        sent = 0
        if self._last is not None:
            with contextlib.suppress(redis.RedisError, OSError, TimeoutError):  # the status tells that it is down
                async with asyncio.timeout(STORE_S):
                    batch = await self._reader.alarm_events(self._last, count=REPLAY_PAGE)
                if batch.log in (None, self._hub.log):
                    for entry in batch.entries:
                        await self._send_alarm(entry.n, alarm_text(entry))
                    sent = len(batch.entries)
        if not sent:
            await self._outbox.wait(EMPTY_WAIT_S)

    async def _send_alarm(self, n: int, text: str) -> None:
        if self._last is not None and n <= self._last:
            return  # the store was emptied and filled again behind us
        await self._send(text)
        self._last = n

    async def _send_state(self) -> None:
        text, self._outbox.status = self._outbox.status, None
        if text is not None:
            await self._send(text)
        now = asyncio.get_running_loop().time()
        if now >= self._heartbeat_at:
            self._heartbeat_at = now + self._config.heartbeat_s
            heartbeat = Heartbeat(server_time=now_ms(), last_id=self._last_id)
            await self._send(msgspec.json.encode(heartbeat).decode())

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(self._config.send_timeout_s):
                await self._socket.send_text(text)
        except TimeoutError:
            seconds = self._config.send_timeout_s
            raise Refused(CLOSE_TOO_SLOW, f"too slow: took nothing for {seconds:g} s") from None
