"""Read lists page by page."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TypeVar

from smart_filter_client.fields import Fields
from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection
from smart_filter_client.requests import Request

T = TypeVar("T")

_PAGE_SIZE = 100


async def iterate_list(
    client: Connection,
    path: str,
    read: Callable[[object], T],
    *,
    params: Mapping[str, str | int] | None = None,
    limit: int | None = None,
) -> AsyncGenerator[T]:
    """Yield the entries of a list.

    read: converts an entry.  limit: maximum number; None: all.
    """
    left = limit
    query: dict[str, str | int] = dict(params or {})
    while left is None or left > 0:
        query["limit"] = _PAGE_SIZE if left is None else min(_PAGE_SIZE, left)
        page = await _fetch_page(client, path, query)
        items = page.objects_or_none("items") or []
        for item in items:
            yield read(item.document)
        cursor = page.text_or_none("next_cursor")
        if not items or cursor is None:
            return
        query["cursor"] = cursor
        left = None if left is None else left - len(items)


async def fetch_list(
    client: Connection,
    path: str,
    read: Callable[[object], T],
    params: Mapping[str, str] | None = None,
) -> list[T]:
    """Return the entries of a list of one page."""
    page = await _fetch_page(client, path, params or {})
    return [read(item.document) for item in page.objects_or_none("items") or []]


async def _fetch_page(client: Connection, path: str, params: Mapping[str, str | int]) -> Fields:
    request = Request(method="GET", path=path, params=params)
    return Fields(await exchange.ask_json(client, request), "a list")
