"""Goes through lists, page by page."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from smart_filter_client import exchange
from smart_filter_client.fields import Fields
from smart_filter_client.flows import Feed, Flow, Item, Server
from smart_filter_client.requests import Request

T = TypeVar("T")

_PAGE = 100


def listed(
    server: Server,
    path: str,
    read: Callable[[object], T],
    *,
    params: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Feed[T]:
    """Yield what a list holds.

    read: makes a value of an entry.  limit: at most so many; None: all there are.
    """
    left = limit
    query: dict[str, str | int] = dict(params or {})
    while left is None or left > 0:
        query["limit"] = _PAGE if left is None else min(_PAGE, left)
        page = yield from _page(server, path, query)
        items = page.objects_or_none("items") or []
        for item in items:
            yield Item(read(item.document))
        cursor = page.text_or_none("next_cursor")
        if not items or cursor is None:
            return
        query["cursor"] = cursor
        left = None if left is None else left - len(items)


def whole(
    server: Server,
    path: str,
    read: Callable[[object], T],
    params: Mapping[str, str] | None = None,
) -> Flow[list[T]]:
    """Return what a list of one page holds."""
    page = yield from _page(server, path, params or {})
    return [read(item.document) for item in page.objects_or_none("items") or []]


def _page(server: Server, path: str, params: Mapping[str, str | int]) -> Flow[Fields]:
    request = Request(method="GET", path=path, params=params)
    return Fields((yield from exchange.ask_json(server, request)), "a list")
