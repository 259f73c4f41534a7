"""Runs the application on a port until told to stop."""

import asyncio
import socket

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.config import ApiConfig
from api.outbox import CLOSE_RESTART
from api.ward import SHUTDOWN, WardService

# Counted in the kernel's buffer, where no frame can be dropped any more: a second of 64 beds with 12 leads.
SEND_BUFFER = 256 * 1024
# A client that acknowledges nothing, or whose window stays shut, is let go by the kernel after this long. Longer than
# it takes to tell it that it is too slow.
USER_TIMEOUT_MS = 15_000
FAREWELL_S = 0.5
GRACE_S = 5  # then connections that still stand are cut


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections keep little in the kernel; port 0: any free one.

    Raises:
        OSError: the port is taken, or the host is none of ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        listening.bind((host, port))
        listening.listen(2048)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


class ApiServer(uvicorn.Server):
    """Uvicorn that says ``bye`` to the sockets before it closes them."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                ws="websockets-sansio",
                # Compressing each message for each client costs more than the network in a ward saves.
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=GRACE_S,
                server_header=False,
            )
        )
        self._ward: WardService = app.state.ward

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the clients go, then stop."""
        for server in self.servers:
            server.close()
        self._ward.hub.end_all(CLOSE_RESTART, SHUTDOWN)
        deadline = asyncio.get_running_loop().time() + FAREWELL_S
        while self._ward.hub.clients and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        await super().shutdown(sockets)


def serve(config: ApiConfig, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        ValueError: the configuration makes no sense.
        OSError: the port is taken.
    """
    server = ApiServer(create_app(config))
    with listen(host, port) as listening:
        server.run(sockets=[listening])
