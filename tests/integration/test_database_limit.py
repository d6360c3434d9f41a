"""Limits of lists and at writes of whole batches, and the connections left to other tenants."""

from concurrent.futures import ThreadPoolExecutor, as_completed, wait

import anyio
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.pool import QueuePool

from integration import batches
from smart_filter_api.auth.api_keys import Scope
from smart_filter_api.auth.security_log import RefusalLog
from smart_filter_api.limits import DatabaseLimit, TenantSemaphore
from smart_filter_api.services import container
from smart_filter_api.services.container import Services
from smart_filter_shared.errors import RateLimited, ServiceFull
from smart_filter_shared.ids import Tenant
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.serving import Api, open_api, refusal_of, serve_with

_OTHER, _THIRD = Tenant("other"), Tenant("third")


def test_tenant_has_its_turns_at_a_time() -> None:
    lists = TenantSemaphore("lists", most=3, most_each=2)

    async def run() -> None:
        async with lists.hold(TENANT, seconds=60):
            async with lists.hold(TENANT, seconds=60):
                with pytest.raises(RateLimited, match=r"too many lists of this tenant .* is 2"):
                    async with lists.hold(TENANT, seconds=0.01):
                        pass
                async with lists.hold(_OTHER, seconds=60):
                    pass
            async with lists.hold(TENANT, seconds=60):
                pass

    anyio.run(run)


def test_tenants_together_leave_a_connection_for_other_requests() -> None:
    lists = TenantSemaphore("lists", most=3, most_each=2)

    async def run() -> None:
        async with (
            lists.hold(TENANT, seconds=60),
            lists.hold(TENANT, seconds=60),
            lists.hold(_OTHER, seconds=60),
        ):
            with pytest.raises(ServiceFull, match=r"too many lists of all tenants .* is 3"):
                async with lists.hold(_OTHER, seconds=0.01):
                    pass
        async with lists.hold(_OTHER, seconds=60), lists.hold(_OTHER, seconds=60):
            pass

    anyio.run(run)


def test_tenants_write_two_batches_at_a_time() -> None:
    limit = DatabaseLimit(4, seconds=0.01)

    async def run() -> None:
        async with limit.write_batch(TENANT), limit.write_batch(_OTHER):
            with pytest.raises(ServiceFull, match="too many writes of batches of all tenants"):
                async with limit.write_batch(_THIRD):
                    pass
        async with limit.write_batch(_THIRD):
            pass

    anyio.run(run)


def test_lists_and_writes_of_batches_together_leave_a_connection() -> None:
    limit = DatabaseLimit(4, seconds=0.01)

    async def run() -> None:
        async with limit.write_batch(TENANT), limit.write_batch(_OTHER), limit.list_rows(_THIRD):
            with pytest.raises(ServiceFull, match=r"too many lists of all tenants .* is 3"):
                async with limit.list_rows(_THIRD):
                    pass

    anyio.run(run)


def test_second_batch_of_a_tenant_waits_without_a_connection(bench: Bench) -> None:
    order: list[object] = []

    async def write(services: Services) -> None:
        async with services.database.writing_batch(TENANT):
            order.append("second")

    async def run() -> None:
        async with container.open_services(bench.settings, RefusalLog()) as services:
            pool = services.database.engine.pool
            assert isinstance(pool, QueuePool)
            async with (
                anyio.create_task_group() as writers,
                services.database.writing_batch(TENANT),
            ):
                writers.start_soon(write, services)
                await anyio.wait_all_tasks_blocked()
                async with services.database.transaction(), services.database.transaction():
                    order.append(pool.checkedout())
                order.append("first")

    anyio.run(run)

    # One for the first batch, and two for other requests.
    assert order == [3, "first", "second"]


@pytest.mark.slow
def test_batch_that_waits_too_long_for_its_turn_is_refused_until_there_is_one(api: Api) -> None:
    batch = {"items": batches.items(1)}
    with (
        # A batch waits as long for other batches as another one for the database.
        serve_with(api.bench, SMART_FILTER_DATABASE_PATIENCE_SECONDS="3") as site,
        open_api(site, api.bench, api.key(*Scope)) as impatient,
        ThreadPoolExecutor(4) as senders,
    ):
        with api.bench.transaction() as writer:
            writer.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            writer.execute(text("LOCK TABLE batches IN SHARE MODE"))
            sent = [senders.submit(batches.post, impatient, batch) for _ in range(4)]
            answers = (one.result() for one in as_completed(sent))
            refused = next(answer for answer in answers if answer.status_code == 429)
        wait(sent)
        written = batches.post(impatient, batch)

    assert refused.json()["code"] == "rate_limited"
    assert "writes of batches of this tenant" in refused.json()["detail"]
    assert refused.headers["Retry-After"] == "5"
    assert written.status_code == 202


def test_cancel_of_an_ended_batch_reads_no_items(api: Api) -> None:
    batch_id = batches.submit(api, {"items": batches.items(3)})["id"]
    canceled = api.client.post(f"/v1/batches/{batch_id}/cancel")
    statements: list[str] = []

    def note_statement(*executed: object) -> None:
        statements.append(str(executed[2]))

    event.listen(Engine, "before_cursor_execute", note_statement)
    try:
        again = api.client.post(f"/v1/batches/{batch_id}/cancel")
    finally:
        event.remove(Engine, "before_cursor_execute", note_statement)

    assert [item["state"] for item in canceled.json()["items"]] == ["canceled"] * 3
    assert refusal_of(again) == (409, "job_final")
    assert any("FROM batches" in statement for statement in statements)
    assert not any("batch_gaps" in statement for statement in statements)
