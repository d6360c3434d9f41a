import pytest

from smart_filter_api.http.downloads import ByteRange, RangeHeaders
from smart_filter_shared.errors import RangeNotSatisfiable

TAG = '"tag"'


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 4)),
        ("Bytes= 2-5 ", (2, 4)),
        ("bytes=7-", (7, 3)),
        ("bytes=7-99", (7, 3)),
        ("bytes=0007-000000000000000000000008", (7, 2)),
        (f"bytes=7-{'9' * 5000}", (7, 3)),
        ("bytes=-3", (7, 3)),
        ("bytes=-99", (0, 10)),
    ],
)
def test_one_range_is_cut_at_the_end_of_the_file(wanted: str, part: tuple[int, int]) -> None:
    start, length = part

    assert RangeHeaders(wanted, None).choose(TAG, 10) == ByteRange(start, length, 10)


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=10-12", "bytes=-0", f"bytes={'9' * 5000}-"])
def test_range_behind_the_end_of_the_file_is_refused(wanted: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as refused:
        RangeHeaders(wanted, None).choose(TAG, 10)

    assert refused.value.length == 10


@pytest.mark.parametrize(
    "wanted",
    [
        *(None, "", "bytes", "bytes=", "bytes=-", "bytes= - ", "bytes=5-2", "bytes=a-b", "2-5"),
        *("bytes=0-1,3-4", "items=0-1", "bytes=+1-2", "bytes=1-2;", "bytes=1_0-11", "bytes=²-"),
    ],
)
def test_malformed_several_and_unknown_ranges_are_ignored(wanted: str | None) -> None:
    assert RangeHeaders(wanted, None).choose(TAG, 10) is None


@pytest.mark.parametrize(
    ("if_range", "counts"),
    [
        (TAG, True),
        ('"other"', False),
        (f"W/{TAG}", False),
        ("Sun, 29 Nov 2026 17:00:00 GMT", False),
    ],
)
def test_range_counts_for_the_file_that_if_range_names(if_range: str, *, counts: bool) -> None:
    part = RangeHeaders("bytes=2-5", if_range).choose(TAG, 10)

    assert (part is not None) == counts
