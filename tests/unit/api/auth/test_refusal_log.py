"""Refused requests are counted within bounds until they are written."""

import uuid

import pytest

from smart_filter_api.auth.security_log import RefusalLog
from smart_filter_shared.ids import Tenant
from smart_filter_shared.tenants.audit_log import AuditEntry, AuditEvent

ACME, OTHERS = Tenant("acme"), Tenant("others")


def refusal(tenant: Tenant, network: str) -> AuditEntry:
    return AuditEntry(tenant, AuditEvent.KEY_REFUSED, key_id=uuid.UUID(int=1), network=network)


def test_requests_of_one_network_share_a_row() -> None:
    refusals = RefusalLog(clock=lambda: 0.0)

    for _ in range(1000):
        refusals.count(refusal(ACME, "192.0.2.1"))

    assert [entry.count for entry in refusals.take()] == [1000]
    assert refusals.take() == []


@pytest.mark.slow
def test_rows_of_a_tenant_are_bounded_and_spare_the_others() -> None:
    refusals = RefusalLog(clock=lambda: 0.0)

    for number in range(1000):
        refusals.count(refusal(ACME, f"192.0.2.{number}"))
    refusals.count(refusal(OTHERS, "192.0.2.1"))

    taken = refusals.take()
    mine = [entry for entry in taken if entry.tenant == ACME]
    assert (len(mine), sum(entry.count for entry in mine)) == (17, 1000)
    assert [(entry.network, entry.key_id) for entry in mine][-1] == (None, None)
    assert [entry.network for entry in taken if entry.tenant == OTHERS] == ["192.0.2.1"]
