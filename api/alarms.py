"""Alarms over REST: the history, and those that have not ended."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from alarms.alarm import AlarmEvent, Kind, Phase, Priority
from api.auth import require
from api.errors import ApiError, json_response
from api.messages import AlarmItem, AlarmPage
from api.schemas import answers
from api.ward import ward_of
from windowing.spans import ANALYSIS_FS

router = APIRouter(prefix="/alarms", tags=["alarms"], dependencies=[Depends(require("viewer"))])

MAX_PAGE = 500


def time_of(event: AlarmEvent) -> float:
    """Unix milliseconds at which it was decided, by the monitor's clock."""
    return event.epoch + event.at * 1000 / ANALYSIS_FS


@router.get("", summary="The history, newest first", responses=answers(AlarmPage))
async def history(
    request: Request,
    bed: str | None = None,
    kind: Kind | None = None,
    priority: Priority | None = None,
    phase: Phase | None = None,
    since_ms: Annotated[float | None, Query(description="decided at this Unix ms or later")] = None,
    until_ms: Annotated[float | None, Query(description="decided before this Unix ms")] = None,
    before: Annotated[str | None, Query(pattern=r"^\d{1,15}(-0)?$", description="an entry id; older ones")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> Response:
    """Events that pass every filter given. ``before`` of the answer continues it."""

    def wanted(event: AlarmEvent) -> bool:
        return (
            (bed is None or event.bed == bed)
            and (kind is None or event.kind is kind)
            and (priority is None or event.priority is priority)
            and (phase is None or event.phase is phase)
            and (since_ms is None or time_of(event) >= since_ms)
            and (until_ms is None or time_of(event) < until_ms)
        )

    number = None if before is None else int(before.split("-")[0])
    page = await ward_of(request).reader.history(wanted, number, limit)
    items = [AlarmItem(id=entry.id, event=event) for entry, event in page.alarms]
    return json_response(AlarmPage(alarms=items, before=None if page.before is None else f"{page.before}-0"))


@router.get("/active", summary="Alarms that have not ended", responses=answers(AlarmPage))
async def active(request: Request) -> Response:
    """The newest event of each, newest first."""
    hub = ward_of(request).hub
    if not hub.loaded or not hub.answers:
        raise ApiError(503, "the store does not answer: which alarms are active is not known")
    alarms = sorted(hub.active, key=lambda item: -item[0].n)
    return json_response(
        AlarmPage(alarms=[AlarmItem(id=entry.id, event=event) for entry, event in alarms], before=None)
    )
