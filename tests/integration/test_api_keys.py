"""Which requests a key allows: keys on a real table."""

import datetime as dt

import pytest

from smart_filter_api import keys
from smart_filter_api.keys import Scope
from smart_filter_shared.errors import Unauthorized
from smart_filter_shared.ids import Tenant
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.serving import Api, a_photo


def test_issued_key_identifies_its_tenant_and_scopes_and_is_not_stored(bench: Bench) -> None:
    with bench.transaction() as connection:
        issued = keys.issue(connection, tenant=TENANT, scopes=[Scope.READ])

        caller = keys.authenticate(connection, keys.digest_of(issued.key))
        stored = str(connection.exec_driver_sql("SELECT * FROM keys").all())

    assert issued.key.startswith("sf_live_")
    assert (caller.key_id, caller.tenant, caller.scopes) == (issued.key_id, TENANT, {"read"})
    assert issued.key not in stored


def test_ensured_key_is_valid_however_often_it_is_ensured(bench: Bench) -> None:
    with bench.transaction() as connection:
        for scopes in ([Scope.READ], keys.ALL_SCOPES):
            keys.ensure(connection, "sf_live_mine", tenant=Tenant("local"), scopes=scopes)

        caller = keys.authenticate(connection, keys.digest_of("sf_live_mine"))
        rows = connection.exec_driver_sql("SELECT count(*) FROM keys").scalar_one()

    assert caller.scopes == {"submit", "read", "admin", "operator"}
    assert rows == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE keys SET revoked_at = now()",
        "UPDATE keys SET expires_at = statement_timestamp()",
        "DELETE FROM keys",
    ],
)
def test_key_that_is_not_valid_any_more_is_refused(bench: Bench, change: str) -> None:
    with bench.transaction() as connection:
        issued = keys.issue(
            connection, tenant=TENANT, scopes=[Scope.READ], valid_for=dt.timedelta(days=1)
        )
        keys.authenticate(connection, keys.digest_of(issued.key))
        connection.exec_driver_sql(change)

        with pytest.raises(Unauthorized):
            keys.authenticate(connection, keys.digest_of(issued.key))


def test_photo_without_a_valid_key_leaves_nothing(api: Api) -> None:
    del api.client.headers["Authorization"]

    answer = api.post(a_photo())

    assert answer.status_code == 401
    assert api.leftovers() == {}


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        (Scope.READ, "POST", "/v1/jobs"),
        (Scope.READ, "POST", "/v1/batches"),
        (Scope.READ, "POST", "/v1/live"),
        (Scope.READ, "POST", "/v1/jobs/1/cancel"),
        (Scope.READ, "POST", "/v1/jobs/1/redrive"),
        (Scope.READ, "POST", "/v1/jobs/1/corrections"),
        (Scope.READ, "DELETE", "/v1/jobs/1"),
        (Scope.READ, "GET", f"/v1/tenants/{TENANT}"),
        (Scope.READ, "PATCH", f"/v1/tenants/{TENANT}"),
        (Scope.SUBMIT, "GET", "/v1/jobs"),
        (Scope.SUBMIT, "GET", "/v1/models"),
        (Scope.ADMIN, "GET", "/v1/jobs/1/outputs/image"),
    ],
)
def test_key_does_only_what_its_scopes_allow(
    api: Api, scope: Scope, method: str, path: str
) -> None:
    headers = {"Authorization": f"Bearer {api.key(scope)}"}

    answer = api.client.request(method, path, headers=headers, json={})

    assert (answer.status_code, answer.json()["code"]) == (403, "scope")
