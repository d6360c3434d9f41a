"""A page for every kind of problem."""

import html
import re
from pathlib import Path

import pytest

from smart_filter_api import pages
from smart_filter_api.problem_pages import PAGES
from smart_filter_api.problems import KINDS, TYPE_BASE

DOCS = Path(__file__).parents[2] / "docs" / "problems"


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert set(PAGES) == set(KINDS)


def test_pages_in_the_repository_are_those_of_the_codes() -> None:
    assert {path.stem for path in DOCS.glob("*.md")} == {*KINDS, "README"}


@pytest.mark.parametrize("code", KINDS)
def test_page_in_the_repository_is_as_the_service_shows_it(code: str) -> None:
    written = (DOCS / f"{code}.md").read_text()

    assert written == pages.markdown(code), "make openapi"


@pytest.mark.parametrize("code", KINDS)
def test_page_has_meaning_cause_remedy_and_an_example(code: str) -> None:
    page = pages.as_html(code)

    told = html.unescape(re.sub(r"</?code>", "`", page))
    assert PAGES[code].meaning in told
    assert all(cause in told for cause in PAGES[code].causes)
    assert PAGES[code].remedy in told
    assert f'"type": "{TYPE_BASE}{code}"' in told
    assert "<script" not in page


@pytest.mark.parametrize("code", [code for code, page in PAGES.items() if page.pointers])
def test_example_names_its_fields(code: str) -> None:
    errors = pages.example(code).errors or []

    assert [error.pointer for error in errors] == list(PAGES[code].pointers)
    assert all(error.detail for error in errors)
