"""Gather the pages in build/docs, build build/site with Zensical, and check its links."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from smart_filter_docs import reference
from smart_filter_docs.sources import CHECKOUT, site_places

BUILD: Final = CHECKOUT / "build"
SITE: Final = BUILD / "site"
_PAGES: Final = BUILD / "docs"
_CONFIGURATION: Final = "docs/zensical.toml"

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

_LINK: Final = re.compile(r"(\]\()([^)\s]+)(\))")
_MENTION: Final = re.compile(r"\bdocs/[\w./-]*\w")
# Left unchanged: fenced and indented blocks, inline code, and links as a whole.
_FENCE: Final = re.compile(r"^ {0,3}(```|~~~)")
_KEPT: Final = re.compile(r"`[^`]*`|!?\[[^\]]*\]\([^)]*\)")
_ELSEWHERE: Final = re.compile(r"[a-z][a-z0-9+.-]*:|#")


def build() -> int:
    """Build the site; return 0, or 1 with one line on standard error for each fault."""
    try:
        gather()
    except DeadLink as error:
        _print_fault(str(error))
        return 1
    shutil.rmtree(SITE, ignore_errors=True)
    finished = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict"], cwd=BUILD, check=False
    )
    if finished.returncode:
        return 1
    faults = find_faults(SITE)
    for fault in faults:
        _print_fault(fault)
    return 1 if faults else 0


def _print_fault(fault: str) -> None:
    sys.stderr.write(f"docs: {fault}\n")


def gather() -> None:
    """Write all files that Zensical reads to build/docs.  Raises DeadLink."""
    places = site_places()
    generated = reference.pages()
    pages = {
        path: (CHECKOUT / path).read_text()
        for path in places
        if PurePosixPath(path).suffix == ".md"
    }
    titles = {path: title(text) for path, text in pages.items()}
    shutil.rmtree(_PAGES, ignore_errors=True)
    for path, place in places.items():
        target = _PAGES / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if path not in pages:
            shutil.copyfile(CHECKOUT / path, target)
    places = {**places, **_generated_places(generated)}
    for path, text in {
        **pages,
        **{f"docs/{name}": text for name, text in generated.items()},
    }.items():
        target = _PAGES / places[path]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(rewritten(text, path, places=places, titles=titles))
    shutil.copyfile(CHECKOUT / _CONFIGURATION, BUILD / "zensical.toml")


def _generated_places(generated: Mapping[str, str]) -> dict[str, PurePosixPath]:
    """Return the places of generated pages, keyed as if they were written under docs/."""
    return {f"docs/{name}": PurePosixPath(name) for name in generated}


def find_faults(site: Path) -> list[str]:
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


class DeadLink(ValueError):
    """A page points to a file that is missing or is no part of the site."""


def rewritten(
    page: str,
    source: str,
    *,
    places: Mapping[str, PurePosixPath],
    titles: Mapping[str, str],
) -> str:
    """Return a page's text with links for the site.

    source: the page's path in the repository.  places: each file's place in the site.  titles:
    titles of pages by their paths in the repository.
    Raises DeadLink with page and target.
    """

    def address(target: str) -> str:
        path, hash_, anchor = target.partition("#")
        joined = os.path.normpath(PurePosixPath(source).parent / path)
        place = places.get(joined) or places.get(f"{joined}/README.md")
        if place is None:
            raise DeadLink(f"{source}: {target} is no file of the site")
        here = places[source].parent
        return f"{os.path.relpath(place, here)}{hash_}{anchor}"

    def linked(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        return match[0] if _ELSEWHERE.match(target) else f"{before}{address(target)}{after}"

    def mentioned(match: re.Match[str]) -> str:
        path = _file_of(match[0], places)
        if path is None:
            return match[0]
        up = os.path.relpath(path, PurePosixPath(source).parent)
        return f"[{titles.get(path, match[0])}]({address(up)})"

    return "".join(_through(page, linked, mentioned))


def title(page: str) -> str:
    """Return the first heading of a page."""
    match = re.search(r"^# (.+)$", page, re.MULTILINE)
    return match[1] if match else ""


def _file_of(mention: str, places: Mapping[str, PurePosixPath]) -> str | None:
    for path in (mention, f"{mention}/README.md"):
        if path in places:
            return path
    # A decision is mentioned by its number alone.
    several = [path for path in places if path.startswith(f"{mention}-")]
    return several[0] if len(several) == 1 else None


def _through(
    page: str,
    linked: Callable[[re.Match[str]], str],
    mentioned: Callable[[re.Match[str]], str],
) -> Iterator[str]:
    is_fenced = False
    for line in page.splitlines(keepends=True):
        if _FENCE.match(line):
            is_fenced = not is_fenced
        if is_fenced or line.startswith("    "):
            yield line
            continue
        at = 0
        for kept in _KEPT.finditer(line):
            yield _MENTION.sub(mentioned, line[at : kept.start()])
            yield _LINK.sub(linked, kept[0])
            at = kept.end()
        yield _MENTION.sub(mentioned, line[at:])
