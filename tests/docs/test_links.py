"""Links of the pages work where the repository is read: on a git host, in an editor."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from smart_filter_docs.sources import CHECKOUT, site_places

PAGES = sorted(path for path in site_places() if path.endswith(".md"))
_FENCED = re.compile(r"^( {0,3})(```|~~~).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`|^ {4}.*$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
# A path as plain text, which is no link.
_MENTION = re.compile(r"(?<![\w/(\[.])docs/[\w./-]*\.md")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


def anchors(page: Path) -> Iterator[str]:
    """Yield the anchors of a page's headings, as GitHub and GitLab make them."""
    for heading in _HEADING.findall(_FENCED.sub("", page.read_text())):
        words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
        yield words.replace(" ", "-")


def dead_links(page: Path, root: Path) -> Iterator[str]:
    """Yield the relative links of a page that lead nowhere below the root."""
    for target in _LINK.findall(_CODE.sub("", _FENCED.sub("", page.read_text()))):
        if _ELSEWHERE.match(target):
            continue
        path, _, anchor = unquote(target).partition("#")
        found = (page.parent / path) if path else page
        is_there = found.exists() and found.resolve().is_relative_to(root)
        if not is_there or (anchor and anchor not in set(anchors(found))):
            yield target


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_to_files_and_headings(page: str) -> None:
    assert list(dead_links(CHECKOUT / page, CHECKOUT)) == []


@pytest.mark.parametrize("page", PAGES)
def test_page_links_the_pages_that_it_names(page: str) -> None:
    text = _CODE.sub("", _FENCED.sub("", (CHECKOUT / page).read_text()))

    assert _MENTION.findall(_LINK.sub("", text)) == []


@pytest.mark.parametrize("target", ["gone.md", "b.md#gone", "../a.md", "#gone"])
def test_dead_link_is_found(target: str, tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# Here it is\n")
    page = tmp_path / "a.md"
    page.write_text(f"[x]({target}) [y](b.md#here-it-is)")

    assert list(dead_links(page, tmp_path)) == [target]
