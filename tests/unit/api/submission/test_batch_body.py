"""A batch of wrong items costs the parsing of a hundred."""

import json

from smart_filter_api.submission import batch_body
from smart_filter_shared.errors import FieldError, Rejected
from smart_filter_shared.queue.batches import MAX_ITEMS

_VALID = {"photo_url": "https://photos.example/1.jpg"}
_WRONG = {**_VALID, **{f"zq{index:03x}": 1 for index in range(126)}}
_LAST_READ = "100 items are wrong; those after /items/{} were not read"


def test_items_after_the_hundredth_wrong_one_are_not_parsed() -> None:
    items = [_WRONG if index % 2 else _VALID for index in range(MAX_ITEMS)]

    sent = batch_body.parse(json.dumps({"items": items}).encode())

    assert len(sent.items) == 200
    assert sum(isinstance(item, Rejected) for item in sent.items) == 100
    assert [fault.errors for fault in sent.faults] == [
        [FieldError("/items", _LAST_READ.format(199))]
    ]


def test_ninety_nine_wrong_items_leave_the_others_accepted() -> None:
    items = [*[_WRONG] * 99, *[_VALID] * (MAX_ITEMS - 99)]

    sent = batch_body.parse(json.dumps({"items": items}).encode())

    assert (len(sent.items), sent.faults) == (MAX_ITEMS, [])
