"""JSON and TOML that people hand in are bounded before anything is built of them."""

from pathlib import Path

import pytest

from smart_filter_shared import documents
from smart_filter_shared.documents import MAX_VALUES


def test_documents_are_read() -> None:
    assert documents.parse_json(b'{"a": [1, "x"]}') == {"a": [1, "x"]}
    assert documents.parse_toml('["a.jpg"]\ntitle = "A."') == {"a.jpg": {"title": "A."}}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" + "[]," * (MAX_VALUES + 1) + "[]]", "more than 200000 values"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 10_000, "digits"),
        ("[", "Expecting value"),
    ],
    ids=["many", "deep", "digits", "cut off"],
)
def test_json_that_costs_too_much_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        documents.parse_json(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = [" + "[]," * (MAX_VALUES + 1) + "]", "more than 200000 values"),
        ("a = " + "[" * 50_000, "nested too deeply"),
        (f"{'a.' * 400_000}a = 1", "line 1 has more than 50 dots"),
        (f"\na = {{{'a.' * 400_000}a = 1}}", "line 2 has more than 50 dots"),
        ("a =", "Invalid value"),
    ],
    ids=["many", "deep", "key", "key of an inline table", "cut off"],
)
def test_toml_that_costs_too_much_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        documents.parse_toml(text)


def test_long_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")

    assert documents.read_file(file, most_bytes=5) == b"12345"
    with pytest.raises(ValueError, match=r"^it has more than 4 bytes$"):
        documents.read_file(file, most_bytes=4)
