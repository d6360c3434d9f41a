"""Messages, frames, places and tokens of live video: what is read, and what is refused."""

import asyncio
import base64
import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_filter_shared.errors import (
    ImageTooLarge,
    ImageUnreadable,
    Limited,
    MalformedRequest,
    Rejected,
    Unauthorized,
)
from smart_filter_shared.ids import Tenant
from smart_filter_shared.live import backgrounds
from smart_filter_shared.live.tokens import LIFETIME_SECONDS, Tokens
from smart_filter_shared.telemetry import metrics
from smart_filter_tests.pictures import noise
from smart_filter_tests.serving import a_photo
from smart_filter_workers.live import frames, messages
from smart_filter_workers.live.house import House
from smart_filter_workers.live.measures import Measures
from smart_filter_workers.live.newest import Arrived, Newest

KEYS = ["k" * 32]


@pytest.mark.parametrize(
    ("more", "background", "max_side_px", "rate"),
    [
        ("", None, 1280, None),
        (', "background": "blur:0.5", "max_side": 640, "rate": 29.97', "blur:0.5", 640, 29.97),
    ],
)
def test_first_message_is_a_token_and_perhaps_background_size_and_rate(
    more: str, background: str | None, max_side_px: int, rate: float | None
) -> None:
    hello = messages.hello(f'{{"token": "t"{more}}}')

    assert (hello.token, hello.max_side_px, hello.rate) == ("t", max_side_px, rate)
    assert (hello.background and str(hello.background)) == background


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "JSON"),
        ("[]", "JSON object"),
        ("[" * 3000, "JSON"),
        ("x" * 20_000, "16384 characters"),
        ("{}", '"token"'),
        ('{"token": 1}', '"token"'),
        ('{"token": "t", "max_side": 1281}', "from 64 to 1280"),
        ('{"token": "t", "max_side": true}', "from 64 to 1280"),
        ('{"token": "t", "rate": 0.9}', "from 1 to 240"),
        ('{"token": "t", "rate": NaN}', "from 1 to 240"),
        ('{"token": "t", "rate": true}', "from 1 to 240"),
        (
            '{"token": "t", "colour": "red"}',
            "'colour': here a message has background, max_side, rate",
        ),
        ('{"token": "t", "\\ud800": 1}', r"'\\ud800': here"),
        ('{"token": "t", "background": "transparent"}', "color:white"),
        ('{"token": "t", "background": null}', "a background is text"),
    ],
)
def test_first_message_that_is_wrong_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(Rejected, match=words):
        messages.hello(text)


WRONG_CHANGES = """{} null {"background":"x"} {"background_file":false} {"background_file":1}
{"background":"auto","background_file":true} {"token":"t"}"""


@pytest.mark.parametrize("text", WRONG_CHANGES.split())
def test_wrong_change_is_refused(text: str) -> None:
    with pytest.raises(Rejected) as caught:
        messages.change(text)

    assert json.loads(messages.error(caught.value))["code"] == caught.value.code
    assert str(messages.change('{"background": "preset:sky"}')) == "preset:sky"
    assert messages.change('{"background_file": true}') == messages.FILE


@given(st.integers(0, 2**32 - 1), st.binary(min_size=1))
def test_frame_is_its_number_and_its_file(number: int, content: bytes) -> None:
    assert messages.parted(messages.joined(number, content)) == (number, content)


@pytest.mark.parametrize("message", [b"", b"\0", b"\0\0\0\1"])
def test_frame_without_a_file_is_refused(message: bytes) -> None:
    with pytest.raises(MalformedRequest, match="4 bytes"):
        messages.parted(message)


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"\xff\xd8\xff", a_photo("PNG"), a_photo("JPEG")[:-300], a_photo("GIF")],
)
def test_frame_that_is_no_whole_jpeg_or_webp_is_refused(content: bytes) -> None:
    with pytest.raises(ImageUnreadable):
        frames.frame(content)


TOO_LARGE = "at most 1280 a side and 921600 in all"


@pytest.mark.parametrize(
    ("content", "limit", "words"),
    [
        *(
            (a_photo(format_, size), 1280, TOO_LARGE)
            for format_ in ("JPEG", "WEBP")
            for size in ((1281, 10), (10, 1281), (1280, 721), (961, 961))
        ),
        (a_photo(size=(320, 10)), 240, "at most 240"),
        (a_photo() + bytes(frames.MAX_FRAME_BYTES), 1280, "at most 1000000"),
    ],
)
def test_frame_that_is_too_large_is_refused(content: bytes, limit: int, words: str) -> None:
    with pytest.raises(ImageTooLarge, match=words):
        frames.frame(content, max_side_px=limit)


def test_frames_and_backgrounds_are_decoded() -> None:
    assert frames.frame(a_photo("JPEG", (64, 48))).shape == (48, 64, 3)
    assert frames.frame(a_photo("WEBP", (64, 48))).shape == (48, 64, 3)
    assert frames.frame(frames.written(noise(36, 64))).shape == (36, 64, 3)
    # A background may be larger and of more formats.
    assert frames.picture(a_photo("PNG", (2000, 1500))).shape == (1500, 2000, 3)
    with pytest.raises(ImageTooLarge):
        frames.picture(a_photo("PNG", (2001, 2000)))


def test_newest_frame_replaces_a_waiting_one_and_is_taken_once() -> None:
    async def taken() -> tuple[Arrived, int]:
        newest = Newest()
        for number in range(3):
            newest.put(Arrived(number, b"", 0.0, 0.0))
        first = await newest.take()
        second = asyncio.create_task(newest.take())
        await asyncio.sleep(0)
        assert not second.done()
        second.cancel()
        return first, newest.dropped

    frame, dropped = asyncio.run(taken())

    assert (frame.number, dropped) == (2, 2)


def a_house(*, most: int = 8, most_each: int = 4) -> House:
    def no_models() -> Any:  # noqa: ANN401 - not called
        raise AssertionError

    return House(Tokens(KEYS), no_models, threads=1, most=most, most_each=most_each)


def test_token_opens_one_connection() -> None:
    house = a_house()
    now = dt.datetime.now(dt.UTC)
    token, _ = Tokens(KEYS).issue(Tenant("ann"), background=None, now=now)

    assert house.admit(token).tenant == "ann"
    with pytest.raises(Unauthorized, match="was used"):
        house.admit(token)


def test_places_are_limited_by_tenant_and_in_all() -> None:
    house = a_house(most=3, most_each=2)
    ann, bob = Tenant("ann"), Tenant("bob")

    with house.place(ann), house.place(ann):
        with pytest.raises(Limited, match="you have 2 connections"), house.place(ann):
            pass
        with house.place(bob):
            assert house.is_full
            with pytest.raises(Limited, match="all places"), house.place(bob):
                pass
        assert house.connections == 2
    assert house.connections == 0


def test_longest_waiting_connection_leaves_when_too_many_wait_to_show_a_token() -> None:
    house = a_house()
    gone: list[int] = []

    async def wait(number: int) -> None:
        try:
            async with house.door(seconds=60):
                await asyncio.sleep(60)
        except TimeoutError:
            gone.append(number)

    async def come() -> None:
        strangers = []
        for number in range(18):
            strangers.append(asyncio.create_task(wait(number)))
            await asyncio.sleep(0)
        await asyncio.wait(strangers[:2], timeout=60)
        for one in strangers:
            one.cancel()
        await asyncio.gather(*strangers, return_exceptions=True)

    asyncio.run(come())

    assert gone == [0, 1]


def test_longest_first_message_is_read() -> None:
    now = dt.datetime.now(dt.UTC)
    longest = "keywords:" + ",".join(["\U00020000" * 40] * 12)
    token, _ = Tokens(KEYS).issue(Tenant("t" * 64), background=longest, now=now)

    hello = messages.hello(json.dumps({"token": token, "background": longest, "max_side": 1280}))

    assert str(hello.background) == longest
    assert a_house().admit(hello.token).background == longest


def test_metrics_of_live_video_are_those_of_the_table() -> None:
    measures = Measures()
    measures.shown(0.05)
    measures.frames[metrics.FrameOutcome.DROPPED] += 2

    told = measures.text(connections=1)

    assert [line.split()[2] for line in told.splitlines() if line.startswith("# TYPE")] == [
        metric.name for metric in metrics.LIVE_METRICS
    ]
    assert 'smart_filter_live_frames_total{outcome="dropped"} 2\n' in told
    assert 'smart_filter_live_frame_seconds_bucket{le="0.06"} 1\n' in told
    assert "smart_filter_live_connections 1\n" in told


NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
TOKENS = Tokens(["k" * 32])


def a_token() -> str:
    return TOKENS.issue(Tenant("ann"), background=None, now=NOW)[0]


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


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("transparent", "color:white"),
        ("color:#fff8", "opaque"),
        ("url:https://example.org/a.jpg", "background_file"),
        ("preset:site/sea", "background_file"),
        ("preset:skyy", "did you mean"),
        ("nothing", "is not a background"),
    ],
)
def test_other_background_is_refused_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        backgrounds.read(text)
