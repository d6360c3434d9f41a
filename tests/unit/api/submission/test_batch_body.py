"""What a batch of wrong items costs: the items that are parsed, and the errors that are built."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

import pytest

from smart_filter_api.intake import json_body
from smart_filter_api.submission import batch_body, submit_batch
from smart_filter_shared import suggestions
from smart_filter_shared.errors import FieldError, InvalidRecipe, Rejected
from smart_filter_shared.queue.batches import MAX_ITEMS

_VALID = {"photo_url": "https://photos.example/1.jpg"}
_WRONG = {**_VALID, **{f"zq{index:03x}": 1 for index in range(126)}}
_LAST_READ = "100 items are wrong; those after /items/{} were not read"


@contextmanager
def _count_calls(function: Callable[..., object]) -> Iterator[Counter[CodeType]]:
    """Count the calls of a Python function in this thread, by its code."""
    calls: Counter[CodeType] = Counter()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code is function.__code__:
            calls[frame.f_code] += 1

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)


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


def test_each_described_name_is_compared_once() -> None:
    body = json.dumps(_WRONG).encode()

    with (
        _count_calls(suggestions.find_nearest) as searches,
        pytest.raises(InvalidRecipe) as refused,
    ):
        json_body.parse_submission(body)

    assert (len(refused.value.errors), searches.total()) == (20, 20)


def test_errors_that_are_not_listed_are_only_counted() -> None:
    errors = [FieldError(f"/{index}", "is wrong") for index in range(100)]
    refused = {index: InvalidRecipe(errors) for index in range(100)}

    with _count_calls(FieldError.__init__) as built:
        combined = submit_batch._combine_errors([], refused, [])  # noqa: SLF001 - it runs on the event loop

    assert isinstance(combined, InvalidRecipe)
    assert combined.errors[49] == FieldError("/items/0/49", "is wrong")
    assert combined.errors[50:] == [FieldError("", "9950 more errors are not listed")]
    assert built.total() == 52  # and one of the combined error's text
