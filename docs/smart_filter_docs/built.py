"""Check a built site for dead links and for requests to other hosts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

# Attributes that a browser fetches by itself; links to other hosts are allowed.
_FETCHED: Final = {
    ("script", "src"),
    ("img", "src"),
    ("source", "src"),
    ("iframe", "src"),
    ("video", "src"),
    ("audio", "src"),
    ("object", "data"),
    ("link", "href"),
}
# Values of `rel` in a page's head that name a page and fetch nothing.
_NAMING: Final = {"canonical", "alternate", "prev", "next", "license"}
_CSS_ADDRESS: Final = re.compile(
    r"url\(\s*['\"]?(?!data:)([a-z]+:)?//|@import\s+['\"](?:[a-z]+:)?//"
)
# Zensical's page for missing addresses: its links begin at the root of the host.
_NOT_FOUND: Final = "404.html"


def faults(site: Path) -> list[str]:
    """Return a line for each dead link and each address of another host in the site's pages."""
    pages = {
        path: _read_page(path) for path in sorted(site.rglob("*.html")) if path.name != _NOT_FOUND
    }
    broken = [fault for page in pages for fault in _page_faults(site, page, pages)]
    sheets = [path for path in site.rglob("*.css") if _CSS_ADDRESS.search(path.read_text())]
    return broken + [
        f"{path.relative_to(site)} fetches from another host" for path in sorted(sheets)
    ]


@dataclass(slots=True)
class _Page:
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = _Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name in ("id", "name"):
            self.page.anchors.add(given.get(name) or "")
        for name, value in attrs:
            if value is None:
                continue
            if (tag, name) in _FETCHED and given.get("rel") not in _NAMING:
                self.page.fetched.append(value)
            elif (tag, name) == ("a", "href"):
                self.page.links.append(value)


def _read_page(path: Path) -> _Page:
    reader = _Reader()
    reader.feed(path.read_text())
    return reader.page


def _page_faults(site: Path, path: Path, pages: dict[Path, _Page]) -> Iterator[str]:
    here = path.relative_to(site)
    page = pages[path]
    for address in (*page.fetched, *page.links):
        parts = urlsplit(address)
        if parts.scheme == "data":
            continue
        if parts.scheme or parts.netloc:
            if address in page.fetched:
                yield f"{here} fetches {address} from another host"
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir():
            target /= "index.html"
        if not target.exists():
            yield f"{here} points to {address}, which is not there"
        elif target in pages and not _has(pages[target], parts.fragment):
            yield f"{here} points to {address}, which has no such place"


def _has(page: _Page, fragment: str) -> bool:
    return not fragment or unquote(fragment) in page.anchors
