"""The API while a server is down, or unreachable because packets are lost."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from integration.server_proxies import ServerProxies, before_servers
from smart_filter_api.auth.api_keys import Scope
from smart_filter_deploy.embedded.addresses import free_port
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.artifacts import retention
from smart_filter_shared.config.settings import Settings
from smart_filter_shared.errors import StorageUnavailable
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.worker_registry import WorkerState
from smart_filter_shared.storage import troubles
from smart_filter_tests.bench import Bench, capability
from smart_filter_tests.commands import Command
from smart_filter_tests.outages import point_name_at_primary, read_only, wait_until
from smart_filter_tests.proxy import Mode
from smart_filter_tests.serving import Api, a_photo, an_api_with, refusal_of
from smart_filter_tests.threads import run_in_threads

GONE = [Mode.RESET, Mode.SWALLOW]


@pytest.fixture
def proxy_set(servers: Stack) -> Iterator[ServerProxies]:
    with before_servers(servers.addresses) as proxies:
        yield proxies


@pytest.fixture
def settings(proxy_set: ServerProxies) -> Settings:
    return proxy_set.settings


@pytest.fixture
def far_api(bench: Bench, settings: Settings) -> Iterator[Api]:
    with an_api_with(bench, settings) as api:
        yield api


@pytest.fixture
def impatient_api(bench: Bench, settings: Settings) -> Iterator[Api]:
    """An API that soon gives a server up; on a busy machine, also one that is up."""
    urgent = settings.database.model_copy(update={"patience_seconds": 0.5})
    with an_api_with(bench, dataclasses.replace(settings, database=urgent)) as api:
        yield api


def find_degraded(api: Api) -> list[str] | None:
    """Return what does not work in a process that is ready; None: it is not ready."""
    health: dict[str, list[str]] = api.operators.get("/readyz").json()
    return health.get("degraded")


def test_waiting_submission_gets_its_job_when_the_database_goes(
    far_api: Api, proxy_set: ServerProxies
) -> None:
    key = far_api.key(Scope.SUBMIT)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(far_api.submit_with, key, Prefer="wait=30")
        wait_until(lambda: far_api.leftovers().get("jobs") == 1)
        proxy_set.cut("database", Mode.RESET)
        answer = waiting.result()

    assert (answer.status_code, answer.json()["state"]) == (202, "queued")


@pytest.mark.parametrize("mode", GONE)
def test_process_without_broker_is_degraded_and_accepts_photos(
    far_api: Api, proxy_set: ServerProxies, mode: Mode
) -> None:
    proxy_set.cut("broker", mode)

    job_id = far_api.submit()

    assert far_api.job(job_id)["stages"][0]["state"] == "ready"
    wait_until(lambda: find_degraded(far_api) == ["broker"])


def test_photos_that_no_worker_takes_make_the_service_degraded(api: Api) -> None:
    def is_well_with_a_new_photo() -> bool:
        api.bench.execute("UPDATE stages SET ready_at = now()")
        return find_degraded(api) == []

    api.submit()
    wait_until(is_well_with_a_new_photo)

    api.bench.execute("UPDATE stages SET ready_at = ready_at - interval '11 s'")

    wait_until(lambda: find_degraded(api) == ["workers"])


def test_photos_wait_for_a_busy_worker_without_making_the_service_degraded(api: Api) -> None:
    api.submit()
    served = [capability(StageName.PREPARE)]
    api.bench.announce(*served, state=WorkerState.BUSY)

    api.bench.execute("UPDATE stages SET ready_at = ready_at - interval '11 s'")

    wait_until(lambda: find_degraded(api) == [])


def test_health_check_of_images_follows_readiness_and_ignores_a_proxy(
    far_api: Api, proxy_set: ServerProxies, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    ready = f"{far_api.operators.base_url}/readyz"
    wait_until(lambda: command.status("answers", ready) == 0)

    proxy_set.database.mode = Mode.RESET
    proxy_set.database.cut()
    ill = command.output("answers", ready)

    assert ill == f"smart-filter: {ready} answers with 503\n"
    silent = f"http://127.0.0.1:{free_port()}/livez"
    assert command.output("answers", silent).startswith(f"smart-filter: {silent} does not answer: ")


@pytest.mark.parametrize("mode", GONE)
@pytest.mark.parametrize("name", ["database", "storage"])
def test_process_without_a_required_server_is_not_ready_until_it_is_back(
    impatient_api: Api, proxy_set: ServerProxies, name: str, mode: Mode
) -> None:
    impatient_api.operators.get("/readyz")
    proxy_set.cut(name, mode)

    def find_fault() -> tuple[int, str, str]:
        answer = impatient_api.operators.get("/readyz")
        return answer.status_code, answer.json().get("code"), answer.json().get("detail")

    wait_until(lambda: find_fault() == (503, "unavailable", f"{name} cannot be reached"))
    assert impatient_api.client.get("/livez").status_code == 200
    getattr(proxy_set, name).cut()
    proxy_set.cut(name, Mode.PASS)
    wait_until(lambda: impatient_api.operators.get("/readyz").is_success)
    wait_until(lambda: impatient_api.post(a_photo()).status_code == 202)


@pytest.mark.parametrize("name", ["database", "storage"])
def test_photo_is_refused_without_a_required_server(
    far_api: Api, proxy_set: ServerProxies, name: str
) -> None:
    proxy_set.cut(name, Mode.RESET)

    answer = far_api.post(a_photo())

    assert refusal_of(answer) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "127.0.0.1" not in answer.text
    assert far_api.leftovers() == {}


@pytest.mark.parametrize("mode", [Mode.RESET, pytest.param(Mode.SWALLOW, marks=pytest.mark.slow)])
def test_objects_of_a_deleted_job_are_removed_once_storage_is_back(
    far_api: Api, proxy_set: ServerProxies, mode: Mode
) -> None:
    job_id = far_api.submit()
    proxy_set.cut("storage", mode)

    answer = far_api.client.delete(f"/v1/jobs/{job_id}")

    assert answer.status_code == 204
    assert far_api.client.get(f"/v1/jobs/{job_id}").status_code == 410
    with far_api.bench.transaction() as connection:
        left = [artifact.key for artifact in retention.claim(connection, most=9)]
    assert left == [stored.key for stored in far_api.bench.store.stored()]
    assert len(left) == 1


@pytest.mark.parametrize("mode", GONE)
def test_metrics_without_a_database_report_it_and_show_the_requests(
    impatient_api: Api, proxy_set: ServerProxies, mode: Mode
) -> None:
    impatient_api.client.get("/v1/jobs")
    proxy_set.cut("database", mode)

    metrics = impatient_api.operators.get("/metrics").text

    assert "smart_filter_database_up 0" in metrics
    assert "smart_filter_stages{" not in metrics
    assert 'route="/v1/jobs"' in metrics


@pytest.mark.parametrize(("mode", "value"), [(Mode.PASS, 1), (Mode.RESET, 0)])
def test_metrics_show_whether_the_broker_takes_rings(
    impatient_api: Api, proxy_set: ServerProxies, mode: Mode, value: int
) -> None:
    proxy_set.cut("broker", mode)

    metrics = impatient_api.operators.get("/metrics").text

    assert f"smart_filter_broker_up {value}" in metrics.splitlines()


@contextmanager
def without_writes(api: Api) -> Iterator[None]:
    """Make the database read-only while the block lasts.

    The server ends all connections before the block, and after it. A request on an ended connection
    fails, unless the connection was idle: for the next test, whose clock is an hour ahead, it was.
    """
    with read_only(api.bench):
        wait_until(lambda: api.client.get("/v1/jobs").is_success)
        yield


def test_database_that_takes_no_writes_is_reported(api: Api) -> None:
    with without_writes(api):
        answer = api.operators.get("/readyz")
        metrics = api.operators.get("/metrics").text
        concerns = api.operators.get("/v1/operator/standing").json()["concerns"]

    assert refusal_of(answer) == (503, "unavailable")
    assert answer.json()["detail"] == "database is read-only"
    assert "smart_filter_database_up 0" in metrics
    assert "smart_filter_workers{" not in metrics
    assert [concern["title"] for concern in concerns] == ["The database is read-only"]


def test_readiness_check_replaces_the_connections_to_a_replica(api: Api) -> None:
    with without_writes(api):
        run_in_threads(4, lambda: api.client.get("/v1/jobs"))
        point_name_at_primary(api.bench)

        wait_until(lambda: api.operators.get("/readyz").is_success)


@pytest.mark.parametrize(
    ("reason", "detail"),
    [
        (ReadTimeoutError(None, "", "10 s"), "does not answer in time"),
        (ProtocolError("reset"), "closed the connection (ProtocolError)"),
    ],
)
def test_silent_or_interrupted_storage_is_a_temporary_error(
    bench: Bench, reason: Exception, detail: str
) -> None:
    error = troubles.translate_error(reason, bench.settings.storage, about="a photo")

    assert type(error) is StorageUnavailable
    assert detail in str(error)
