"""Dependency of routes whose changes outlast a session: in a browser they need a recent sign-in."""

from typing import Annotated

from fastapi import Depends

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.auth.sessions import FRESH
from smart_filter_api.services.callers import Administrator
from smart_filter_shared.errors import SignInAgain


async def _require_recent_sign_in(caller: Administrator) -> Caller:
    if not caller.is_fresh:
        raise SignInAgain(f"the sign-in is more than {FRESH.seconds // 60} minutes old")
    return caller


RecentAdministrator = Annotated[Caller, Depends(_require_recent_sign_in)]
