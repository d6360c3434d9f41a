"""Rewrite the links of a page from its path in the repository to its place in the site.

Pages also mention each other by their paths, such as docs/models.md, which helps in a terminal. In
the site such a mention becomes a link with the title of the page.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

_LINK: Final = re.compile(r"(\]\()([^)\s]+)(\))")
_MENTION: Final = re.compile(r"\bdocs/[\w./-]*\w")
# Left unchanged: fenced and indented blocks, inline code, and links as a whole.
_FENCE: Final = re.compile(r"^ {0,3}(```|~~~)")
_KEPT: Final = re.compile(r"`[^`]*`|!?\[[^\]]*\]\([^)]*\)")
_ELSEWHERE: Final = re.compile(r"[a-z][a-z0-9+.-]*:|#")


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
