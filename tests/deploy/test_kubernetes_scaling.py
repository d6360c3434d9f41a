"""The KEDA objects of the chart, and their query on a real PostgreSQL."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url, text

from smart_filter_api.auth import api_keys
from smart_filter_deploy import wiring
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import chart
from smart_filter_tests.bench import TENANT, Bench, capability, settings_of
from smart_filter_tests.chart import CHART, RELEASE, RenderedChart
from smart_filter_tests.serving import a_photo, open_api, serve_api

ROLE = "smart_filter_scaler"
PASSWORD = "counts only"


@pytest.fixture(scope="module")
def rendered() -> RenderedChart:
    """The example, and a pool for the bench's capabilities."""
    values = chart.example_values()
    benched: dict[str, Any] = {"maxReplicas": 2, "rowsPerPod": 4}
    values["capabilities"][capability(StageName.PREPARE)] = benched
    return chart.render(values)


@pytest.fixture
def scaler(bench: Bench) -> Iterator[psycopg.Connection]:
    """KEDA's connection: with the role that the chart's SQL makes."""
    made = (CHART / "scaler-role.sql").read_text()
    with bench.engine.begin() as connection:
        for _ in range(2):  # it can be repeated
            connection.exec_driver_sql(made)
        connection.exec_driver_sql(f"ALTER ROLE {ROLE} PASSWORD '{PASSWORD}'")
    url = make_url(bench.settings.database.url.get_secret_value())
    try:
        with psycopg.connect(
            host=url.host,
            port=url.port or 5432,
            dbname=url.database,
            user=ROLE,
            password=PASSWORD,
            autocommit=True,
        ) as connected:
            yield connected
    finally:
        with bench.engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


def query_of(rendered: RenderedChart, served: str) -> str:
    """Return the query that scales the pool of a capability."""
    scaled = rendered.named("ScaledObject", served.replace(".", "-"))
    query: str = scaled["spec"]["triggers"][0]["metadata"]["query"]
    return query


def answer(scaler: psycopg.Connection, query: str) -> int:
    """Return a query's single number, which is all that KEDA reads."""
    ((number,),) = scaler.execute(query.encode()).fetchall()
    assert isinstance(number, int)
    return number


def test_every_pool_scales_by_its_own_rows_between_its_bounds(rendered: RenderedChart) -> None:
    scaled = {
        one["spec"]["scaleTargetRef"]["name"]: one for one in rendered.of_kind("ScaledObject")
    }
    pools = {
        one["metadata"]["name"]: one["metadata"]["labels"]["smart-filter/capability"]
        for one in rendered.of_kind("Deployment")
        if one["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"
    }

    assert scaled.keys() == pools.keys()
    for name, served in pools.items():
        spec = scaled[name]["spec"]
        pool = {**rendered.values["workers"], **rendered.values["capabilities"][served]}
        assert f"capability = '{served}'" in query_of(rendered, served)
        assert spec["minReplicaCount"] == pool["minReplicas"]
        assert spec["maxReplicaCount"] == pool["maxReplicas"]
        # The pool with the sweeper always runs; all others wake from zero.
        assert (spec["minReplicaCount"] > 0) == (served == "prepare.light")
        # KEDA wants the fields of every trigger as strings, numbers included.
        (trigger,) = spec["triggers"]
        assert trigger["type"] == "postgresql"
        assert {type(value) for value in trigger["metadata"].values()} == {str}
        assert trigger["authenticationRef"]["name"] == f"{RELEASE}-scaler"
        # In addition to KEDA's number, the chart's number of pods would apply at every upgrade.
        assert "replicas" not in rendered.named("Deployment", served.replace(".", "-"))["spec"]


def test_only_ready_and_running_rows_count(
    bench: Bench, scaler: psycopg.Connection, rendered: RenderedChart
) -> None:
    query = query_of(rendered, capability(StageName.PREPARE))
    assert answer(scaler, query) == 0
    for _ in range(4):
        bench.submit()
    assert answer(scaler, query) == 4

    done, *_ = bench.claim(StageName.PREPARE, batch_size=3)
    assert answer(scaler, query) == 4

    # Finished rows no longer count; rows they made ready belong to another pool.
    bench.complete(done)
    assert answer(scaler, query) == 3
    assert answer(scaler, query_of(rendered, "prepare.light")) == 0

    # Two pods at most, of four rows each, plus the running ones: more rows change nothing.
    for _ in range(12):
        bench.submit()
    assert answer(scaler, query) == 8 + 2


def test_role_reads_no_jobs_and_writes_nothing(bench: Bench, scaler: psycopg.Connection) -> None:
    bench.submit()
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        scaler.execute("CREATE TEMPORARY TABLE mine ()")

    # The role's owner could undo this, but gains no permissions by it.
    scaler.execute("SET default_transaction_read_only = off")
    for statement in (
        "SELECT * FROM stages",
        "SELECT result FROM stages",
        "SELECT id FROM jobs",
        "SELECT digest FROM keys",
        "DELETE FROM stages",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            scaler.execute(statement)


def test_job_for_pools_at_zero_is_accepted_and_wakes_the_first(
    servers: Stack,
    bench: Bench,
    scaler: psycopg.Connection,
    rendered: RenderedChart,
    tmp_path: Path,
) -> None:
    (container,) = rendered.pods()["api"]["spec"]["containers"]
    given = {one["name"]: one.get("value") for one in container["env"]}
    settings = settings_of(
        servers.addresses,
        SMART_FILTER_DATA=str(tmp_path),
        SMART_FILTER_POOLS=given["SMART_FILTER_POOLS"],
        SMART_FILTER_EMOTIONS=given["SMART_FILTER_EMOTIONS"],
    )
    query = query_of(rendered, "prepare.light")

    # As the chart's job does; there was never a worker.
    wiring.prepare_servers(settings, local_key=None)
    with bench.transaction() as connection:
        key = api_keys.issue(connection, tenant=TENANT, scopes=api_keys.ALL_SCOPES).key
    with (
        serve_api(settings) as site,
        open_api(site, bench, key) as api,
    ):
        assert answer(scaler, query) == 0
        accepted = api.post(a_photo())

    assert accepted.status_code == 202, accepted.text
    assert answer(scaler, query) == 1


def test_count_reads_indexes_regardless_of_finished_rows(
    bench: Bench, rendered: RenderedChart
) -> None:
    served = capability(StageName.PREPARE)
    with bench.engine.connect() as connection:
        # This transaction is never committed.
        connection.execute(
            text("""
                INSERT INTO stages (job_id, stage, capability, models, batch_key, state, rank,
                    head_start, open_needs, lease_token)
                SELECT uuidv7(), 'prepare', :served, '{}', '', state, i, 0, 0,
                    CASE WHEN state = 'running' THEN gen_random_uuid() END
                FROM generate_series(1, 20000) AS i, LATERAL (SELECT CASE
                    WHEN i % 100 = 0 THEN 'ready' WHEN i % 100 = 1 THEN 'running'
                    ELSE 'succeeded' END) AS drawn (state)
            """),
            {"served": served},
        )
        connection.execute(text("ANALYZE stages"))
        ((plan,),) = connection.exec_driver_sql(
            f"EXPLAIN (FORMAT JSON) {query_of(rendered, served)}"
        ).all()

        given = json.dumps(plan)
        read = set(re.findall(r'"Index Name": "(\w+)"', given))

    assert read == {"stages_ready", "stages_running", "pauses_pkey"}
    assert "Seq Scan" not in given
