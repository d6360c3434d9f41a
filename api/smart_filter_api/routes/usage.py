"""What a tenant has used, by the day."""

import datetime as dt
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from smart_filter_api.deps import OpenServices, Reader
from smart_filter_api.problems import documented
from smart_filter_api.schemas.parameters import Day
from smart_filter_api.schemas.tenants import DayAnswer, UsagePage, UsedAnswer
from smart_filter_shared.errors import MalformedRequest
from smart_filter_shared.jobs import usage

router = APIRouter(prefix="/v1/usage", tags=["tenants"])

_USUAL_DAYS = 30
_MOST_DAYS = 366
_DECIMALS = 6


@router.get(
    "",
    summary="Show what was used",
    description="Jobs are counted on the day in UTC on which they end, within a few seconds. "
    f"Both days are included; at most {_MOST_DAYS} days.",
    responses=documented("malformed_request", "unauthorized", "scope", "unavailable"),
)
async def show(
    services: OpenServices,
    caller: Reader,
    *,
    first: Annotated[
        Day | None, Query(alias="from", description=f"by default {_USUAL_DAYS} days ago")
    ] = None,
    last: Annotated[Day | None, Query(alias="to", description="by default today")] = None,
) -> UsagePage:
    """Answer the days on which jobs of the caller's tenant ended."""
    until = last or dt.datetime.now(dt.UTC).date()
    since = first or max(dt.date.min + dt.timedelta(_USUAL_DAYS), until) - dt.timedelta(_USUAL_DAYS)
    if not 0 <= (until - since).days < _MOST_DAYS:
        raise MalformedRequest(
            f"`from` to `to` is not a time of 1 to {_MOST_DAYS} days", pointer="/from"
        )
    async with services.reading() as connection:
        days = await connection.run_sync(usage.between, caller.tenant, since, until)
    return UsagePage(items=[_shown(day) for day in days])


def _shown(day: usage.Day) -> DayAnswer:
    by_state = {state: UsedAnswer(**_told(used)) for state, used in day.by_state.items()}
    return DayAnswer(day=day.day, by_state=by_state, **_told(day.whole))


def _told(used: usage.Used) -> dict[str, Any]:  # what the models take apart
    # To the pixel and the microsecond: sums of floats say 3.6863999999999995.
    return {name: round(value, _DECIMALS) for name, value in asdict(used).items()}
