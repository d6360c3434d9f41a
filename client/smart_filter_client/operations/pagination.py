"""Read lists page by page."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection
from smart_filter_client.reading import read_answer
from smart_filter_client.requests import Request

T = TypeVar("T")

_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class _Page:
    items: tuple[Any, ...]
    next_cursor: str | None


async def iterate_list(
    client: Connection,
    path: str,
    kind: type[T],
    *,
    params: Mapping[str, str | int] | None = None,
    limit: int | None = None,
) -> AsyncGenerator[T]:
    """Yield the entries of a list.

    kind: of an entry.  limit: maximum number; None: all.
    """
    left = limit
    query: dict[str, str | int] = dict(params or {})
    while left is None or left > 0:
        query["limit"] = _PAGE_SIZE if left is None else min(_PAGE_SIZE, left)
        page = await _fetch_page(client, path, query)
        for item in page.items:
            yield read_answer(kind, item)
        if not page.items or page.next_cursor is None:
            return
        query["cursor"] = page.next_cursor
        left = None if left is None else left - len(page.items)


async def fetch_list(
    client: Connection,
    path: str,
    kind: type[T],
    params: Mapping[str, str] | None = None,
) -> list[T]:
    """Return the entries of a list of one page."""
    page = await _fetch_page(client, path, params or {})
    return [read_answer(kind, item) for item in page.items]


async def _fetch_page(client: Connection, path: str, params: Mapping[str, str | int]) -> _Page:
    request = Request(method="GET", path=path, params=params)
    return read_answer(_Page, await exchange.ask_json(client, request))
