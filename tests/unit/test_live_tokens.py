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


def test_token_says_whose_it_is_and_what_stands_behind() -> None:
    token, issued = TOKENS.issue(Tenant("ann"), background="blur:0.5", now=NOW)

    said = TOKENS.read(token, now=NOW)

    assert said == issued
    assert (said.tenant, said.background) == ("ann", "blur:0.5")
    assert said.expires_at - NOW == dt.timedelta(seconds=LIFETIME_SECONDS)


def test_no_two_tokens_are_alike() -> None:
    assert TOKENS.read(a_token(), now=NOW).nonce != TOKENS.read(a_token(), now=NOW).nonce


@pytest.mark.parametrize("letter", ["x", "é", "\U00020000"])
def test_token_with_the_longest_background_is_read(letter: str) -> None:
    token, issued = TOKENS.issue(Tenant("t" * 64), background=letter * 1000, now=NOW)

    assert TOKENS.read(token, now=NOW) == issued


def test_token_is_refused_when_its_time_is_over() -> None:
    token = a_token()
    late = NOW + dt.timedelta(seconds=LIFETIME_SECONDS)

    assert TOKENS.read(token, now=late - dt.timedelta(milliseconds=1)).tenant == "ann"
    with pytest.raises(Unauthorized, match="expired; get a new one by POST /v1/live"):
        TOKENS.read(token, now=late)


def test_token_of_another_secret_is_refused() -> None:
    with pytest.raises(Unauthorized, match="not one of this service"):
        Tokens(["K" * 32]).read(a_token(), now=NOW)


def test_former_secret_is_still_read() -> None:
    both = Tokens(["n" * 32, "k" * 32])

    assert both.read(a_token(), now=NOW).tenant == "ann"
    with pytest.raises(Unauthorized):
        TOKENS.read(both.issue(Tenant("ann"), background=None, now=NOW)[0], now=NOW)


def test_token_that_was_changed_is_refused() -> None:
    content, _, digest = a_token().partition(".")
    said = json.loads(base64.urlsafe_b64decode(content + "=="))
    forged = json.dumps({**said, "tenant": "bob"}).encode()

    with pytest.raises(Unauthorized):
        TOKENS.read(f"{base64.urlsafe_b64encode(forged).decode().rstrip('=')}.{digest}", now=NOW)


@given(st.text(max_size=200) | st.just("x" * 10_000) | st.just("."))
def test_what_is_no_token_is_refused_in_words(text: str) -> None:
    with pytest.raises(Unauthorized, match="POST /v1/live"):
        TOKENS.read(text, now=NOW)


def test_api_has_live_video_where_both_settings_are_set() -> None:
    secret = (SecretStr("k" * 32),)

    assert live.of(LiveSettings()) is None
    assert live.of(LiveSettings(secret=secret)) is None
    assert live.of(LiveSettings(url="wss://live.example.org")) is None
    found = live.of(LiveSettings(url="wss://live.example.org/", secret=secret))
    assert found is not None
    assert found.url == "wss://live.example.org/v1/live/socket"


@pytest.mark.parametrize(
    "text", ["auto", "keep", "color:#fff", "blur:0.5", "preset:sky", "preset:rainbow+linen"]
)
def test_background_that_is_drawn_may_stand_behind(text: str) -> None:
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
def test_other_backgrounds_are_refused_with_what_to_do(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        backgrounds.read(text)
