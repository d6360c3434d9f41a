"""Malformed batches and albums. `{batch_id}` stands for one that has finished."""

import base64
import uuid

from integration.malformed.rows import (
    CONTRADICTION,
    INVALID,
    JSON,
    LARGE,
    MALFORMED,
    MEDIA,
    PHOTO_URL,
    RECIPE,
    WEBHOOK_URL,
    Row,
    compressed_row,
    header_rows,
    json_row,
    parameter_rows,
    raw_row,
    text,
)
from smart_filter_tests.serving import a_photo

_CREATE, _LIST = "POST /v1/batches", "GET /v1/batches"
_EVENTS = "GET /v1/batches/{batch_id}/events"
_CANCEL = "POST /v1/batches/{batch_id}/cancel"
_PHOTO = base64.b64encode(a_photo()).decode()
_ITEM = {"photo_base64": _PHOTO}


def _wrong(name: str, *pointers: str, answer: tuple[int, str] = INVALID, **body: object) -> Row:
    """Make a row about a batch of one photo and additional fields."""
    return json_row(_CREATE, name, {"items": [_ITEM], **body}, *pointers, answer=answer)


def _item(
    name: str, item: object, pointer: str, answer: tuple[int, str] = MALFORMED, tells: str = ""
) -> Row:
    """Make a row in which one refused item refuses the whole batch; pointer: into the item."""
    where = f"/items/0{pointer}"
    return json_row(_CREATE, name, {"items": [item]}, where, answer=answer, tells=tells)


def _items(name: str, items: object) -> Row:
    return json_row(_CREATE, name, {"items": items}, "/items", tells="1 to 1000")


BATCHES = (
    raw_row(_CREATE, "cut off", b'{"items": ['),
    compressed_row(_CREATE, JSON),
    raw_row(_CREATE, "large", b'{"items": [], "x": "%s"}' % (b"x" * 4_000_000), answer=LARGE),
    raw_row(
        *(_CREATE, "text", b"{}", "/Content-Type", MEDIA),
        tells="send the body as application/json",
        headers={"Content-Type": "text/plain"},
    ),
    json_row(_CREATE, "nothing", {}, "/items"),
    _items("1001 items", [{}] * 1001),
    _wrong("unknown name", "/photos", photos=1),
    _wrong("recipe of a list", "/recipe", recipe=[], answer=RECIPE),
    _wrong(
        "jpg that shows through",
        *("/background", "/format"),
        recipe={"format": "jpg", "background": "transparent"},
        answer=CONTRADICTION,
    ),
    _wrong("misspelled webhook", "/webhook_ur", webhook_ur="https://a.b/", answer=WEBHOOK_URL),
    _wrong("webhook of no web", "/webhook_url", webhook_url="ftp://a/", answer=WEBHOOK_URL),
    _wrong("album with another name", "/album/worst", album={"best": 1, "worst": 1}),
    *(
        _wrong(f"best {best}", "/album/best", album={"best": best})
        for best in ("1", True, 1001, 10**19)
    ),
    _wrong(
        "album without a picture",
        "/outputs",
        album={"best": 1},
        recipe={"outputs": ["rating"]},
        answer=CONTRADICTION,
    ),
    _item("item of nothing", {}, "", tells="exactly one"),
    _item("photo of a mark", {"photo_base64": "#0"}, "/photo_base64"),
    _item("address of a list", {"photo_url": []}, "/photo_url", PHOTO_URL),
    _item("unknown upload", {"upload_id": str(uuid.UUID(int=7))}, "/upload_id", INVALID),
    _item("unknown name of an item", {**_ITEM, "album": 1}, "/album", RECIPE),
    _item("metadata with a NUL", {**_ITEM, "metadata": {"a": "x\0"}}, "/metadata/a", RECIPE),
    json_row(
        _CREATE,
        "items that are wrong each in its way",
        {"items": [{**_ITEM, "recipe": {"quality": 0}}, {"upload_id": "mine"}, 3]},
        *("/items/0/quality", "/items/1/upload_id", "/items/2"),
    ),
    json_row(
        _CREATE,
        "everything wrong at once",
        {
            "items": [{**_ITEM, "recipie": {}}, {**_ITEM, "background": "keep"}, _ITEM],
            "recipe": {"backgroud": "keep"},
            "album": {"best": -1},
            "webhook": "https://example.org/",
        },
        *("/webhook", "/album/best", "/items/0/recipie", "/items/1/background", "/backgroud"),
        tells="put it under `recipe`",
    ),
    json_row(
        _CREATE,
        "unreadable photos and a wrong recipe",
        {"items": [{"photo_base64": "SGVsbG8="}] * 2, "recipe": {"quality": 0, "formt": "png"}},
        *("/quality", "/formt", "/items/0/photo_base64", "/items/1/photo_base64"),
    ),
    json_row(
        _CREATE,
        "recipe field at the top",
        {"items": [_ITEM], "background": "keep"},
        "/background",
        answer=RECIPE,
        tells="put it under `recipe`",
    ),
    json_row(
        _CREATE,
        "more faults than are listed",
        {"items": [{**_ITEM, "recipe": {"quality": 0}}] * 60},
        *(*(f"/items/{index}/quality" for index in range(50)), ""),
        answer=RECIPE,
        tells="10 more errors are not listed",
    ),
    *header_rows(_CREATE, "Idempotency-Key", "a b", content=text({"items": [_ITEM]})),
    *parameter_rows(_LIST, "limit", "0", "101"),
    *parameter_rows(_LIST, "cursor", "x"),
    *header_rows(_EVENTS, "last-event-id", "first", str(2**63)),
    *header_rows(_CANCEL, "Idempotency-Key", "k" * 256),
    Row("what has finished", _CANCEL, 409, "job_final"),
    Row("a job's id", "GET /v1/batches/{batch_id}", 404, "not_found", path="/v1/batches/{job_id}"),
    *(
        Row("deleted", operation, 410, "job_deleted", path=f"/v1/batches/{{gone_batch_id}}{path}")
        for operation, path in (
            ("GET /v1/batches/{batch_id}", ""),
            (_EVENTS, "/events"),
            (_CANCEL, "/cancel"),
            ("DELETE /v1/batches/{batch_id}", ""),
        )
    ),
)
