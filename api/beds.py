"""Beds over REST: how they stand, and their strips."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from api.auth import require
from api.errors import ApiError, json_response
from api.messages import BedView, StripView, Ward
from api.schemas import answers
from api.ward import ward_of
from ecg.leads import LEADS
from stream.store_reader import MAX_STRIP_S, Strip
from windowing.spans import ANALYSIS_FS

router = APIRouter(prefix="/beds", tags=["beds"], dependencies=[Depends(require("viewer"))])


@router.get("", summary="All beds and the service", responses=answers(Ward))
async def all_beds(request: Request) -> Response:
    """As on the socket, once."""
    return json_response(ward_of(request).board.ward())


@router.get("/{bed}", summary="One bed", responses=answers(BedView))
async def one_bed(request: Request, bed: str) -> Response:
    """Its state now."""
    ward = ward_of(request)
    state = await ward.reader.bed(bed)
    if state is None:
        raise ApiError(404, f"unknown bed {bed!r}")
    return json_response(ward.board.view(state))


@router.get("/{bed}/strip", summary="All leads at the full rate, of the last minutes", responses=answers(StripView))
async def strip(
    request: Request,
    bed: str,
    seconds: Annotated[int, Query(ge=1, le=MAX_STRIP_S)] = 10,
    end: Annotated[int | None, Query(ge=0, description="analysis sample index; the newest if left out")] = None,
    epoch: Annotated[int | None, Query(ge=0, description="Unix ms of sample 0; the newest if left out")] = None,
) -> Response:
    """The seconds before ``end``. About five minutes are kept."""
    ward = ward_of(request)
    found = await ward.reader.strip(bed, end, seconds, epoch)
    if found is None:
        if await ward.reader.bed(bed) is None:
            raise ApiError(404, f"unknown bed {bed!r}")
        raise ApiError(404, f"no strip of bed {bed!r} is kept" + (f" for epoch {epoch}" if epoch is not None else ""))
    return json_response(strip_view(bed, found))


def strip_view(bed: str, strip: Strip) -> StripView:
    """The strip as JSON: tenths of microvolts, null for what was not measured."""
    rounded = np.round(strip.microvolts.astype(np.float64), 1)
    missing = np.isnan(rounded)
    rows: list[list[float | None] | None] = []
    for values, gaps in zip(rounded, missing, strict=True):
        if gaps.all():
            rows.append(None)
            continue
        row: list[float | None] = values.tolist()
        for index in np.flatnonzero(gaps):
            row[index] = None
        rows.append(row)
    return StripView(
        bed=bed,
        epoch=strip.epoch,
        fs=ANALYSIS_FS,
        leads=LEADS,
        first=strip.first,
        end=strip.first + strip.microvolts.shape[1],
        microvolts=rows,
    )
