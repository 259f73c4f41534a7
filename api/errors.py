"""Refusals as clear JSON: ``{"error": "seconds: expected 1 to 60, got '9999'"}``."""

import msgspec
import redis.asyncio as redis
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException


class ApiError(Exception):
    """A request that is refused, with its HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def json_response(content: object, status: int = 200) -> Response:
    """Any msgspec type as JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def error_response(status: int, text: str) -> Response:
    """The one shape of every refusal."""
    response = json_response({"error": text}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def add_error_handlers(app: FastAPI) -> None:
    """Give every refusal of the app the one shape."""

    @app.exception_handler(ApiError)
    async def refused(_: Request, error: ApiError) -> Response:
        return error_response(error.status, str(error))

    @app.exception_handler(HTTPException)
    async def failed(request: Request, error: HTTPException) -> Response:
        text = f"nothing at {request.url.path!r}" if error.status_code == 404 else str(error.detail)
        return error_response(error.status_code, text)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        parts = [f"{item['loc'][-1]}: {item['msg']}, got {item.get('input')!r}" for item in error.errors()]
        return error_response(422, "; ".join(parts))

    @app.exception_handler(redis.RedisError)
    async def store_down(_: Request, error: redis.RedisError) -> Response:
        return error_response(503, f"the store does not answer: {error}")
