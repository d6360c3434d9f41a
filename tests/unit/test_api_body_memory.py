"""Memory that bodies take while they are parsed, as Python allocates it."""

import tracemalloc
from collections.abc import Callable

import pytest

from smart_filter_api.intake import json_body
from smart_filter_api.removebg import body as removebg_body
from smart_filter_api.submission import batch_body
from smart_filter_shared.errors import InvalidRequest, Rejected

Parse = Callable[[bytes], object]

_BYTES = 1_000_000
_PHOTO = b'{"photo_base64":"%b"}' % (b"A" * _BYTES)
_BATCH = b'{"items":[%b]}'


def _fill(piece: bytes) -> bytes:
    return piece * (_BYTES // len(piece))


def _peak_bytes(parse: Parse, body: bytes) -> int:
    tracemalloc.start()
    try:
        parse(body)
    except Rejected:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    ("parse", "body"),
    [
        pytest.param(json_body.parse_submission, _PHOTO, id="a photo"),
        pytest.param(batch_body.parse, _BATCH % _PHOTO, id="a batch of a photo"),
        pytest.param(batch_body.parse, _fill(b'"photo_base64":""'), id="empty photos"),
        pytest.param(
            batch_body.parse, _BATCH % _fill(b'{"photo_base64":""},')[:-1], id="items without bytes"
        ),
        pytest.param(
            removebg_body.split_image, b"image_file_b64=" + _fill(b"A"), id="an image in a form"
        ),
        pytest.param(
            removebg_body.split_image, b"image_file_b64=" + _fill(b"%41"), id="only escapes"
        ),
        pytest.param(removebg_body.decode_image, _fill(b"QUJD\n \t"), id="only short lines"),
    ],
)
def test_photo_takes_four_times_its_body(parse: Parse, body: bytes) -> None:
    # A form's escapes are replaced 64 kB at a time, which take a hundred times as many.
    assert _peak_bytes(parse, body) < 4 * len(body) + 8_000_000


@pytest.mark.parametrize(
    "parse", [json_body.parse_submission, batch_body.parse], ids=["a photo", "a batch"]
)
@pytest.mark.parametrize("piece", [b"[],", b"{},", b'{"":0},', b'"a",'])
def test_document_takes_sixty_times_its_bytes(parse: Parse, piece: bytes) -> None:
    # All that is not a photo is at most 1 MB, of a batch 4 MB.
    body = b'{"items":[%b0]}' % (piece * (100_000 // len(piece)))

    assert _peak_bytes(parse, body) < 60 * len(body)


def test_common_recipe_of_a_batch_is_bounded() -> None:
    texts = b",".join([b'"%b"' % (b"a" * 4000)] * 10)
    body = b'{"items":[{"photo_url":"https://example.org/a"}],"recipe":{"background":[%b]}}' % texts

    sent = batch_body.parse(body)

    assert [fault.errors[0].pointer for fault in sent.faults] == ["/recipe"]


def test_batch_of_too_many_photos_is_refused_before_they_are_cut() -> None:
    with pytest.raises(InvalidRequest, match="/items"):
        batch_body.parse(b'"photo_base64":""' * 1001)


def test_escapes_across_pieces_are_replaced() -> None:
    # The third byte of each escape falls on every place of a piece.
    quoted = b"image_file_b64=" + b"A" + b"%2B" * 65_536 + b"%"

    image, rest = removebg_body.split_image(quoted)

    assert image == b"A" + b"+" * 65_536 + b"%"
    assert rest == b"image_file_b64="
