"""Report a tenant's remaining quota in remove.bg's terms: credits, and requests per minute.

A credit is one megapixel of the tenant's daily limit. A tenant without a limit is shown a large
fixed number of credits and is charged nothing.
"""

import math
import time
from typing import Final

from fastapi import Request
from pydantic import BaseModel

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.auth.rate_limit import WINDOW_SECONDS, Allowance
from smart_filter_api.services.container import Services
from smart_filter_shared.tenants import quotas

# Credits and requests shown for "no limit", which the interface cannot express.
UNLIMITED: Final = 1_000_000


class RemoveBgCredits(BaseModel):
    """Megapixels that the tenant may still submit today, all reported as subscription credits."""

    total: float
    subscription: float
    payg: float = 0
    enterprise: float = 0


class RemoveBgCalls(BaseModel):
    """The number of free calls, always 0, and the sizes that a client may request."""

    free_calls: int = 0
    sizes: str = "all"


class RemoveBgAttributes(BaseModel):
    """The attributes of an account."""

    credits: RemoveBgCredits
    api: RemoveBgCalls = RemoveBgCalls()


class RemoveBgAccountData(BaseModel):
    """The account inside the envelope `data`."""

    attributes: RemoveBgAttributes


class RemoveBgAccount(BaseModel):
    """The answer of GET /v1.0/account."""

    data: RemoveBgAccountData


async def get_account(services: Services, caller: Caller) -> RemoveBgAccount:
    """Return the credits that the caller's tenant has left today."""
    most = caller.limits.megapixels_per_day
    left = float(UNLIMITED)
    if most:
        spent = await services.database.query(quotas.read_charged_today, caller.tenant)
        left = round(max(0.0, most - spent), 2)
    credit = RemoveBgCredits(total=left, subscription=left)
    return RemoveBgAccount(data=RemoveBgAccountData(attributes=RemoveBgAttributes(credits=credit)))


def credits_per_megapixel(caller: Caller) -> float:
    """Return the credits that one megapixel costs: 1, or 0 without a daily limit."""
    return 1.0 if caller.limits.megapixels_per_day else 0.0


def rate_headers(request: Request) -> dict[str, str]:
    """Return the rate-limit headers of an answer; none for an unauthenticated request.

    X-RateLimit-Reset is the Unix time in seconds at which the bucket is full again.
    """
    allowance: Allowance | None = getattr(request.state, "allowance", None)
    if allowance is None:
        is_known = getattr(request.state, "is_known", False)
        return _limit_headers(UNLIMITED, UNLIMITED, WINDOW_SECONDS) if is_known else {}
    missing = allowance.quota - allowance.remaining
    return _limit_headers(
        allowance.quota, allowance.remaining, missing * WINDOW_SECONDS / allowance.quota
    )


def _limit_headers(quota: int, remaining: int, reset_in_seconds: float) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(quota),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(math.ceil(time.time() + reset_in_seconds)),
    }
