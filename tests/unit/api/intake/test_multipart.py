import itertools
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smart_filter_api.intake.body import read_with_timeout
from smart_filter_api.intake.multipart import (
    BACKGROUND,
    MAX_OTHER_BYTES,
    MAX_PARTS,
    Form,
)
from smart_filter_api.intake.multipart import PHOTO as PHOTO_PART
from smart_filter_shared.errors import MalformedRequest, PhotoTooLarge, Rejected
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES

TYPE = "multipart/form-data; boundary=cut"
END = b"--cut--\r\n"
PHOTO = bytes(range(256)) * 3 + b"\r\n--cu\r\n--"


def part(name: str, content: bytes, *, filename: str = "") -> bytes:
    more = f'; filename="{filename}"' if filename else ""
    head = f'--cut\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + content + b"\r\n"


BODY = (
    part("outputs", b"image")
    + part("photo", PHOTO, filename="my holiday.jpg")
    + part("outputs", b"faces")
    + part("metadata.größe", "Übergröße".encode())
    + END
)


def read(chunks: Iterable[bytes]) -> tuple[dict[str, bytes], dict[str, list[str]]]:
    """Return the pictures and the fields of a body that arrives in these chunks."""

    async def arriving() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def collect() -> tuple[dict[str, bytes], dict[str, list[str]]]:
        form = Form(TYPE)
        pieces: defaultdict[str, list[bytes]] = defaultdict(list)
        async for name, piece in form.pieces(arriving()):
            pieces[name].append(piece)
        return {name: b"".join(parts) for name, parts in pieces.items()}, form.fields

    return anyio.run(collect)


@given(
    before=st.binary(max_size=40).filter(lambda text: b"--cut" not in text),
    end=st.sampled_from([b"\r\n", b"\n"]),
    cuts=st.lists(st.integers(0, len(BODY)), max_size=6),
)
@example(before=b"This is a message in MIME format.", end=b"\n", cuts=[])
@example(before=b"\r\n--cu", end=b"\r\n", cuts=list(range(30)))
def test_text_before_the_first_boundary_is_passed_over(
    before: bytes, end: bytes, cuts: list[int]
) -> None:
    body = before + end + BODY
    places = [0, *sorted(cuts), len(body)]

    pictures, fields = read(body[start:stop] for start, stop in itertools.pairwise(places))

    assert pictures == {PHOTO_PART: PHOTO}
    assert fields["outputs"] == ["image", "faces"]


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ("filename*=utf-8''%C3%9F%20a.jpg", "ß a.jpg"),
        ("filename=b.jpg; filename*=UTF-8'de'%C3%9F.jpg", "ß.jpg"),
        ("filename*=iso-8859-1''%DF.jpg; filename=b.jpg", "ß.jpg"),
        ('filename="=?utf-8?B?w6Qvw7Y/LmpwZw==?="', "ä/ö?.jpg"),
        ('filename="=?utf-8?Q?=C3=A4_1?= =?utf-8?Q?.jpg?="', "ä 1.jpg"),
        ("filename=\"=?utf-8?B?YS5qcGc=?=\"; filename*=utf-8''Koala%C3%84.jpg", "KoalaÄ.jpg"),
        ('filename="; filename*=utf-8\'\'a.jpg"; name="photo"', "; filename*=utf-8''a.jpg"),
        ("filename*=utf-7''+AOQ-.jpg; filename=b.jpg", "b.jpg"),
        ('filename="=?nothing?B?w6Q=?="', "=?nothing?B?w6Q=?="),
        ('filename="=?utf-8?B?w6?="', "=?utf-8?B?w6?="),
    ],
)
def test_name_of_a_file_is_decoded_as_its_client_encoded_it(parameters: str, name: str) -> None:
    async def arriving() -> AsyncIterator[bytes]:
        yield f'--cut\r\nContent-Disposition: form-data; name="photo"; {parameters}'.encode()
        yield b"\r\n\r\np\r\n" + END

    async def collect() -> dict[str, str]:
        form = Form(TYPE)
        assert [piece async for piece in form.pieces(arriving())]
        return form.file_names

    assert anyio.run(collect) == {"photo": name}


@given(cuts=st.lists(st.integers(0, len(BODY)), max_size=12))
@example(cuts=list(range(len(BODY))))
def test_form_is_parsed_alike_for_any_chunk_boundaries(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(BODY)]

    pictures, fields = read(BODY[start:end] for start, end in itertools.pairwise(places))

    assert pictures == {PHOTO_PART: PHOTO}
    assert fields == {"outputs": ["image", "faces"], "metadata.größe": ["Übergröße"]}


@given(place=st.integers(0, len(BODY)), noise=st.binary(max_size=20), drop=st.integers(0, 40))
def test_broken_form_is_rejected_or_read_but_never_crashes(
    place: int, noise: bytes, drop: int
) -> None:
    body = BODY[:place] + noise + BODY[place + drop :]

    try:
        pictures, _ = read([body])
    except Rejected:
        return

    assert sum(map(len, pictures.values())) <= len(body)


def test_photo_over_the_limit_is_refused_at_once() -> None:
    megabyte = bytes(1_000_000)
    sent = 0

    def endless() -> Iterable[bytes]:
        nonlocal sent
        yield part("photo", b"")[:-2]
        while True:
            sent += 1
            yield megabyte

    with pytest.raises(PhotoTooLarge):
        read(endless())

    assert sent == MAX_PHOTO_BYTES // len(megabyte) + 1


def test_unknown_files_are_dropped_and_bounded() -> None:
    photo = part("photo", b"p")

    parts = read([photo + part("other", b"\xff" * 1000, filename="x") + END])

    assert parts == ({PHOTO_PART: b"p"}, {"other": [""]})
    with pytest.raises(PhotoTooLarge):
        read([photo + part("other", bytes(MAX_OTHER_BYTES), filename="x") + END])


def test_parts_are_counted() -> None:
    photo = part("photo", b"p")

    _, fields = read([photo + part("a", b"x") * (MAX_PARTS - 1) + END])

    assert len(fields["a"]) == MAX_PARTS - 1
    with pytest.raises(MalformedRequest, match=f"more than {MAX_PARTS} parts"):
        read([photo + part("a", b"x") * MAX_PARTS + END])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (part("photo", b"p") * 2 + END, "more than one photo"),
        (part("photo", b"p") + part(BACKGROUND, b"b") * 2 + END, "more than one background"),
        (part("photo", b"p"), "send the whole form"),
        (part("photo", b"p") + part("a", b"\xff") + END, "the value of 'a' is not UTF-8"),
        (part("photo", b"p") + part("n" * 201, b"") + END, "name is longer than 200 bytes"),
        (part("photo", b"p") + part("a", b"x" * 4097) + END, "file, in 'photo' or 'back"),
        (
            part("photo", b"p") + part("strokes", b"x" * 1_000_001) + END,
            "longer than 1000000 bytes; send fewer strokes",
        ),
        (b"--cut\r\nA: b\r\n\r\n\r\n" + END, "send Content-Disposition"),
        (b"GET / HTTP/1.1", "let a library encode it"),
    ],
)
def test_malformed_form_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedRequest, match=re.escape(reason)):
        read([body])


class Caller:
    """Sends single bytes, `seconds` apart on a clock that only this caller moves."""

    def __init__(self, count: int, *, seconds: float) -> None:
        self.count = count
        self.seconds = seconds
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    async def body(self) -> AsyncIterator[bytes]:
        for _ in range(self.count):
            self.now += self.seconds
            yield b"a"


def received(caller: Caller, *, reader_seconds: float = 0.0) -> int:
    """Return the number of bytes that a reader with this delay per byte reads."""

    async def read() -> int:
        length = 0
        async for chunk in read_with_timeout(caller.body(), seconds=60, clock=caller.clock):
            caller.now += reader_seconds
            length += len(chunk)
        return length

    return anyio.run(read)


def test_silent_caller_is_refused() -> None:
    async def silent() -> AsyncIterator[bytes]:
        yield b"a"
        await anyio.sleep_forever()

    async def read() -> None:
        async for _ in read_with_timeout(silent(), seconds=0.01):
            pass

    with pytest.raises(MalformedRequest, match="no data of the body arrived"):
        anyio.run(read)


def test_caller_with_a_byte_a_second_is_refused_after_half_a_minute() -> None:
    assert received(Caller(30, seconds=1)) == 30
    with pytest.raises(MalformedRequest, match="too slowly"):
        received(Caller(31, seconds=1))


def test_bytes_sent_fast_buy_no_time_later() -> None:
    class Staller(Caller):
        async def body(self) -> AsyncIterator[bytes]:
            yield bytes(10_000_000)
            async for byte in super().body():
                yield byte

    assert received(Staller(31, seconds=1)) == 10_000_031
    with pytest.raises(MalformedRequest, match="too slowly"):
        received(Staller(62, seconds=1))


def test_delay_of_the_reader_does_not_count_against_the_caller() -> None:
    assert received(Caller(3, seconds=0.01), reader_seconds=100) == 3
