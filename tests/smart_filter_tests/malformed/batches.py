"""Malformed batches and albums. `{batch_id}` stands for one that has finished."""

import base64
import gzip
import uuid
from collections.abc import Sequence

from smart_filter_tests.malformed.accounts import broken
from smart_filter_tests.malformed.rows import JSON, Row, text
from smart_filter_tests.serving import a_photo

_CREATE, _LIST = "POST /v1/batches", "GET /v1/batches"
_ONE = "GET /v1/batches/{batch_id}"
_EVENTS = "GET /v1/batches/{batch_id}/events"
_CANCEL = "POST /v1/batches/{batch_id}/cancel"
_DELETE = "DELETE /v1/batches/{batch_id}"
_BAD, _WRONG = (400, "malformed_request"), (422, "invalid_request")
_RECIPE, _NONE = (422, "invalid_recipe"), (404, "not_found")
_PHOTO = base64.b64encode(a_photo()).decode()
_ITEM = {"photo_base64": _PHOTO}


def _row(name: str, body: object, told: tuple[int, str], *pointers: str, tells: str = "") -> Row:
    return Row(
        name, _CREATE, *told, pointers=pointers, tells=tells, headers=JSON, content=text(body)
    )


def _items(name: str, items: object) -> Row:
    return _row(name, {"items": items}, _WRONG, "/items", tells="1 to 1000")


def _album(name: str, album: object) -> Row:
    return _row(name, {"items": [_ITEM], "album": album}, _WRONG, "/album/best")


def _item(name: str, item: object, told: tuple[int, str], *pointers: str, tells: str = "") -> Row:
    """Return a row whose one item is refused, and so all of it."""
    return _row(name, {"items": [item]}, told, *pointers, tells=tells)


def _of_others(operation: str) -> Sequence[Row]:
    path = operation.split()[1]
    return [
        Row(f"of {name}", operation, *told, path=path.format(batch_id=batch_id))
        for name, batch_id, told in (
            ("a word", "mine", _NONE),
            ("a NUL", "%00", _NONE),
            ("nobody", str(uuid.UUID(int=7)), _NONE),
            ("a job's id", "{job_id}", _NONE),
            ("what was deleted", "{gone_batch_id}", (410, "job_deleted")),
        )
    ]


BATCHES = (
    # All but those about its size: a batch may be that large.
    *(row for row in broken(_CREATE) if row.name not in ("too large", "no type", "a form")),
    *(
        Row(
            f"type {shown!r}",
            _CREATE,
            *_BAD,
            pointers=("/Content-Type",),
            headers={"Content-Type": shown},
            content=text({"items": [_ITEM]}),
        )
        for shown in ("", "text/plain", "application/jsonx")
    ),
    Row(
        "compressed with gzip",
        _CREATE,
        415,
        "unsupported_media",
        pointers=("/Content-Encoding",),
        headers={**JSON, "Content-Encoding": "gzip"},
        content=gzip.compress(text({"items": [_ITEM]})),
    ),
    Row(
        "too much around its photos",
        _CREATE,
        413,
        "photo_too_large",
        pointers=("",),
        headers=JSON,
        content=b'{"items": [], "x": "' + b"x" * 4_000_000 + b'"}',
    ),
    _row("nothing", {}, _WRONG, "/items"),
    _items("no items", []),
    _items("items of an object", {"0": _ITEM}),
    _items("items of a text", _PHOTO),
    _items("1001 items", [{}] * 1001),
    _row("unknown name", {"items": [_ITEM], "photos": 1}, _WRONG, "/photos"),
    _row("name with a NUL", {"items": [_ITEM], "a\0": 1}, _WRONG, "/a\0"),
    _row("a photo beside the items", {"items": [_ITEM], **_ITEM}, _WRONG, "/photo_base64"),
    _row("recipe of a list", {"items": [_ITEM], "recipe": []}, _RECIPE, "/recipe"),
    _row("recipe of a text", {"items": [_ITEM], "recipe": "keep"}, _RECIPE, "/recipe"),
    _row("unknown name for all", {"items": [_ITEM], "recipe": {"colour": 1}}, _RECIPE, "/colour"),
    _row(
        "quality of 0 for all",
        {"items": [_ITEM] * 3, "recipe": {"quality": 0}},
        _RECIPE,
        "/quality",
    ),
    _row(
        "jpg that shows through",
        {"items": [_ITEM], "recipe": {"format": "jpg", "background": "transparent"}},
        (422, "contradiction"),
        *("/background", "/format"),
    ),
    _row("webhook of a number", {"items": [_ITEM], "webhook_url": 1}, _WRONG, "/webhook_url"),
    _row(
        "webhook of no web", {"items": [_ITEM], "webhook_url": "ftp://a/"}, _WRONG, "/webhook_url"
    ),
    _album("album of a number", 1),
    _album("album of nothing", {}),
    _row(
        "album with another name",
        {"items": [_ITEM], "album": {"best": 1, "worst": 1}},
        _WRONG,
        "/album/worst",
    ),
    _album("best of a text", {"best": "1"}),
    _album("best of true", {"best": True}),
    _album("best of a half", {"best": 0.5}),
    _album("best below nothing", {"best": -1}),
    _album("best of 1001", {"best": 1001}),
    _album("best beyond all numbers", {"best": 10**40}),
    _row(
        "album without a picture",
        {"items": [_ITEM], "album": {"best": 1}, "recipe": {"outputs": ["rating"]}},
        (422, "contradiction"),
        "/outputs",
    ),
    _item("item of a text", _PHOTO, _BAD, "", tells="not an object"),
    _item("item of null", None, _BAD, "", tells="not an object"),
    _item("item of nothing", {}, _BAD, "", tells="exactly one"),
    _item("photo of null", {"photo_base64": None}, _BAD, "", tells="exactly one"),
    _item("photo and address", {**_ITEM, "photo_url": "https://a.example/"}, _BAD, ""),
    _item("photo of a number", {"photo_base64": 1}, _BAD, "/photo_base64"),
    _item("photo of no base64", {"photo_base64": "@@@@"}, _BAD, "/photo_base64"),
    _item("photo of a mark", {"photo_base64": "#0"}, _BAD, "/photo_base64"),
    _item(
        "photo of no letters",
        {"photo_base64": ""},
        (415, "unsupported_media"),
        "/photo_base64",
    ),
    _item(
        "photo of text",
        {"photo_base64": base64.b64encode(b"Dear Sir,").decode()},
        (415, "unsupported_media"),
        "/photo_base64",
        tells="accepted are",
    ),
    _item("address of a list", {"photo_url": []}, _RECIPE, "/photo_url"),
    _item("address of no web", {"photo_url": "file:///etc/passwd"}, _RECIPE, "/photo_url"),
    _item("upload of a word", {"upload_id": "mine"}, _WRONG, "/upload_id"),
    _item("upload with a NUL", {"upload_id": "\0"}, _WRONG, "/upload_id"),
    _item("upload of nobody", {"upload_id": str(uuid.UUID(int=7))}, _WRONG, "/upload_id"),
    _item("unknown name of an item", {**_ITEM, "album": 1}, _RECIPE, "/album"),
    _item("recipe of a number in an item", {**_ITEM, "recipe": 1}, _RECIPE, "/recipe"),
    _item("quality of 0 in an item", {**_ITEM, "recipe": {"quality": 0}}, _RECIPE, "/quality"),
    _item("metadata of a list", {**_ITEM, "metadata": []}, _RECIPE, "/metadata"),
    _item("metadata with a NUL", {**_ITEM, "metadata": {"a": "x\0"}}, _RECIPE, "/metadata/a"),
    _item(
        "metadata of 17",
        {**_ITEM, "metadata": {f"k{number}": "v" for number in range(17)}},
        _RECIPE,
        "/metadata",
    ),
    _row(
        "items that are wrong each in its way",
        {"items": [{**_ITEM, "recipe": {"quality": 0}}, {"upload_id": "mine"}, 3]},
        _WRONG,
        *("/items/0", "/items/1", "/items/2"),
    ),
    Row(
        "key of two words",
        _CREATE,
        *_BAD,
        pointers=("/Idempotency-Key",),
        headers={**JSON, "Idempotency-Key": "a b"},
        content=text({"items": [_ITEM]}),
    ),
    *(
        Row(f"{name} {value!r}", _LIST, *_BAD, pointers=(f"/{name}",), params=((name, value),))
        for name, value in (
            *(("limit", "0"), ("limit", "101"), ("limit", "x"), ("limit", "")),
            *(("cursor", ""), ("cursor", "x"), ("cursor", "A" * 23), ("cursor", "\u00e9" * 22)),
        )
    ),
    *(row for operation in (_ONE, _EVENTS, _CANCEL, _DELETE) for row in _of_others(operation)),
    *(
        Row(
            f"behind event {value[:20]!r}",
            _EVENTS,
            *_BAD,
            pointers=("/last-event-id",),
            headers={"Last-Event-ID": value},
        )
        for value in ("first", "-1", "1.5", str(2**63), "9" * 5000)
    ),
    Row(
        "key of 256",
        _CANCEL,
        *_BAD,
        pointers=("/Idempotency-Key",),
        headers={"Idempotency-Key": "k" * 256},
    ),
    Row("cancel what has finished", _CANCEL, 409, "job_final"),
    Row("by PUT", _ONE, 405, "method_not_allowed", method="PUT"),
    Row("by GET", _CANCEL, 405, "method_not_allowed", method="GET"),
    Row("delete all", _DELETE, 405, "method_not_allowed", path="/v1/batches"),
)
