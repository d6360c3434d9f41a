"""Statements that commit, whose request or answer is lost or late: nothing lost, nothing doubled.

A proxy between the API and its servers picks the message by its text. Nothing works on the jobs
meanwhile, as in a backlog, so an object that is removed wrongly is missed.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

import httpx
import pytest

from integration import batches
from integration.removebg_client import open_client
from integration.server_proxies import ServerProxies, before_servers
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.config.settings import Settings
from smart_filter_shared.db import sessions
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.errors import DatabaseUnavailable, OutcomeUnknown
from smart_filter_shared.ids import Capability
from smart_filter_shared.operations import consistency
from smart_filter_shared.operations.counters import CounterName
from smart_filter_shared.tenants import quotas
from smart_filter_shared.webhooks import outbox
from smart_filter_tests import face_worker, invariants
from smart_filter_tests.bench import TENANT, Bench, as_role
from smart_filter_tests.commands import on_servers
from smart_filter_tests.corrected_jobs import submit_finished
from smart_filter_tests.maintenance import collector
from smart_filter_tests.outages import wait_until
from smart_filter_tests.proxy import Loss, Mode, Trap
from smart_filter_tests.serving import (
    Api,
    Clock,
    Site,
    a_photo,
    an_api,
    open_api,
    refusal_of,
    serve_api,
)
from smart_filter_tests.stages import FACE
from smart_filter_tests.stored_results import STROKES
from smart_filter_tests.unlocked_decoders import UnlockedDecoders
from smart_filter_tests.webhook_receiver import a_receiver, send_due
from smart_filter_workers.runtime import runner
from smart_filter_workers.runtime.claiming import claims
from smart_filter_workers.runtime.counters import WorkerCounters
from smart_filter_workers.stock.ingest import IncomingPictures

KEY = {"Idempotency-Key": "once"}
# The API gives up after this; a busy machine also makes it give up other requests, which the
# tests repeat as clients do.
PATIENCE_SECONDS = 1.0
MEGAPIXELS = 48 * 32 / 1e6
REMEMBERED = "UPDATE requests SET status"
# What is late takes the patience of the API.
LOSSES = (
    Loss.REQUEST,
    Loss.ANSWER,
    *(pytest.param(late, marks=pytest.mark.slow) for late in (Loss.LATE_REQUEST, Loss.LATE_ANSWER)),
)
NO_GRACE = -dt.timedelta(minutes=1)


def nothing(_: Api) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Case:
    """A request, the statement that commits it, and what one execution leaves behind.

    statement: its text; with `at_commit` the COMMIT after it.  counts: a query that returns 1.
    is_remembered: whether it stores the answer for repeated requests.
    """

    send: Callable[[Api, str], httpx.Response]
    statement: str
    counts: str = "SELECT count(*) FROM jobs"
    at_commit: bool = True
    status: int = HTTPStatus.ACCEPTED
    prepare: Callable[[Api], str] = nothing
    is_remembered: bool = True


def submit(api: Api, _: str = "", **fields: str) -> httpx.Response:
    files = {"photo": ("photo", a_photo())}
    return api.client.post("/v1/jobs", files=files, data=fields, headers=KEY)


def submit_with_webhook(api: Api, _: str) -> httpx.Response:
    return submit(api, webhook_url="https://example.com/hook")


def submit_batch(api: Api, _: str) -> httpx.Response:
    return batches.post(api, {"items": batches.items(1), "recipe": batches.KEEP}, **KEY)


def derive(api: Api, parent: str) -> httpx.Response:
    files = {"background_file": ("background", a_photo())}
    fields = {"background": "file"}
    return api.client.post(f"/v1/jobs/{parent}/derive", files=files, data=fields, headers=KEY)


def correct(api: Api, job_id: str) -> httpx.Response:
    return api.client.post(f"/v1/jobs/{job_id}/corrections", json=STROKES, headers=KEY)


def cancel(api: Api, job_id: str) -> httpx.Response:
    return api.client.post(f"/v1/jobs/{job_id}/cancel", headers=KEY)


def create(path: str, **document: object) -> Callable[[Api, str], httpx.Response]:
    return lambda api, _: api.client.post(path, json=document, headers=KEY)


def put_picture(api: Api, _: str) -> httpx.Response:
    return api.client.put("/v1/backgrounds/tenant/wall", content=a_photo("PNG"))


def put_recipe(api: Api, _: str) -> httpx.Response:
    return api.client.put("/v1/recipes/shop", json={"recipe": {"background": "keep"}})


def limit_megapixels(api: Api) -> str:
    api.limit(megapixels_per_day=10)
    return ""


CASES = {
    "claim of the key": Case(submit, "INSERT INTO requests", at_commit=False, is_remembered=False),
    "submission": Case(submit, "INSERT INTO jobs", at_commit=False),
    "submission with a webhook": Case(submit_with_webhook, "INSERT INTO jobs"),
    "submission with a daily limit": Case(submit, "INSERT INTO jobs", prepare=limit_megapixels),
    "batch": Case(submit_batch, "INSERT INTO jobs"),
    "batch with a daily limit": Case(submit_batch, "INSERT INTO jobs", prepare=limit_megapixels),
    "derivation": Case(
        derive,
        "INSERT INTO jobs",
        "SELECT count(*) FROM jobs WHERE parent_id IS NOT NULL",
        prepare=submit_finished,
    ),
    "derivation before its commit": Case(
        derive,
        "INSERT INTO jobs",
        "SELECT count(*) FROM jobs WHERE parent_id IS NOT NULL",
        at_commit=False,
        prepare=submit_finished,
        is_remembered=False,
    ),
    "correction": Case(
        correct,
        REMEMBERED,
        "SELECT count(*) FROM corrections",
        status=HTTPStatus.CREATED,
        prepare=submit_finished,
    ),
    "cancellation": Case(
        cancel,
        REMEMBERED,
        "SELECT count(*) FROM jobs WHERE outcome = 'canceled'",
        status=HTTPStatus.OK,
        prepare=Api.submit,
    ),
    "upload": Case(
        create("/v1/uploads", content_type="image/jpeg", bytes=100),
        REMEMBERED,
        "SELECT count(*) FROM uploads",
        status=HTTPStatus.CREATED,
    ),
    "webhook": Case(
        create("/v1/webhooks", url="https://example.com/hook"),
        REMEMBERED,
        "SELECT count(*) FROM webhooks",
        status=HTTPStatus.CREATED,
    ),
    "key": Case(
        create("/v1/keys", scopes=["read"]),
        REMEMBERED,
        "SELECT count(*) - 1 FROM keys",  # besides the client's own
        status=HTTPStatus.CREATED,
    ),
    "device key": Case(
        create("/v1/tokens"),
        REMEMBERED,
        "SELECT count(*) - 1 FROM keys",
        status=HTTPStatus.CREATED,
    ),
    "tenant picture": Case(
        put_picture,
        "INSERT INTO incoming_pictures",
        "SELECT count(*) FROM incoming_pictures",
        is_remembered=False,
    ),
    "recipe": Case(
        put_recipe,
        "INSERT INTO recipes",
        "SELECT count(*) FROM recipes",
        status=HTTPStatus.OK,
        is_remembered=False,
    ),
}


@pytest.fixture(scope="module")
def lines(servers: Stack) -> Iterator[ServerProxies]:
    with before_servers(servers.addresses) as proxies:
        yield proxies


@pytest.fixture(scope="module")
def far_settings(lines: ServerProxies) -> Settings:
    return lines.settings


@pytest.fixture(scope="module")
def far_clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def _far_site(far_settings: Settings, far_clock: Clock) -> Iterator[Site]:
    urgent = far_settings.database.model_copy(update={"patience_seconds": PATIENCE_SECONDS})
    with serve_api(dataclasses.replace(far_settings, database=urgent), clock=far_clock) as site:
        yield site


@pytest.fixture
def api(_far_site: Site, bench: Bench, lines: ServerProxies, far_clock: Clock) -> Iterator[Api]:
    # New connections have prepared no statement; the caches forget earlier tests.
    lines.database.cut()
    far_clock.expire_caches()
    with an_api(_far_site, bench) as api:
        yield api


@pytest.fixture
def patient(_site: Site, api: Api) -> Iterator[Api]:
    """An API of the same servers that no fault concerns, for what precedes it."""
    key = api.client.headers["Authorization"].removeprefix("Bearer ")
    with open_api(_site, api.bench, key) as patient:
        yield patient


def patiently(send: Callable[[], httpx.Response]) -> httpx.Response:
    """Send a request until its answer is not 503, as clients do."""
    answers: list[httpx.Response] = []

    def is_answered() -> bool:
        answers.append(send())
        return answers[-1].status_code != HTTPStatus.SERVICE_UNAVAILABLE

    wait_until(is_answered)
    return answers[-1]


def await_end(bench: Bench, trap: Trap) -> None:
    """Wait until the server has executed what was late, and has ended the connection."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE client_port = :port"
    wait_until(lambda: bench.scalar(query, port=trap.port) == 0)


def faults_of(bench: Bench) -> list[str]:
    """Return what the auditor finds, before and after the scan for orphaned objects."""

    def audit() -> list[str]:
        found = consistency.check_objects(bench.engine, bench.store, most=20, old=NO_GRACE)
        return [f"{finding.rule}: {finding.subject}" for finding in found]

    lost = [fault for fault in audit() if not fault.startswith("a row names every")]
    collector(bench).clear_unreferenced(older_than=NO_GRACE)
    return [*lost, *audit(), *invariants.broken(bench)]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_statement_without_an_answer_is_executed_once(
    api: Api, patient: Api, lines: ServerProxies, case: Case, loss: Loss
) -> None:
    target = case.prepare(patient)

    with lines.database.trap(case.statement, loss, at_commit=case.at_commit) as trap:
        first = case.send(api, target)
        repeated = patiently(lambda: case.send(api, target))
    await_end(api.bench, trap)

    assert trap.sprung.is_set()
    assert refusal_of(first) == (503, "unavailable")
    assert first.headers["Content-Type"] == "application/problem+json"
    assert int(first.headers["Retry-After"]) > 0
    assert repeated.status_code == case.status, repeated.text
    is_replayed = repeated.headers.get("Idempotency-Replayed") == "true"
    assert is_replayed == (case.is_remembered and loss in {Loss.ANSWER, Loss.LATE_ANSWER})
    assert api.bench.scalar(case.counts) == 1
    assert faults_of(api.bench) == []
    if case.prepare is limit_megapixels:
        assert api.bench.do(quotas.read_charged_today, TENANT) == pytest.approx(MEGAPIXELS)


def test_lost_claim_of_a_key_is_freed_once_the_database_is_back(
    api: Api, lines: ServerProxies
) -> None:
    # Its statement is in the message, since no connection has prepared it.
    with lines.database.trap("INSERT INTO requests", Loss.ANSWER) as trap:
        trap.then = Mode.RESET
        first = submit(api)
    wait_until(lambda: api.bench.scalar("SELECT count(*) FROM requests") == 1)
    lines.database.mode = Mode.PASS

    wait_until(lambda: api.bench.scalar("SELECT count(*) FROM requests") == 0)

    assert first.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert patiently(lambda: submit(api)).status_code == HTTPStatus.ACCEPTED


def put_photo(api: Api, upload_id: str) -> httpx.Response:
    headers = {"Content-Type": "image/jpeg"}
    return api.client.put(f"/v1/uploads/{upload_id}", content=a_photo(), headers=headers)


STORING = ("submission", "batch", "derivation", "correction", "tenant picture")


def announce(api: Api) -> str:
    wish = {"content_type": "image/jpeg", "bytes": len(a_photo())}
    return str(api.create("/v1/uploads", json=wish)["upload_id"])


@pytest.mark.parametrize("loss", [Loss.REQUEST, Loss.ANSWER], ids=str)
@pytest.mark.parametrize(
    "case",
    [
        *(CASES[name] for name in STORING),
        Case(put_photo, "", prepare=announce, status=HTTPStatus.NO_CONTENT),
    ],
    ids=[*STORING, "upload"],
)
def test_object_without_an_answer_is_stored_once(
    api: Api, patient: Api, lines: ServerProxies, case: Case, loss: Loss
) -> None:
    target = case.prepare(patient)
    before = api.leftovers()

    # More often than the storage client repeats a request.
    with lines.storage.trap("PUT /", loss, times=20):
        first = case.send(api, target)
    between = api.leftovers()
    repeated = patiently(lambda: case.send(api, target))

    assert refusal_of(first) == (503, "unavailable")
    assert {**between, "objects": 0} == {**before, "objects": 0}
    assert repeated.status_code == case.status, repeated.text
    assert faults_of(api.bench) == []


def test_ring_without_an_answer_leaves_the_submission_accepted(
    api: Api, lines: ServerProxies
) -> None:
    with lines.broker.trap("LPUSH", Loss.ANSWER, times=20) as trap:
        answer = submit(api)
        wait_until(trap.sprung.is_set)

    assert answer.status_code == HTTPStatus.ACCEPTED
    assert submit(api).json() == answer.json()
    assert faults_of(api.bench) == []


@pytest.mark.parametrize("loss", [Loss.REQUEST, Loss.ANSWER], ids=str)
@pytest.mark.parametrize(
    "statement", ["gen_random_uuid()", "state = 'succeeded'"], ids=["claim", "completion"]
)
def test_stage_of_a_worker_without_an_answer_runs_to_its_end(
    bench: Bench, lines: ServerProxies, far_settings: Settings, statement: str, loss: Loss
) -> None:
    with face_worker.start(dataclasses.replace(bench, settings=far_settings)) as worker:
        jobs = [worker.submit(), worker.submit()]

        trapped = lines.database.trap(statement, loss, at_commit=True)
        with trapped as trap, suppress(DatabaseUnavailable):
            runner.run_turn(worker.context)
        await_end(bench, trap)
        worker.context.counters.publish(worker.context.engine)
        # What was claimed without an answer is claimed again when its lease has ended.
        bench.execute("UPDATE stages SET leased_until = now() WHERE state = 'running'")
        bench.sweep()
        runner.run_turn(worker.context)

    assert trap.sprung.is_set()
    assert [bench.states(job_id)["face"] for job_id in jobs] == ["succeeded", "succeeded"]
    assert invariants.broken(bench) == []


def test_renewal_without_an_answer_loses_no_lease(
    bench: Bench, lines: ServerProxies, far_settings: Settings
) -> None:
    with face_worker.start(dataclasses.replace(bench, settings=far_settings)) as worker:
        worker.submit()
        claim = claims.claim_and_commit(worker.context)
        heartbeat = worker.context.heartbeat

        with heartbeat.at_work(), heartbeat.holding(claim.leases, limit_seconds=600) as (task,):
            bench.age(task.lease, seconds=10)
            aged = bench.row(task.lease.job_id, FACE)["leased_until"]
            trapped = lines.database.trap("unnest(", Loss.ANSWER, at_commit=True)
            with trapped as trap, pytest.raises(OutcomeUnknown):
                heartbeat.beat()
            heartbeat.beat()

        assert trap.sprung.is_set()
        assert not task.lost.is_set()
        assert bench.row(task.lease.job_id, FACE)["leased_until"] > aged


@pytest.mark.parametrize("loss", [Loss.REQUEST, Loss.ANSWER], ids=str)
def test_counts_without_an_answer_are_never_published_twice(
    bench: Bench, lines: ServerProxies, far_settings: Settings, loss: Loss
) -> None:
    engine = sessions.open_engine(far_settings.database, connections=1)
    counters = WorkerCounters()
    counters.count(CounterName.RETRIES, Capability("face.bench"))
    published = "SELECT coalesce(sum(count), 0) FROM measures"

    trapped = lines.database.trap("INSERT INTO measures", loss, at_commit=True)
    with trapped, pytest.raises(OutcomeUnknown):
        counters.publish(engine)
    counters.publish(engine)
    engine.dispose()

    assert bench.scalar(published) <= 1


@pytest.mark.parametrize("loss", [Loss.REQUEST, Loss.ANSWER], ids=str)
@pytest.mark.parametrize(
    "statement", ["state = 'sending'", "finished_at = CASE"], ids=["claim", "record"]
)
def test_delivery_without_an_answer_arrives_with_the_same_id(
    patient: Api, lines: ServerProxies, far_settings: Settings, statement: str, loss: Loss
) -> None:
    far_bench = dataclasses.replace(patient.bench, settings=far_settings)
    with a_receiver() as receiver:
        patient.client.post("/v1/webhooks", json={"url": receiver.url})
        cancel(patient, patient.submit())

        trapped = lines.database.trap(statement, loss, at_commit=True)
        with trapped as trap, suppress(ExceptionGroup):
            send_due(far_bench)
        await_end(patient.bench, trap)
        patient.bench.execute("UPDATE deliveries SET leased_until = now() WHERE state = 'sending'")
        patient.bench.do(outbox.recover)
        send_due(far_bench)

    assert trap.sprung.is_set()
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert patient.bench.scalar("SELECT state FROM deliveries") == "succeeded"
    assert patient.bench.scalar("SELECT count(*) FROM delivery_attempts") == 1


@pytest.mark.parametrize("loss", [Loss.REQUEST, Loss.ANSWER], ids=str)
@pytest.mark.parametrize(
    "statement",
    ["UPDATE incoming_pictures", "DELETE FROM incoming_pictures"],
    ids=["claim", "finish"],
)
def test_picture_of_a_tenant_without_an_answer_enters_the_stock(
    patient: Api, lines: ServerProxies, far_settings: Settings, statement: str, loss: Loss
) -> None:
    engine = sessions.open_engine(as_role(far_settings, ProcessRole.WORKER).database, connections=1)
    worker = IncomingPictures(Backends(engine, patient.bench.store), UnlockedDecoders())
    put_picture(patient, "")

    trapped = lines.database.trap(statement, loss, at_commit=True)
    with trapped as trap, pytest.raises(DatabaseUnavailable):
        worker.describe_next()
    await_end(patient.bench, trap)
    patient.bench.execute("UPDATE incoming_pictures SET leased_until = now()")
    worker.describe_next()
    engine.dispose()

    assert trap.sprung.is_set()
    assert patient.read("/v1/backgrounds/tenant/wall")["state"] == "ready"
    assert faults_of(patient.bench) == []


def test_full_pool_and_refused_connection_have_sent_nothing(
    far_settings: Settings, lines: ServerProxies
) -> None:
    urgent = far_settings.database.model_copy(update={"patience_seconds": 0.1})
    engine = sessions.open_engine(urgent, connections=1)

    with engine.connect(), pytest.raises(DatabaseUnavailable) as of_pool:
        sessions.transaction(engine).__enter__()
    engine.dispose()
    lines.database.mode = Mode.RESET
    with pytest.raises(DatabaseUnavailable) as of_connection:
        sessions.transaction(engine).__enter__()
    lines.database.mode = Mode.PASS

    assert sessions.has_certainly_failed(of_pool.value)
    assert sessions.has_certainly_failed(of_connection.value)


@pytest.mark.parametrize("loss", [Loss.REQUEST, Loss.ANSWER], ids=str)
@pytest.mark.parametrize("statement", ["INSERT INTO requests", "INSERT INTO jobs"])
def test_remove_bg_without_an_answer_is_repeated_as_one_job(
    api: Api, lines: ServerProxies, statement: str, loss: Loss
) -> None:
    with open_client(api) as client:
        with lines.database.trap(statement, loss, at_commit=True) as trap:
            first = client.post()
        freed = "None"
        before = (client.last_join(), freed)
        begun = client.pool.submit(lambda: patiently(client.post))
        wait_until(lambda: client.last_join() not in before and client.jobs() > 0)
        client.work()

    assert trap.sprung.is_set()
    assert first.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert begun.result().status_code == HTTPStatus.OK
    assert api.bench.scalar("SELECT count(*) FROM jobs") == 1
    assert invariants.broken(api.bench) == []


def test_refusal_that_cannot_be_stored_is_answered(api: Api, lines: ServerProxies) -> None:
    def refused() -> httpx.Response:
        return submit(api, background="nothing such")

    with lines.database.trap(REMEMBERED, Loss.REQUEST, at_commit=True) as trap:
        first = refused()

    assert trap.sprung.is_set()
    assert (first.status_code, refused().status_code) == (422, 422)


@pytest.mark.usefixtures("bench")
def test_command_says_that_its_change_may_have_been_made(
    lines: ServerProxies,
    far_settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = on_servers(as_role(far_settings, ProcessRole.API), capsys, monkeypatch)

    with lines.database.trap("INSERT INTO keys", Loss.ANSWER, at_commit=True):
        written = command.output("keys", "create", "--tenant", "acme", "--scopes", "read")

    assert "look whether it was made before you repeat the command" in written
