"""The FastAPI application: rooms wired, console served."""

import contextlib
import mimetypes
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI, WebSocket
from fastapi.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from api import alarms, beds, health, metrics
from api.asyncapi import asyncapi_document
from api.auth import check_secret, require
from api.config import ApiConfig
from api.errors import add_error_handlers
from api.schemas import REST_TYPES, components
from api.security import SecurityHeaders
from api.sockets import AlarmSocket
from api.ward import WardService
from api.waves import WaveSocket

VERSION = version("wardbeat")
# The system's table of types may lack these or call them otherwise, and with nosniff a browser then refuses them.
TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}


class ConsoleFiles(StaticFiles):
    """The console's files: asked for again each time, sent only if they changed (ETag)."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(config: ApiConfig) -> FastAPI:
    """The application.

    Raises:
        ValueError: the secret is too short, or the store's address of an unknown kind.
    """
    check_secret(config.secret)
    ward = WardService(config)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with ward.running():
            yield

    app = FastAPI(
        title="Wardbeat", version=VERSION, lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None
    )  # its pages of documentation load scripts from outside
    app.state.ward = ward
    add_error_handlers(app)
    app.add_middleware(SecurityHeaders)
    for router in (health.router, metrics.router, beds.router, alarms.router):
        app.include_router(router)

    @app.get("/openapi.json", dependencies=[Depends(require("viewer"))], include_in_schema=False)
    async def openapi() -> JSONResponse:
        return JSONResponse(openapi_document(app))

    @app.get("/asyncapi.json", dependencies=[Depends(require("viewer"))], include_in_schema=False)
    async def asyncapi() -> JSONResponse:
        return JSONResponse(asyncapi_document(VERSION))

    @app.websocket("/ws/alarms")
    async def alarm_socket(socket: WebSocket, since: str | None = None, log: str | None = None) -> None:
        await AlarmSocket(socket, config, ward.reader, ward.hub, since, log).run()

    @app.websocket("/ws/waves")
    async def wave_socket(socket: WebSocket, beds: str | None = None) -> None:
        await WaveSocket(socket, config, ward.waves, beds).run()

    for suffix, kind in TYPES.items():
        mimetypes.add_type(kind, suffix)
    if config.console.is_dir():
        app.mount("/", ConsoleFiles(directory=config.console, html=True), name="console")
    return app


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document with the schemas of what is really sent."""
    document = app.openapi()
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= components(*REST_TYPES)
    return document
