"""``wardbeat watch``: the alarms in a terminal, over the WebSocket, resumed after every break."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from rich.console import Console
from rich.text import Text
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

STYLES = {"high": "bold white on red", "medium": "bold yellow", "low": "cyan", "technical": "cyan"}
STARS = {"high": "***", "medium": "** ", "low": "*  ", "technical": "   "}
RETRY_S = 1.0
SILENT_S = 10.0  # five heartbeats: the server is gone though the connection looks alive
POLICY_CLOSE = 4401  # the token is no good: asking again would not help


class AlarmStream:
    """Messages of ``/ws/alarms`` over as many connections as it takes, each alarm event once.

    Args:
        url: address of the API, ``http://…``.
        token: signed token.
        since: id of the last entry seen; ``0`` is all that is kept.
    """

    def __init__(self, url: str, token: str, since: str = "0") -> None:
        self._url = url.rstrip("/").replace("http", "ws", 1) + "/ws/alarms"
        self._token = token
        self.since = since
        self._log: str | None = None  # the log that `since` belongs to
        self._seen: set[str] = set()

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Every message, with ``{"type": "lost", "reason": …}`` for each break; ends only with the caller.

        Raises:
            ValueError: the token was refused.
        """
        while True:
            try:
                headers = {"Authorization": f"Bearer {self._token}"}
                query = urlencode({"since": self.since} | ({"log": self._log} if self._log else {}))
                async with connect(f"{self._url}?{query}", additional_headers=headers) as socket:
                    while True:
                        async with asyncio.timeout(SILENT_S):
                            received = await socket.recv()
                        message = msgspec.json.decode(received)
                        if message["type"] == "alarm":
                            self.since = message["id"]
                            if message["event"]["event"] in self._seen:
                                continue
                            self._seen.add(message["event"]["event"])
                        elif message["type"] == "hello":
                            self._log = message["log"] or self._log
                        yield message
            except ConnectionClosed as error:
                if error.rcvd is not None and error.rcvd.code == POLICY_CLOSE:
                    raise ValueError(f"the server refused the token: {error.rcvd.reason}") from None
                reason = str(error)
            except InvalidStatus as error:
                if error.response.status_code in (401, 403):
                    raise ValueError(f"the server refused the token: {error}") from None
                reason = str(error)
            except TimeoutError:
                reason = f"nothing heard for {SILENT_S:.0f} s"
            except OSError as error:
                reason = str(error)
            yield {"type": "lost", "reason": reason}
            await asyncio.sleep(RETRY_S)


async def watch(
    url: str,
    token: str | None,
    secret: str,
    since: str,
    seconds: float | None,
    json_lines: bool,
    console: Console,
) -> None:
    """Print alarm events until interrupted, or for ``seconds``.

    Raises:
        ValueError: there is no token, or the server refused it.
    """
    if token is None:
        if not secret:
            raise ValueError("token: none given; pass --token, or set WARDBEAT_TOKEN or WARDBEAT_SECRET")
        from api.auth import issue_token

        token = issue_token(secret, "watch", "viewer", 86400)
    out = Console()
    stream = AlarmStream(url, token, since)
    deadline = None if seconds is None else time.monotonic() + seconds
    lost = False
    iterator = stream.messages()
    while deadline is None or time.monotonic() < deadline:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            async with asyncio.timeout(left):
                message = await anext(iterator)
        except TimeoutError:
            break
        if message["type"] == "alarm":
            if json_lines:
                print(msgspec.json.encode(message).decode(), flush=True)
            else:
                out.print(line_of(message["event"]))
        elif message["type"] == "lost" and not lost:
            console.print(f"[bold red]CONNECTION LOST[/] {message['reason']}; trying again", highlight=False)
        lost = message["type"] == "lost"


def line_of(event: dict[str, Any]) -> Text:
    """One alarm event as a line: when, stars, bed, what, phase."""
    at = datetime.fromtimestamp((event["epoch"] + 2 * event["at"]) / 1000).strftime("%H:%M:%S.%f")[:-4]
    style = STYLES[event["priority"]] if event["phase"] != "end" else "dim"
    line = Text(f"{at} ")
    line.append(f"{STARS[event['priority']]} {event['bed']:<12} {event['text']}", style=style)
    line.append(f"  {event['phase']}", style="dim")
    return line
