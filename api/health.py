"""``/live`` and ``/ready``: whether the process lives, and whether the ward is being watched."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.errors import json_response
from api.messages import Service
from api.schemas import answers
from api.ward import ward_of

router = APIRouter(tags=["health"])


@router.get("/live", summary="The process lives")
async def live() -> Response:
    """No more than that: the store may be down."""
    return json_response({"live": True})


@router.get("/ready", summary="The ward is being watched", responses=answers(Service) | answers(Service, 503))
async def ready(request: Request) -> Response:
    """200 while the store answers, a worker is there and findings advance; otherwise 503 with the reason."""
    service = ward_of(request).board.service()
    return json_response(service, 200 if service.ready else 503)
