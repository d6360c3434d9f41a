"""YAML that people hand in is bounded before anything is built of it."""

import pytest
import yaml

from smart_filter_workers import plain_yaml
from smart_filter_workers.plain_yaml import MAX_VALUES, NotPlainError

MOST = 10_000_000


def test_document_is_read() -> None:
    text = b"version: 1\nrecipes: {shop: {background: white, margin: [5, 1.5]}}\n"

    assert plain_yaml.load(text, most_bytes=len(text)) == {
        "version": 1,
        "recipes": {"shop": {"background": "white", "margin": [5, 1.5]}},
    }


def test_long_document_is_refused() -> None:
    with pytest.raises(NotPlainError, match=r"^has more than 3 bytes$"):
        plain_yaml.load(b"a: 1", most_bytes=3)


@pytest.mark.parametrize(
    "value", ["[],\n", "{},\n", "1,\n", "x: [],\n"], ids=["lists", "objects", "numbers", "pairs"]
)
def test_reading_ends_at_the_most_values(value: str) -> None:
    text = f"[{value * (1_000_000 // len(value))}]"

    with pytest.raises(
        NotPlainError, match=rf"more than {MAX_VALUES} values, up to line \d+$"
    ) as no:
        plain_yaml.load(text, most_bytes=MOST)

    assert int(str(no.value).rpartition(" ")[2]) <= MAX_VALUES


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "nested deeper than"),
        ("? " * 100_000, "nested deeper than"),
        ("- " * 100_000, "nested deeper than"),
        ("a: &a 1\nb: *a", "the anchor or alias a"),
        ("a: !!python/name:os.system", "the tag"),
        (f"a: 1{':00' * 50_000}", "a number of more than 100 characters"),
        (f"a: 1{':00' * 50_000}.5", "a number of more than 100 characters"),
        (f"a: 0b{'1' * 100_000}", "a number of more than 100 characters"),
        (f"a: {'9' * 100_000}", "a number of more than 100 characters"),
    ],
    ids=[
        *("lists", "keys", "items", "alias", "tag"),
        *("base 60", "base 60 with a point", "bits", "digits"),
    ],
)
def test_document_that_would_cost_more_than_its_bytes_is_refused(text: str, why: str) -> None:
    with pytest.raises(NotPlainError, match=why):
        plain_yaml.load(text, most_bytes=MOST)


@pytest.mark.parametrize("filler", ["# comment", " ", "\n"], ids=repr)
def test_characters_are_not_read_one_by_one_in_python(
    monkeypatch: pytest.MonkeyPatch, filler: str
) -> None:
    """PyYAML's own reader takes 0.3 us or more for each: 40 s for a file of 40 MB."""
    monkeypatch.delattr(yaml.reader.Reader, "forward")

    assert plain_yaml.load(f"a: 1\n{filler * 100_000}", most_bytes=MOST) == {"a": 1}


def test_text_that_is_no_yaml_is_an_error_of_yaml() -> None:
    with pytest.raises(yaml.YAMLError):
        plain_yaml.load("a: [", most_bytes=MOST)
