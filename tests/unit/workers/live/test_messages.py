import asyncio
import base64
import datetime as dt
import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from smart_filter_shared import live
from smart_filter_shared.errors import (
    ImageTooLarge,
    ImageUnreadable,
    MalformedRequest,
    Rejected,
    Unauthorized,
)
from smart_filter_shared.ids import Tenant
from smart_filter_shared.live import LIFETIME_SECONDS, Tokens
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Smile
from smart_filter_shared.telemetry import metrics
from smart_filter_tests.pictures import noise
from smart_filter_tests.serving import a_photo
from smart_filter_wire.findings import Eyes
from smart_filter_workers import images
from smart_filter_workers.live import frames, messages, models
from smart_filter_workers.live.connection import LatestSlot, ReceivedFrame
from smart_filter_workers.live.session_registry import LiveMetrics, SessionRegistry
from smart_filter_workers.live.shutter import FrameSummary, Shutter, SmilingFrame, summarize_frame
from smart_filter_workers.live.smoothing import MatteSmoother
from smart_filter_workers.results import Bytes, Matte8, Photo, Srgb8
from smart_filter_workers.stages.segmentation.mattes.two_pass import Floats
from unit.drawn_portrait import a_face

KEYS = ["k" * 32]


class SmallDecoder:
    """A decoder whose pictures all have one size, width and height; keeps what it was given."""

    def __init__(self, size: tuple[int, int] = (64, 48)) -> None:
        self.contents: list[bytes] = []
        self._size = size

    def decode(self, content: bytes) -> Photo:
        self.contents.append(content)
        width, height = self._size
        return Photo(np.zeros((height, width, 3), np.uint8), "jpg")

    def decode_mask(self, content: bytes) -> Bytes:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("more", "background", "max_side_px", "rate"),
    [
        ("", None, 1280, None),
        ('"background": "blur:0.5", "max_side": 640, "rate": 29.97', "blur:0.5", 640, 29.97),
    ],
)
def test_first_message_has_an_optional_background_size_and_rate(
    more: str, background: str | None, max_side_px: int, rate: float | None
) -> None:
    hello = messages.parse_hello(f"{{{more}}}")

    assert (hello.max_side_px, hello.rate) == (max_side_px, rate)
    assert (hello.background and str(hello.background)) == background


@pytest.mark.parametrize("offered", [[], ["smart-filter-live"], ["another", "token"]])
def test_handshake_without_a_token_is_refused(offered: list[str]) -> None:
    with pytest.raises(Unauthorized, match="POST /v1/live"):
        messages.parse_subprotocols(offered)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "JSON"),
        ("[]", "JSON object"),
        ("[" * 3000, "JSON"),
        ("x" * 20_000, "16384 characters"),
        ('{"token": "t"}', "'token': unknown here"),
        ('{"max_side": 1281}', "from 64 to 1280"),
        ('{"max_side": true}', "from 64 to 1280"),
        ('{"rate": 0.9}', "from 1 to 240"),
        ('{"rate": NaN}', "from 1 to 240"),
        ('{"rate": true}', "from 1 to 240"),
        (
            '{"colour": "red"}',
            "'colour': unknown here; known: background, max_side, rate",
        ),
        ('{"\\ud800": 1}', r"'\\ud800': unknown here"),
        ('{"background": "transparent"}', "color:white"),
        ('{"background": null}', "a background is text"),
    ],
)
def test_wrong_first_message_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(Rejected, match=words):
        messages.parse_hello(text)


WRONG_CHANGES = """{} null {"background":"x"} {"background_file":false} {"background_file":1}
{"background":"auto","background_file":true} {"background":"auto","token":"t"} {"token":1}"""


@pytest.mark.parametrize("text", WRONG_CHANGES.split())
def test_wrong_change_is_refused(text: str) -> None:
    with pytest.raises(Rejected) as caught:
        messages.parse_change(text)

    assert json.loads(messages.format_error(caught.value))["code"] == caught.value.code
    assert str(messages.parse_change('{"background": "preset:sky"}')) == "preset:sky"
    assert messages.parse_change('{"background_file": true}') == messages.FILE_BACKGROUND
    assert messages.parse_change('{"token": "t"}') == messages.AnotherToken("t")


@given(st.integers(0, 2**32 - 1), st.binary(min_size=1))
def test_frame_is_split_into_its_number_and_its_file(number: int, content: bytes) -> None:
    assert messages.split_frame(messages.join_frame(number, content)) == (number, content)


@pytest.mark.parametrize("message", [b"", b"\0", b"\0\0\0\1"])
def test_frame_without_a_file_is_refused(message: bytes) -> None:
    with pytest.raises(MalformedRequest, match="4 bytes"):
        messages.split_frame(message)


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"\xff\xd8\xff", a_photo("PNG"), a_photo("JPEG")[:-300], a_photo("GIF")],
)
def test_frame_that_is_not_a_whole_jpeg_or_webp_is_refused(content: bytes) -> None:
    with pytest.raises(ImageUnreadable):
        frames.decode_frame(content, images)


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
        frames.decode_frame(content, images, max_side_px=limit)


def test_frames_and_backgrounds_are_decoded() -> None:
    assert frames.decode_frame(a_photo("JPEG", (64, 48)), images).shape == (48, 64, 3)
    assert frames.decode_frame(a_photo("WEBP", (64, 48)), images).shape == (48, 64, 3)
    assert frames.decode_frame(frames.encode_frame(noise(36, 64)), images).shape == (36, 64, 3)
    # A background may be larger and have more formats.
    assert frames.decode_picture(a_photo("PNG", (2000, 1500)), images).shape == (1500, 2000, 3)
    with pytest.raises(ImageTooLarge):
        frames.decode_picture(a_photo("PNG", (2001, 2000)), images)


@pytest.mark.parametrize("format_", ["JPEG", "WEBP", "PNG", "AVIF"])
def test_only_the_decoder_s_process_opens_a_client_s_picture(
    format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = a_photo(format_, (64, 48))
    decoded = SmallDecoder()

    def open_here(*_: object, **__: object) -> None:
        opened.append(format_)

    opened: list[str] = []
    monkeypatch.setattr(Image, "open", open_here)
    shape = frames.decode_picture(content, decoded).shape

    assert (opened, decoded.contents, shape) == ([], [content], (48, 64, 3))


def test_picture_that_is_larger_than_its_header_says_is_refused() -> None:
    with pytest.raises(ImageTooLarge, match="at most 240 a side"):
        frames.decode_frame(a_photo(size=(32, 10)), SmallDecoder((300, 10)), max_side_px=240)


def test_newest_frame_replaces_a_waiting_one_and_is_read_once() -> None:
    async def captured_times() -> tuple[ReceivedFrame, int]:
        newest = LatestSlot()
        for number in range(3):
            newest.put(ReceivedFrame(number, b"", 0.0, 0.0))
        first = await newest.take()
        second = asyncio.create_task(newest.take())
        await asyncio.sleep(0)
        assert not second.done()
        second.cancel()
        return first, newest.dropped

    frame, dropped = asyncio.run(captured_times())

    assert (frame.number, dropped) == (2, 2)


def no_models() -> Any:  # noqa: ANN401 - not called
    raise AssertionError


def test_token_opens_one_connection() -> None:
    registry = SessionRegistry(Tokens(KEYS), no_models, images, threads=1, most=8, most_each=4)
    now = dt.datetime.now(dt.UTC)
    token, _ = Tokens(KEYS).issue(Tenant("ann"), background=None, now=now)

    assert registry.admit(token, origin=None).tenant == "ann"
    with pytest.raises(Unauthorized, match="was used"):
        registry.admit(token, origin=None)


def test_live_metrics_are_listed_in_the_table() -> None:
    measures = LiveMetrics()
    measures.shown(0.05)
    measures.frames[metrics.FrameOutcome.DROPPED] += 2

    shutter_answers = measures.text(connections=1)

    assert [
        line.split()[2] for line in shutter_answers.splitlines() if line.startswith("# TYPE")
    ] == [metric.name for metric in metrics.LIVE_METRICS]
    assert 'smart_filter_live_frames_total{outcome="dropped"} 2\n' in shutter_answers
    assert 'smart_filter_live_frame_seconds_bucket{le="0.06"} 1\n' in shutter_answers
    assert "smart_filter_live_connections 1\n" in shutter_answers


NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
TOKENS = Tokens(["k" * 32])


def a_token() -> str:
    return TOKENS.issue(Tenant("ann"), background=None, now=NOW)[0]


def test_expired_token_is_refused() -> None:
    token = a_token()
    late = NOW + dt.timedelta(seconds=LIFETIME_SECONDS)

    assert TOKENS.read(token, now=late - dt.timedelta(milliseconds=1)).tenant == "ann"
    with pytest.raises(Unauthorized, match="expired; get a new one by POST /v1/live"):
        TOKENS.read(token, now=late)


def test_token_of_a_former_secret_is_accepted_and_of_another_refused() -> None:
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
def test_arbitrary_text_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(Unauthorized, match="POST /v1/live"):
        TOKENS.read(text, now=NOW)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("color:#fff8", "opaque"),
        ("url:https://example.org/a.jpg", "background_file"),
        ("preset:site/sea", "background_file"),
        ("preset:skyy", "did you mean"),
        ("nothing", "is not a background"),
    ],
)
def test_other_background_is_refused_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        live.parse_background(text)


SERIOUS = FrameSummary(smile=0.1, smiling=False, eyes_open=True)
FRAMES_A_SECOND = 15
OPEN, SHUT, UNKNOWN = Eyes(True, True), Eyes(False, False), Eyes(None, None)


def smiling(score: float, *, eyes_open: bool = True) -> FrameSummary:
    return FrameSummary(smile=score, smiling=score >= 0.5, eyes_open=eyes_open)


def shutter_answers(looks: Iterable[FrameSummary]) -> list[SmilingFrame]:
    """Return a shutter's answers to looks at even intervals."""
    shutter = Shutter()
    seen = [
        shutter.observe(number, look, at=number / FRAMES_A_SECOND)
        for number, look in enumerate(looks)
    ]
    return [answer for answer in seen if answer is not None]


def wave(*peaks: float, seconds: float, width: float) -> list[FrameSummary]:
    """Return looks that smile most at each of the given times, in seconds."""
    times = np.arange(0, seconds, 1 / FRAMES_A_SECOND)
    scores = [max(0.98 * math.exp(-(((t - p) / width) ** 2)) for p in peaks) for t in times]
    return [smiling(score) for score in scores]


def captured_times(looks: Iterable[FrameSummary]) -> SmilingFrame:
    (answer,) = shutter_answers(looks)
    return answer


@pytest.mark.parametrize("width", [0.2, 0.4, 0.8])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_each_peak_is_captured_once_within_300_ms(width: float, noise: float) -> None:
    peaks = (2.0, 6.5, 11.0)
    random = np.random.default_rng(3)
    looks = [
        smiling(float(np.clip(look.smile + random.normal(0, noise), 0, 1)))
        for look in wave(*peaks, seconds=14, width=width)
    ]

    at = [answer.at for answer in shutter_answers(looks)]

    assert len(at) == len(peaks)
    assert max(abs(moment - peak) for moment, peak in zip(at, peaks, strict=True)) <= 0.3


def test_frame_with_closed_eyes_is_never_captured() -> None:
    looks = [smiling(0.99, eyes_open=number not in {7, 8, 9}) for number in range(17)]

    assert captured_times([*looks, *[SERIOUS] * 20]).number not in {7, 8, 9}


@pytest.mark.parametrize(
    ("looks", "moments"),
    [
        ([SERIOUS] * 100, 0),
        (wave(2.0, 3.2, seconds=8, width=0.8), 1),
        ([smiling(0.9)] * 30 + [SERIOUS] * 2 + [smiling(0.9)] * 60, 1),
        ([smiling(0.9)] * 30 + [SERIOUS] * 10 + [smiling(0.9)] * 30, 2),
    ],
    ids=["serious", "wavering smile", "slip of the models", "serious in between"],
)
def test_moment_ends_with_a_serious_face(looks: list[FrameSummary], moments: int) -> None:
    assert len(shutter_answers(looks)) == moments


HUGE, MILD, NONE = (
    *(Smile(SmileLevel.HUGE, 0.9), Smile(SmileLevel.MILD, 0.3)),
    Smile(SmileLevel.NONE, 0.0),
)


@pytest.mark.parametrize(
    ("widths", "smiles", "eyes", "look"),
    [
        ((), [], [], FrameSummary(smile=0.0, smiling=False, eyes_open=False)),
        # Everyone has to smile, except a passer-by.
        (
            (160, 160),
            [HUGE, MILD],
            [OPEN, OPEN],
            FrameSummary(smile=0.3, smiling=False, eyes_open=True),
        ),
        ((160, 70), [HUGE, NONE], [OPEN, SHUT], smiling(0.9)),
        # Eyes are open when one is and none is shut.
        ((160,), [HUGE], [OPEN], smiling(0.9)),
        ((160,), [HUGE], [Eyes(None, True)], smiling(0.9)),
        ((160,), [HUGE], [SHUT], smiling(0.9, eyes_open=False)),
        ((160,), [HUGE], [UNKNOWN], smiling(0.9, eyes_open=False)),
        ((160,), [HUGE], [Eyes(True, False)], smiling(0.9, eyes_open=False)),
    ],
)
def test_look_is_computed_from_everyone_who_poses(
    widths: tuple[int, ...], smiles: list[Smile], eyes: list[Eyes], look: FrameSummary
) -> None:
    faces = [a_face(x=100 + 200 * place, width=width) for place, width in enumerate(widths)]

    assert summarize_frame(faces, smiles, eyes) == look


def seen(*boxes: tuple[int, int, int, int]) -> Floats:
    coverage = np.zeros((180, 320), np.float32)
    for left, top, right, bottom in boxes:
        coverage[top:bottom, left:right] = 1
    return coverage


def test_missed_person_is_searched_for_around_the_face() -> None:
    face = a_face(x=200, y=100, width=60)

    assert list(models.find_regions(seen((80, 30, 150, 180)), [face], scale=2)) == []
    (around,) = models.find_regions(seen(), [face], scale=2)

    rows, columns = around.small
    left, top, width, height = (round(side / 2) for side in face.box)
    assert columns.start < left < left + width < columns.stop
    assert rows.start < top < top + 3 * height < rows.stop
    assert (around.large[0].start, around.large[1].stop) == (2 * rows.start, 2 * columns.stop)


HEIGHT, WIDTH = 180, 320
STEP_SECONDS = 1 / 15


def a_figure(left: int) -> tuple[Srgb8, Matte8]:
    """Return a gray picture with a bright shape, and its matte."""
    srgb = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    srgb[40:160, left : left + 80] = 180
    return srgb, np.where(srgb[..., 0] > 100, 255, 0).astype(np.uint8)


def wavering(matte: Matte8, random: np.random.Generator) -> Matte8:
    """Return a matte with the noise of an unsure network."""
    return np.clip(matte + random.normal(0, 50, matte.shape), 0, 255).astype(np.uint8)


def noisy(srgb: Srgb8, random: np.random.Generator) -> Srgb8:
    return np.clip(srgb + random.normal(0, 4, srgb.shape), 0, 255).astype(np.uint8)


def test_still_picture_keeps_its_matte_still() -> None:
    random = np.random.default_rng(1)
    srgb, matte = a_figure(40)
    smoothing, seen, shown = MatteSmoother(), [], []

    for _ in range(40):
        seen.append(wavering(matte, random))
        shown.append(smoothing.smooth(seen[-1], noisy(srgb, random), seconds=STEP_SECONDS))

    before, after = (
        np.abs(np.diff(np.array(of[10:], float), axis=0)).mean() for of in (seen, shown)
    )
    assert after < before / 4
