"""Journeys of whoever runs the service: the admin page, the audit."""

from typing import Any

from smart_filter_tests.aged_stack import AgedStack
from smart_filter_tests.commands import Command
from smart_filter_tests.old_installation import HOURLY, SCHEDULED, WEEKLY


def asked(aged: AgedStack, path: str, **params: str) -> dict[str, Any]:
    """Return what the operator is told."""
    answer = aged.client.get(f"/v1/operator/{path}", params=params)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_admin_page_stands_well_and_shows_a_month(aged: AgedStack) -> None:
    page = aged.client.get("/admin")
    standing = asked(aged, "standing")
    month = asked(aged, "history", span="month")

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    # One journey has a model that raises.
    concerns = [one for one in standing["concerns"] if one["subject"] != "segmentation.raises"]
    assert [one["title"] for one in concerns if one["gravity"] == "bad"] == []
    assert standing["unfinished"] <= SCHEDULED
    told = [number for number in month["jobs"]["succeeded"] if number is not None]
    assert len(told) == len(month["jobs"]["succeeded"]) == 90
    assert min(told[1:-1]) > 0


def test_operator_sees_what_each_tenant_had_and_could_be_moved(aged: AgedStack) -> None:
    busiest = asked(aged, "tenants")["items"]
    movable = asked(aged, f"tenants/{WEEKLY}")

    first = next(iter(HOURLY))
    assert busiest[0]["tenant"] == first
    counted = """
        SELECT count(*) FROM jobs WHERE tenant = :tenant AND outcome = 'succeeded'
            AND finished_at > statement_timestamp() - interval '29 days'
    """
    assert busiest[0]["days"]["succeeded"] >= aged.scalar(counted, tenant=first)
    assert movable["failed"] >= 6_000


def test_audit_of_all_days_finds_nothing(command: Command) -> None:
    assert command("audit") == {"findings": []}
