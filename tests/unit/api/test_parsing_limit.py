"""Large bodies are parsed one at a time, in turn for all tenants."""

import uuid

import anyio
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.limits import ParsingLimit
from smart_filter_shared.ids import Tenant

LARGE = 65_537


def request(tenant: str, receive: Receive = anyio.sleep_forever) -> Request:
    """Return a tenant's request, whose client stays unless `receive` returns."""
    caller = Caller(uuid.UUID(int=1), Tenant(tenant), frozenset())
    return Request({"type": "http", "state": {"caller": caller}}, receive)


def test_tenant_waits_for_one_body_of_another_tenant_at_most() -> None:
    async def parse_all() -> list[str]:
        limit, parsed = ParsingLimit(), list[str]()
        arrived = anyio.Event()

        async def parse(tenant: str) -> None:
            async with limit.hold(request(tenant), LARGE):
                await arrived.wait()
                parsed.append(tenant)

        async with anyio.create_task_group() as requests:
            for tenant in ("acme", "acme", "acme", "others"):
                requests.start_soon(parse, tenant)
                await anyio.wait_all_tasks_blocked()
            arrived.set()
        return parsed

    assert anyio.run(parse_all) == ["acme", "others", "acme", "acme"]


def test_small_body_does_not_wait() -> None:
    async def parse_small() -> None:
        limit = ParsingLimit()
        async with limit.hold(request("acme"), LARGE):
            with anyio.fail_after(0):
                async with limit.hold(request("acme"), LARGE - 1):
                    pass

    anyio.run(parse_small)


def test_client_that_leaves_gives_up_its_turn() -> None:
    async def leave() -> Message:
        return {"type": "http.disconnect"}

    async def parse_all() -> None:
        limit = ParsingLimit()
        async with limit.hold(request("acme"), LARGE):
            with pytest.raises(ClientDisconnect):
                async with limit.hold(request("acme", leave), LARGE):
                    pass
        async with limit.hold(request("acme"), LARGE):
            pass

    anyio.run(parse_all)
