"""Read lists page by page."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from smart_filter_client import exchange
from smart_filter_client.fields import Fields
from smart_filter_client.flows import Emit, Feed, Flow, Server
from smart_filter_client.requests import Request

T = TypeVar("T")

_PAGE_SIZE = 100


def iterate_list(
    server: Server,
    path: str,
    read: Callable[[object], T],
    *,
    params: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Feed[T]:
    """Yield the entries of a list.

    read: converts an entry.  limit: maximum number; None: all.
    """
    left = limit
    query: dict[str, str | int] = dict(params or {})
    while left is None or left > 0:
        query["limit"] = _PAGE_SIZE if left is None else min(_PAGE_SIZE, left)
        page = yield from _fetch_page(server, path, query)
        items = page.objects_or_none("items") or []
        for item in items:
            yield Emit(read(item.document))
        cursor = page.text_or_none("next_cursor")
        if not items or cursor is None:
            return
        query["cursor"] = cursor
        left = None if left is None else left - len(items)


def fetch_list(
    server: Server,
    path: str,
    read: Callable[[object], T],
    params: Mapping[str, str] | None = None,
) -> Flow[list[T]]:
    """Return the entries of a list of one page."""
    page = yield from _fetch_page(server, path, params or {})
    return [read(item.document) for item in page.objects_or_none("items") or []]


def _fetch_page(server: Server, path: str, params: Mapping[str, str | int]) -> Flow[Fields]:
    request = Request(method="GET", path=path, params=params)
    return Fields((yield from exchange.ask_json(server, request)), "a list")
