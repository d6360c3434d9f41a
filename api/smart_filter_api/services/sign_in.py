"""How persons sign in with a browser."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from smart_filter_api.auth import oidc
from smart_filter_api.auth.oidc import OidcProvider
from smart_filter_api.auth.sessions import Lifetimes
from smart_filter_shared.config.settings import Settings


@dataclass(frozen=True, slots=True)
class SignIn:
    """Settings of browser sessions.

    secure: whether their cookies are for https only.
    provider: at which persons sign in; None when the operator has set none.
    """

    lifetimes: Lifetimes
    secure: bool
    provider: OidcProvider | None


def open_sign_in(settings: Settings, *, clock: Callable[[], float]) -> SignIn:
    """Return the settings of browser sessions.  clock: monotonic seconds."""
    return SignIn(
        Lifetimes(
            idle=dt.timedelta(seconds=settings.browser.session_idle_seconds),
            whole=dt.timedelta(seconds=settings.browser.session_seconds),
        ),
        settings.browser.session_secure,
        oidc.open_provider(settings, clock=clock),
    )
