"""Endpoint for the daily usage of a tenant."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query

from smart_filter_api.http.documents import render_as
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.schemas.parameters import Day
from smart_filter_api.services.callers import Reader
from smart_filter_api.services.container import OpenServices
from smart_filter_shared.errors import MalformedRequest
from smart_filter_shared.tenants import usage
from smart_filter_wire.tenants import DayUsage, UsagePage

router = APIRouter(prefix="/v1/usage", tags=["tenants"])

_DEFAULT_DAYS = 30
_MAX_DAYS = 366


@router.get(
    "",
    summary="List daily usage",
    description="A job counts on the day in UTC on which it ends, and appears within a few "
    f"seconds. The range includes both days and has at most {_MAX_DAYS} days.",
    responses=describe_responses("malformed_request"),
)
async def get_usage(
    services: OpenServices,
    caller: Reader,
    *,
    first: Annotated[
        Day | None, Query(alias="from", description=f"First day; default {_DEFAULT_DAYS} days ago")
    ] = None,
    last: Annotated[Day | None, Query(alias="to", description="Last day; default today")] = None,
) -> UsagePage:
    """Return the days on which jobs of the caller's tenant ended, and their usage."""
    until = last or dt.datetime.now(dt.UTC).date()
    since = first or max(dt.date.min + dt.timedelta(_DEFAULT_DAYS), until) - dt.timedelta(
        _DEFAULT_DAYS
    )
    if not 0 <= (until - since).days < _MAX_DAYS:
        raise MalformedRequest(
            f"`from` to `to` is not a range of 1 to {_MAX_DAYS} days", pointer="/from"
        )
    days = await services.database.query(usage.list_days, caller.tenant, since, until)
    return UsagePage(
        items=tuple(
            render_as(DayUsage, day.whole, day=day.day, by_state=day.by_state) for day in days
        ),
        record_seconds=services.settings.keep.record_seconds or None,
    )
