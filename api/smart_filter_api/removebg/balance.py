"""What a tenant has left, in remove.bg's words: credits, and requests a minute.

A credit is a megapixel of what the tenant may submit today. Who has no bound has as much as
clients of remove.bg can do something with, and is charged nothing.
"""

import math
import time
from typing import Final

from fastapi import Request
from pydantic import BaseModel

from smart_filter_api.deps import Services
from smart_filter_api.keys import Caller
from smart_filter_api.rates import WINDOW_SECONDS, Allowance
from smart_filter_shared.jobs import limits

# There is no word for "no bound".
PLENTY: Final = 1_000_000


class Credits(BaseModel):
    """Megapixels that may still be submitted today; all of them are the subscription's."""

    total: float
    subscription: float
    payg: float = 0
    enterprise: float = 0


class Calls(BaseModel):
    """Nothing is free of charge beside the credits; every size may be asked for."""

    free_calls: int = 0
    sizes: str = "all"


class Attributes(BaseModel):
    """What there is to tell of an account."""

    credits: Credits
    api: Calls = Calls()


class AccountData(BaseModel):
    """The account, within its envelope."""

    attributes: Attributes


class Account(BaseModel):
    """The answer of /v1.0/account."""

    data: AccountData


async def account(services: Services, caller: Caller) -> Account:
    """Return what the caller's tenant has left today."""
    most = caller.limits.megapixels_per_day
    left = float(PLENTY)
    if most:
        async with services.reading() as connection:
            spent = await connection.run_sync(limits.spent_today, caller.tenant)
        left = round(max(0.0, most - spent), 2)
    credit = Credits(total=left, subscription=left)
    return Account(data=AccountData(attributes=Attributes(credits=credit)))


def price(caller: Caller) -> float:
    """Return the credits that a megapixel costs a tenant."""
    return 1.0 if caller.limits.megapixels_per_day else 0.0


def rate_headers(request: Request) -> dict[str, str]:
    """Return what an answer tells of the rate limit; nothing to who has shown no key.

    The reset is a time in Unix seconds: when the bucket is full again.
    """
    allowance: Allowance | None = getattr(request.state, "allowance", None)
    if allowance is None:
        is_known = getattr(request.state, "is_known", False)
        return _limits(PLENTY, PLENTY, WINDOW_SECONDS) if is_known else {}
    missing = allowance.quota - allowance.remaining
    return _limits(allowance.quota, allowance.remaining, missing * WINDOW_SECONDS / allowance.quota)


def _limits(quota: int, remaining: int, reset_in_seconds: float) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(quota),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(math.ceil(time.time() + reset_in_seconds)),
    }
