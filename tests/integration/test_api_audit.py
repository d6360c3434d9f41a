"""The security log of a tenant, which shows who did what and who was refused."""

import uuid
from collections import Counter
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from integration.databases import connect
from smart_filter_api.auth import api_keys
from smart_filter_api.auth.api_keys import IssuedKey, Scope
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_shared.tenants import audit_log
from smart_filter_tests.bench import Bench, as_role
from smart_filter_tests.commands import Command
from smart_filter_tests.maintenance import collector
from smart_filter_tests.outages import wait_until
from smart_filter_tests.serving import Api, Clock, a_photo, serve_api

Json = dict[str, Any]


@pytest.fixture
def tenant() -> Tenant:
    return Tenant(f"audited-{uuid.uuid4().hex[:12]}")  # rows of the log outlive a test


def logged(api: Api, tenant: Tenant, **params: str) -> list[Json]:
    operator = api.headers(Scope.ADMIN, tenant=OPERATOR)
    return api.read("/v1/audit", params={"tenant": tenant, **params}, headers=operator)["items"]


def test_changes_are_logged_with_key_and_network(api: Api, tenant: Tenant) -> None:
    key = api.bench.do(issue_admin, tenant)
    headers = {"Authorization": f"Bearer {key.key}"}
    made = api.create("/v1/keys", json={"scopes": ["read"]}, headers=headers)
    hook = {"url": "https://hooks.example.com/"}
    hook_id = api.create("/v1/webhooks", json=hook, headers=headers)["id"]
    api.client.post(f"/v1/webhooks/{hook_id}/rotate", headers=headers)
    api.client.delete(f"/v1/webhooks/{hook_id}", headers=headers)
    api.client.patch(f"/v1/tenants/{tenant}", json={"keep_nothing": True}, headers=headers)
    api.client.delete(f"/v1/keys/{made['key_id']}", headers=headers)
    api.client.put("/v1/recipes/shop", json={"recipe": {"quality": 70}}, headers=headers)
    api.client.put("/v1/backgrounds/tenant/wall", content=a_photo(), headers=headers)
    for path in ("recipes/shop", "backgrounds/tenant/wall"):
        api.client.delete(f"/v1/{path}", headers=headers)

    mine = api.read("/v1/audit", headers=headers)["items"]

    assert [(row["event"], row["subject"]) for row in reversed(mine)] == [
        ("key_issued", made["key_id"]),
        ("webhook_created", hook_id),
        ("webhook_secret_rotated", hook_id),
        ("webhook_deleted", hook_id),
        ("tenant_changed", tenant),
        ("key_revoked", made["key_id"]),
        ("recipe_saved", "shop"),
        ("picture_added", "tenant/wall"),
        ("recipe_deleted", "shop"),
        ("picture_deleted", "tenant/wall"),
    ]
    assert {(row["key_id"], row["network"]) for row in mine} == {(str(key.key_id), "127.0.0.1")}


def issue_admin(connection: Connection, tenant: Tenant) -> IssuedKey:
    return api_keys.issue(connection, tenant=tenant, scopes=[Scope.ADMIN])


def test_log_is_read_in_pages_by_administrators_alone(api: Api, tenant: Tenant) -> None:
    headers = api.headers(Scope.ADMIN, tenant=tenant)
    for _ in range(3):
        api.client.post("/v1/keys", json={"scopes": ["read"]}, headers=headers)

    first = api.read("/v1/audit", params={"limit": 2}, headers=headers)
    cursor = {"cursor": first["next_cursor"]}
    second = api.read("/v1/audit", params=cursor, headers=headers)
    others = api.client.get("/v1/audit", params={"tenant": "local"}, headers=headers)
    reader = api.client.get("/v1/audit", headers=api.headers(Scope.READ, tenant=tenant))

    assert [len(page["items"]) for page in (first, second)] == [2, 1]
    assert second["next_cursor"] is None
    assert (others.status_code, reader.status_code) == (403, 403)


def test_event_of_another_version_is_listed_as_it_is(api: Api, tenant: Tenant) -> None:
    settings = as_role(api.bench.settings, ProcessRole.API).database
    insert = text("INSERT INTO audit_events (tenant, event) VALUES (:tenant, 'key_renamed')")
    with connect(settings) as engine, engine.begin() as connection:
        connection.execute(insert, {"tenant": tenant})
    headers = api.headers(Scope.ADMIN, tenant=tenant)
    api.client.post("/v1/keys", json={"scopes": ["read"]}, headers=headers)

    rows = logged(api, tenant)

    assert [row["event"] for row in rows] == ["key_issued", "key_renamed"]


def test_refused_requests_are_counted_in_a_few_rows(api: Api, clock: Clock, tenant: Tenant) -> None:
    key = api.bench.do(issue_admin, tenant)
    for _ in range(30):
        headers = {"Authorization": f"Bearer {key.key}"}
        assert api.client.get("/v1/jobs", headers=headers).status_code == 403
    for _ in range(30):
        headers = api.headers(Scope.ADMIN, tenant=tenant)
        assert api.client.get("/v1/jobs", headers=headers).status_code == 403

    clock.expire_caches()
    rows = logged(api, tenant)

    assert {row["event"] for row in rows} == {"scope_refused"}
    assert sum(row["count"] for row in rows) == 60
    assert sum(row["count"] for row in rows if row["key_id"] == str(key.key_id)) == 30
    assert len(rows) <= 2 * 17  # a minute may end meanwhile


def test_server_that_stops_writes_the_refusals_of_the_last_minute(api: Api, tenant: Tenant) -> None:
    headers = api.headers(Scope.ADMIN, tenant=tenant)
    with serve_api(api.bench.settings) as site:
        for _ in range(5):
            assert httpx.get(f"{site.url}/v1/jobs", headers=headers, timeout=60).status_code == 403

    rows = logged(api, tenant)

    assert [(row["event"], row["count"]) for row in rows] == [("scope_refused", 5)]


def test_failed_sign_ins_and_unknown_keys_are_in_the_operators_log(api: Api, clock: Clock) -> None:
    known = {(row["at"], row["event"]) for row in logged(api, OPERATOR)}
    origin = {"Origin": str(api.client.base_url)}
    for _ in range(3):
        answer = api.client.post("/v1/session", json={"key": "wrong"}, headers=origin)
        assert answer.status_code == 401
    api.client.get("/v1/jobs", headers={"Authorization": "Bearer wrong"})
    httpx.get(f"{api.url}/v1.0/account", headers={"X-Api-Key": "wrong"}, timeout=60)

    clock.expire_caches()
    found = [row for row in logged(api, OPERATOR) if (row["at"], row["event"]) not in known]

    counts: Counter[str] = Counter()
    for row in found:
        counts[row["event"]] += row["count"]
    assert counts == {"sign_in_failed": 3, "key_refused": 2}
    assert {row["network"] for row in found} == {"127.0.0.1"}


def test_sign_in_and_sign_out_are_logged(api: Api, tenant: Tenant) -> None:
    key = api.bench.do(issue_admin, tenant)
    origin = {"Origin": str(api.client.base_url)}
    with httpx.Client(base_url=api.url, headers=origin, timeout=60) as browser:
        opened = browser.post("/v1/session", json={"key": key.key})
        token = {"X-CSRF-Token": opened.json()["csrf_token"]}
        assert browser.delete("/v1/session", headers=token).status_code == 204

    rows = [(row["event"], row["key_id"]) for row in logged(api, tenant)]
    assert rows == [("signed_out", str(key.key_id)), ("signed_in", str(key.key_id))]


def test_canceled_jobs_are_in_the_logs_of_tenant_and_operator(api: Api, tenant: Tenant) -> None:
    for _ in range(2):
        api.bench.submit(tenant=tenant)
    operator = api.headers(Scope.OPERATOR, tenant=OPERATOR)
    url = f"/v1/operator/tenants/{tenant}/cancel"

    canceled = [api.operators.post(url, headers=operator).json()["moved"] for _ in range(2)]

    assert canceled == [2, 0]
    for rows in (logged(api, tenant), logged(api, OPERATOR)):
        [row] = [row for row in rows if row["subject"] == tenant]
        assert (row["event"], row["count"]) == ("jobs_canceled", 2)


def test_command_line_is_in_the_logs_of_tenant_and_operator(
    api: Api, command: Command, tenant: Tenant
) -> None:
    api.bench.submit(tenant=tenant)

    command("tenants", "set", tenant, "--emotions", "off")
    command("jobs", "cancel", "--tenant", tenant)

    for rows in (logged(api, tenant), logged(api, OPERATOR)):
        about = [(row["event"], row["key_id"]) for row in rows if row["subject"] == tenant]
        assert about == [("jobs_canceled", None), ("tenant_changed", None)]


def test_request_line_names_key_tenant_and_network(api: Api, tenant: Tenant) -> None:
    key = api.bench.do(issue_admin, tenant)

    with capture_logs() as lines:
        answer = api.client.get("/v1/keys", headers={"Authorization": f"Bearer {key.key}"})
        # The line follows the answer.
        wait_until(lambda: any(line["event"] == "request" for line in lines))

    assert answer.status_code == 200
    line = next(line for line in lines if line["event"] == "request")
    assert (line["key_id"], line["tenant"]) == (str(key.key_id), tenant)
    assert line["network"] == "127.0.0.1"


def test_successful_polls_are_not_logged(api: Api) -> None:
    job_id, unknown = api.submit(background="keep"), uuid.uuid4()

    with capture_logs() as lines:
        polled = [api.client.get(f"/v1/jobs/{one}").status_code for one in (job_id, unknown)]
        api.client.delete(f"/v1/jobs/{job_id}")
        wait_until(lambda: any(line.get("method") == "DELETE" for line in lines))

    assert polled == [200, 404]
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["status"]) for line in requests] == [
        ("GET", 404),
        ("DELETE", 204),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_events SET event = 'x' WHERE tenant = :tenant",
        "DELETE FROM audit_events WHERE tenant = :tenant",
        "TRUNCATE audit_events",
    ],
)
def test_log_cannot_be_changed(api: Api, tenant: Tenant, change: str) -> None:
    headers = api.headers(Scope.ADMIN, tenant=tenant)
    api.client.post("/v1/keys", json={"scopes": ["read"]}, headers=headers)

    with pytest.raises(DBAPIError), api.bench.engine.begin() as connection:
        connection.execute(text(change), {"tenant": tenant} if ":tenant" in change else {})

    assert len(logged(api, tenant)) == 1


def test_old_events_are_deleted(bench: Bench, tenant: Tenant) -> None:
    with bench.transaction() as connection:
        for days in (29, 31, 400):
            connection.execute(
                text("""
                    INSERT INTO audit_events (tenant, event, at)
                    VALUES (:tenant, 'signed_in', now() - make_interval(days => :days))
                """),
                {"tenant": tenant, "days": days},
            )

    kept = collector(bench, audit_seconds=365 * 86400)
    kept.remove_expired()
    after_a_year = bench.do(audit_log.list_events, tenant, before=None, limit=9)
    collector(bench).remove_expired()
    after_a_month = bench.do(audit_log.list_events, tenant, before=None, limit=9)

    assert (len(after_a_year), len(after_a_month)) == (2, 1)
