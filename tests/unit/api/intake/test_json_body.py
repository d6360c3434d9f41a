"""Memory that bodies take while they are parsed, and what falls between pieces of them."""

import json
import tracemalloc
from collections.abc import Callable

import pytest

from smart_filter_api.http import strict_json
from smart_filter_api.intake import json_body
from smart_filter_api.intake.body import PhotoRequest, RemotePhoto
from smart_filter_api.removebg import body as removebg_body
from smart_filter_api.submission import batch_body
from smart_filter_api.submission.batch_body import SentBatch
from smart_filter_shared.errors import InvalidRecipe, InvalidRequest, MalformedRequest, Rejected
from smart_filter_shared.queue.batches import MAX_ITEMS
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.recipe.recipe import MAX_METADATA, MAX_METADATA_CHARACTERS

Parse = Callable[[bytes], object]

_BYTES = 1_000_000
_PIECE = 1 << 20
_PHOTO = b'{"photo_base64":"%b"}' % (b"A" * _BYTES)
_BATCH = b'{"items":[%b]}'
_METADATA = {
    f"{index:064}": "\N{GRINNING FACE}" * MAX_METADATA_CHARACTERS for index in range(MAX_METADATA)
}


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
        pytest.param(json_body.decode_photo, _fill(b"QUJD\n \t"), id="only short lines"),
    ],
)
def test_photo_takes_four_times_its_body(parse: Parse, body: bytes) -> None:
    assert _peak_bytes(parse, body) < 4 * len(body) + 1_000_000


@pytest.mark.parametrize(
    "parse", [json_body.parse_submission, batch_body.parse], ids=["a photo", "a batch"]
)
@pytest.mark.parametrize("piece", [b"[],", b"{},", b'{"":0},', b'"a",'])
def test_document_takes_sixty_times_its_bytes(parse: Parse, piece: bytes) -> None:
    # All that is not a photo is at most 1 MB, of a batch 4 MB.
    body = b'{"items":[%b0]}' % (piece * (100_000 // len(piece)))

    assert _peak_bytes(parse, body) < 60 * len(body)


@pytest.mark.parametrize("name", ["quality", "outputs", "recipe", "seed"])
def test_empty_list_is_no_value_of_a_field(name: str) -> None:
    with pytest.raises(InvalidRecipe) as refused:
        json_body.read_fields({name: []})

    [error] = refused.value.errors
    assert (error.pointer, "empty list" in error.detail) == (f"/{name}", True)


def test_null_and_no_filters_are_accepted() -> None:
    assert json_body.read_fields({"quality": None, "filters": []}) == {"filters": []}


@pytest.mark.parametrize("text", ["a" * 4000, "\N{GRINNING FACE}" * 1000], ids=["ascii", "emoji"])
def test_common_recipe_of_a_batch_is_bounded_in_bytes(text: str) -> None:
    texts = b",".join([b'"%b"' % text.encode()] * 10)
    body = b'{"items":[{"photo_url":"https://example.org/a"}],"recipe":{"outputs":[%b]}}' % texts

    sent = batch_body.parse(body)

    assert [fault.errors[0].pointer for fault in sent.faults] == ["/recipe"]


def test_longest_metadata_can_be_common_to_a_batch() -> None:
    document = {
        "items": [{"photo_url": "https://example.org/a"}],
        "recipe": {"metadata": _METADATA},
    }

    sent = batch_body.parse(json.dumps(document).encode())

    assert (len(sent.common), sent.faults) == (MAX_METADATA, [])


def _uploaded(*, items: int) -> batch_body.UploadedBatch:
    fields = {f"metadata.{name}": [text] for name, text in _METADATA.items()}
    photo = PhotoRequest(RemotePhoto("https://example.org/a"), None, fields)
    return SentBatch([photo] * items, fields, [], None, None)


def test_fingerprint_of_a_batch_takes_the_memory_of_few_items() -> None:
    single = sum(map(len, batch_body.identify_batch(_uploaded(items=1))))
    sent = _uploaded(items=MAX_ITEMS)

    tracemalloc.start()
    total = sum(map(len, batch_body.identify_batch(sent)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert total > 900 * single
    assert peak < 10 * single


@pytest.mark.parametrize("piece", [b"[],", b"{},", b"0,", b'"a":0,'])
def test_document_of_too_many_values_is_refused_before_it_is_parsed(piece: bytes) -> None:
    # It is no JSON, which a parser would say.
    body = b'{"items":[' + piece * strict_json.MAX_MARKS

    with pytest.raises(MalformedRequest, match="commas and opening brackets"):
        strict_json.read_object(body)


def test_largest_batch_is_parsed() -> None:
    item = {
        "photo_url": "https://example.org/a",
        "recipe": {**Recipe().as_json(), "seed": 1, "metadata": dict.fromkeys(_METADATA, "a,b")},
    }

    sent = batch_body.parse(json.dumps({"items": [item] * MAX_ITEMS}).encode())

    assert not any(isinstance(item, Rejected) for item in sent.items)


def test_batch_of_too_many_photos_is_refused_before_they_are_cut() -> None:
    with pytest.raises(InvalidRequest, match="/items"):
        batch_body.parse(b'"photo_base64":""' * 1001)


def test_escapes_across_pieces_are_replaced() -> None:
    # The third byte of each escape falls on every place of a piece.
    quoted = b"image_file_b64=" + b"A" + b"%2B" * 65_536

    image, rest = removebg_body.split_image(quoted)

    assert image == b"A" + b"+" * 65_536
    assert rest == b"image_file_b64="


@pytest.mark.parametrize("more", [b"A", b"AAAA", b"="])
def test_data_after_the_padding_of_a_piece_is_refused(more: bytes) -> None:
    with pytest.raises(MalformedRequest, match="not base64"):
        json_body.decode_photo(b"A" * (_PIECE - 4) + b"QQ==" + more)


def test_image_is_found_anywhere_in_a_form_and_only_by_its_whole_name() -> None:
    form = b"size=hd&my_image_file_b64=a&image_file_b64=QQ%3d%3D+%2f=&crop=1"

    assert removebg_body.split_image(form) == (
        b"QQ==+/=",
        b"size=hd&my_image_file_b64=a&image_file_b64=&crop=1",
    )
    assert removebg_body.split_image(b"size=hd") == (b"", b"size=hd")


@pytest.mark.parametrize("wrong", [b"%", b"%4", b"%%", b"%zz", b"%\n", b"%\r\n", b"%25", b"%%41"])
def test_image_with_wrong_escapes_is_no_base64(wrong: bytes) -> None:
    image, _ = removebg_body.split_image(b"image_file_b64=QUJD" + wrong + b"QUJD%2BAAA")

    with pytest.raises(MalformedRequest):
        json_body.decode_photo(image)
