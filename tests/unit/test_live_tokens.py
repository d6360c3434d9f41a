"""Tokens of live video: what one says, and that nothing else opens a connection."""

import base64
import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from smart_filter_api import live
from smart_filter_shared.errors import Unauthorized
from smart_filter_shared.ids import Tenant
from smart_filter_shared.live import backgrounds
from smart_filter_shared.live.tokens import LIFETIME_SECONDS, Tokens
from smart_filter_shared.settings import LiveSettings

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
TOKENS = Tokens(["k" * 32])


def a_token(*, background: str | None = None) -> str:
    return TOKENS.issue(Tenant("ann"), background=background, now=NOW)[0]


def test_token_names_tenant_background_and_expiry() -> None:
    token, issued = TOKENS.issue(Tenant("ann"), background="blur:0.5", now=NOW)

    read = TOKENS.read(token, now=NOW)

    assert read == issued
    assert (read.tenant, read.background) == ("ann", "blur:0.5")
    assert read.expires_at - NOW == dt.timedelta(seconds=LIFETIME_SECONDS)
    assert read.nonce != TOKENS.read(a_token(), now=NOW).nonce


def test_token_is_refused_when_its_time_is_over() -> None:
    token = a_token()
    late = NOW + dt.timedelta(seconds=LIFETIME_SECONDS)

    assert TOKENS.read(token, now=late - dt.timedelta(milliseconds=1)).tenant == "ann"
    with pytest.raises(Unauthorized, match="expired; get a new one by POST /v1/live"):
        TOKENS.read(token, now=late)


def test_token_of_another_secret_is_refused_and_of_a_former_one_read() -> None:
    both = Tokens(["n" * 32, "k" * 32])

    assert both.read(a_token(), now=NOW).tenant == "ann"
    for reader, token in (
        (Tokens(["K" * 32]), a_token()),
        (TOKENS, both.issue(Tenant("ann"), background=None, now=NOW)[0]),
    ):
        with pytest.raises(Unauthorized, match="not one of this service"):
            reader.read(token, now=NOW)


def test_forged_token_is_refused() -> None:
    content, _, digest = a_token().partition(".")
    said = json.loads(base64.urlsafe_b64decode(content + "=="))
    forged = json.dumps({**said, "tenant": "bob"}).encode()

    with pytest.raises(Unauthorized):
        TOKENS.read(f"{base64.urlsafe_b64encode(forged).decode().rstrip('=')}.{digest}", now=NOW)


@given(st.text(max_size=200) | st.just("x" * 10_000) | st.just("."))
def test_arbitrary_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(Unauthorized, match="POST /v1/live"):
        TOKENS.read(text, now=NOW)


def test_api_has_live_video_with_both_settings() -> None:
    secret = (SecretStr("k" * 32),)
    url = "wss://live.example.org/"

    for missing in (LiveSettings(), LiveSettings(secret=secret), LiveSettings(url=url)):
        assert live.of(missing) is None
    assert live.of(LiveSettings(url=url, secret=secret)).url == f"{url}v1/live/socket"


@pytest.mark.parametrize(
    "text", ["auto", "keep", "color:#fff", "blur:0.5", "preset:sky", "preset:rainbow+linen"]
)
def test_drawn_background_is_accepted(text: str) -> None:
    assert str(backgrounds.read(text)) == text


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("transparent", "color:white"),
        ("color:#fff8", "opaque"),
        ("color:rgb(0 0 0 / 10%)", "opaque"),
        ("url:https://example.org/a.jpg", "background_file"),
        ("file", "background_file"),
        ("preset:site/sea", "background_file"),
        ("preset:tenant/sea", "background_file"),
        ("preset:skyy", "did you mean"),
        ("nothing", "is not a background"),
    ],
)
def test_other_background_is_refused_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        backgrounds.read(text)
