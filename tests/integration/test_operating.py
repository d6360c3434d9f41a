"""Operators monitor and control the service: /v1/operator, `queues`, `workers`, `jobs`."""

import io
import re
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text

from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared.ids import OPERATOR, Capability, JobId, Tenant, WorkerId
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.operations import counters, settlement, timeseries
from smart_filter_shared.operations.counters import CounterKey, CounterName, CounterValue
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import Failure
from smart_filter_shared.queue.worker_registry import WorkerState
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.telemetry.metrics import WorkerStep
from smart_filter_tests.bench import TENANT, Bench, capability
from smart_filter_tests.commands import Command
from smart_filter_tests.maintenance import sweeper
from smart_filter_tests.serving import Api

PREPARE = capability(StageName.PREPARE)
OTHER = Tenant("other")
BROKEN = Failure("model_failed", "It broke", "for a test")


def serve(
    bench: Bench,
    capabilities: Sequence[Capability] = (PREPARE,),
    state: WorkerState = WorkerState.READY,
) -> None:
    failed = {Capability("face.x"): "no weights"}
    bench.announce(*capabilities, id=bench.worker, pid=7, threads=2, failed=failed, state=state)
    bench.execute("UPDATE sweeper SET swept_at = statement_timestamp()")


def asked(api: Api, path: str, **params: str) -> dict[str, Any]:
    answer = api.operators.get(f"/v1/operator/{path}", params=params)
    assert answer.status_code == 200, answer.text
    reply: dict[str, Any] = answer.json()
    return reply


def history_of_queue(api: Api, **params: str) -> dict[str, Any]:
    queues = asked(api, "history", **params)["queues"]
    (found,) = [queue for queue in queues if queue["capability"] == PREPARE]
    return dict(found)


def known(series: list[int | None]) -> list[int]:
    return [one for one in series if one is not None]


def fail_one(bench: Bench, *, tenant: Tenant = TENANT) -> JobId:
    job_id = bench.submit(tenant=tenant)
    bench.work(WORKER.fail, bench.claim_one(StageName.PREPARE), BROKEN)
    return job_id


def settle(api: Api) -> None:
    with api.bench.transaction() as connection:
        settlement.settle(connection)


FAR_MINUTES = 10_000_000


def age(api: Api, minutes: int) -> None:
    with api.bench.transaction() as connection:
        for table, column in (("samples", "at"), ("queue_samples", "at"), ("failures", "minute")):
            # By way of a far time: a moved row may not meet one that is still to be moved.
            for step in (FAR_MINUTES, minutes - FAR_MINUTES):
                connection.execute(
                    text(f"UPDATE {table} SET {column} = {column} - make_interval(mins => :step)"),
                    {"step": step},
                )


def sample(api: Api) -> None:
    api.bench.work(timeseries.record_sample)


def a_new_worker_sweeps(bench: Bench) -> None:
    bench.execute("UPDATE sweeper SET swept_at = now() - interval '2 s'")
    assert sweeper(bench).sweep()


def operator_actions(api: Api, what: WorkerStep | CounterName, times: int) -> None:
    api.bench.do(counters.add, {CounterKey(what, PREPARE): CounterValue(times)})


def test_operators_alone_see_the_service(api: Api) -> None:
    tenants_own = api.headers(Scope.SUBMIT, Scope.READ, Scope.ADMIN)
    paths: dict[str, Any] = api.read("/openapi.json")["paths"]
    tried = [
        (method, re.sub(r"{\w+}", "x", path))
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/v1/operator")
    ]

    refused = {
        (method, path): (
            api.operators.request(method, path, headers=tenants_own).status_code,
            api.operators.request(method, path, headers={"Authorization": ""}).status_code,
        )
        for method, path in tried
    }

    assert len(tried) >= 10
    assert set(refused.values()) == {(403, 401)}


def test_status_begins_with_the_queue_without_a_worker(api: Api) -> None:
    api.submit()
    serve(api.bench)
    api.bench.execute("UPDATE workers SET capabilities = '{face.y}'")

    standing = asked(api, "standing")

    first, *others = [concern["title"] for concern in standing["concerns"]]
    assert first == f"No worker serves {PREPARE}"
    assert "A worker cannot serve face.x" in others
    assert standing["unfinished"] == 1
    assert standing["workers"][0]["failed"] == {"face.x": "no weights"}


def test_status_is_sent_once_while_nothing_changes(api: Api) -> None:
    serve(api.bench)
    tag = api.operators.get("/v1/operator/standing").headers["ETag"]

    again = api.operators.get("/v1/operator/standing", headers={"If-None-Match": tag})

    assert again.status_code == 304


def test_queue_or_worker_is_stopped_and_resumed(api: Api) -> None:
    api.submit()
    serve(api.bench)
    drain = f"/v1/operator/workers/{api.bench.worker}/drain"

    paused = api.operators.put(f"/v1/operator/queues/{PREPARE}/pause").json()
    claimed = api.bench.claim(StageName.PREPARE)
    resumed = api.operators.delete(f"/v1/operator/queues/{PREPARE}/pause").json()

    assert paused["paused_at"] is not None
    assert claimed == []
    assert resumed["paused_at"] is None
    assert len(api.bench.claim(StageName.PREPARE)) == 1
    assert api.operators.put(drain).json()["state"] == "draining"
    assert api.operators.delete(drain).json()["state"] != "draining"


def act_by_command(command: Command, worker: str, tenant: Tenant) -> None:
    key_id = command("keys", "create", "--tenant", tenant, "--scopes", "read")["key_id"]
    command("keys", "revoke", key_id)
    for word in ("pause", "pause", "resume", "resume"):
        command("queues", word, PREPARE)
    for word in ("drain", "resume"):
        command("workers", word, worker)
    for word in ("redrive", "cancel"):
        command("jobs", word, "--tenant", tenant)
    command("tenants", "set", tenant, "--emotions", "off")


def act_over_http(api: Api, worker: str, tenant: Tenant) -> None:
    headers = api.headers(Scope.ADMIN, Scope.OPERATOR, tenant=OPERATOR)

    def call(method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        answer = api.operators.request(method, path, headers=headers, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    key_id = call("POST", "/v1/keys", {"tenant": tenant, "scopes": ["read"]})["key_id"]
    call("DELETE", f"/v1/keys/{key_id}")
    for method in ("PUT", "PUT", "DELETE", "DELETE"):
        call(method, f"/v1/operator/queues/{PREPARE}/pause")
    for method in ("PUT", "DELETE"):
        call(method, f"/v1/operator/workers/{worker}/drain")
    for word in ("redrive", "cancel"):
        call("POST", f"/v1/operator/tenants/{tenant}/{word}")
    call("PATCH", f"/v1/tenants/{tenant}", {"emotions": False})


def test_command_line_and_http_leave_the_same_lines_in_the_log(api: Api, command: Command) -> None:
    serve(api.bench)
    worker, tenant = str(api.bench.worker), Tenant(f"door-{uuid.uuid4().hex[:12]}")

    fail_one(api.bench, tenant=tenant)
    first = newest_line(api.bench)
    act_by_command(command, worker, tenant)
    by_command = lines_after(api.bench, first, tenant)
    fail_one(api.bench, tenant=tenant)
    second = newest_line(api.bench)
    act_over_http(api, worker, tenant)

    assert lines_after(api.bench, second, tenant) == by_command
    assert [line[1:3] for line in by_command if line[0] == OPERATOR] == [
        *(("key_issued", None), ("key_revoked", None)),
        *(("queue_paused", PREPARE), ("queue_resumed", PREPARE)),
        *(("worker_drained", worker), ("worker_resumed", worker)),
        *((event, tenant) for event in ("jobs_redriven", "jobs_canceled", "tenant_changed")),
    ]


def newest_line(bench: Bench) -> int:
    return int(bench.scalar("SELECT coalesce(max(id), 0) FROM audit_events"))


def lines_after(
    bench: Bench, number: int, tenant: Tenant
) -> list[tuple[str, str, str | None, int]]:
    """Return owner, event, subject and count of new lines; the id of a key is left out."""
    rows = bench.rows(
        """
            SELECT tenant, event, subject, count FROM audit_events
            WHERE id > :number AND tenant IN (:operator, :tenant) AND event <> 'key_refused'
            ORDER BY id
        """,
        number=number,
        operator=OPERATOR,
        tenant=tenant,
    )
    return [
        (owner, event, None if event.startswith("key_") else subject, count)
        for owner, event, subject, count in rows
    ]


def test_jobs_of_a_tenant_are_counted_and_canceled_in_pages(api: Api) -> None:
    api.bench.submit_many(101, Recipe(), tenant=TENANT)
    others = api.bench.submit(tenant=OTHER)

    counted = asked(api, f"tenants/{TENANT}")
    path = f"/v1/operator/tenants/{TENANT}/cancel"
    first = api.operators.post(path).json()
    second = api.operators.post(path, params={"cursor": first["next_cursor"]}).json()

    assert counted == {"tenant": TENANT, "unfinished": 101, "failed": 0}
    assert (first["moved"], first["left"]) == (100, 0)
    assert second == {"moved": 1, "left": 0, "next_cursor": None}
    assert api.bench.job(others, tenant=OTHER).state == "queued"


def test_failure_is_listed_without_the_photo_and_redriven(
    api: Api,
) -> None:
    job_id = fail_one(api.bench)
    settle(api)

    (tenant,) = asked(api, "tenants")["items"]
    (problem,) = asked(api, "history")["problems"]
    concerns = [concern["title"] for concern in asked(api, "standing")["concerns"]]
    moved = api.operators.post(f"/v1/operator/tenants/{TENANT}/redrive").json()

    assert tenant == {"tenant": TENANT, "today": {"failed": 1}, "days": {"failed": 1}}
    assert problem.pop("last_at")
    assert problem == {
        "capability": PREPARE,
        "code": "model_failed",
        "is_dead": True,
        "jobs": 1,
        "last_job_id": str(job_id),
    }
    assert f"One job failed in {PREPARE} within the hour" in concerns
    assert moved == {"moved": 1, "left": 0, "next_cursor": None}
    assert api.bench.job(job_id).state != "failed"


@pytest.mark.parametrize("first", [0, 2**128 - 1])
@pytest.mark.parametrize("move", ["cancel", "redrive"])
def test_cursor_of_no_date_moves_what_follows_it(api: Api, move: str, first: int) -> None:
    fail_one(api.bench)
    api.submit()
    cursor = str(uuid.UUID(int=first))

    moved = api.operators.post(f"/v1/operator/tenants/{TENANT}/{move}", params={"cursor": cursor})

    assert moved.json() == {"moved": int(first == 0), "left": 0, "next_cursor": None}


def test_failure_settled_late_is_listed_when_it_happened(api: Api) -> None:
    fail_one(api.bench)
    api.bench.execute("UPDATE jobs SET finished_at = finished_at - interval '2 hours'")
    settle(api)

    hour = asked(api, "history")["problems"]
    (day,) = asked(api, "history", span="day")["problems"]

    assert hour == []
    assert day["jobs"] == 1


def test_history_includes_events_between_sweeps_of_any_worker(api: Api) -> None:
    api.bench.submit()
    a_new_worker_sweeps(api.bench)
    age(api, 3)
    operator_actions(api, WorkerStep.INFER, 5)
    a_new_worker_sweeps(api.bench)
    age(api, 1)
    api.bench.broker.flushdb()
    operator_actions(api, WorkerStep.INFER, 2)
    operator_actions(api, CounterName.RETRIES, 1)
    a_new_worker_sweeps(api.bench)

    queue = history_of_queue(api)

    assert (known(queue["completed"]), known(queue["retries"])) == ([5, 2, 0], [0, 1, 0])
    assert queue["ready"][-1] == 1
    assert len(queue["completed"]) == 60


def test_history_ends_with_the_newest_unsampled_counts(api: Api) -> None:
    sample(api)
    age(api, 3)
    sample(api)
    api.bench.submit()
    fail_one(api.bench)
    settle(api)
    operator_actions(api, WorkerStep.INFER, 2)

    queue, jobs = history_of_queue(api), asked(api, "history")["jobs"]

    assert (jobs["failed"][-1], queue["completed"][-1]) == (1, 2)
    # A minute may end between the failure and the request.
    assert sum(known(queue["failed"][-2:])) == 1


@pytest.mark.parametrize("span", ["day", "month"])
def test_longer_time_ranges_lose_nothing(api: Api, span: str) -> None:
    api.bench.submit()
    sample(api)
    age(api, 90)
    for _ in range(3):
        operator_actions(api, WorkerStep.INFER, 4)
        sample(api)
        age(api, 25)

    assert sum(known(history_of_queue(api, span=span)["completed"])) == 12


@pytest.fixture
def command(bench: Bench, command: Command) -> Command:
    """The command line, with a worker that serves the first stage."""
    serve(bench)
    return command


def worker_of(command: Command) -> dict[str, Any]:
    (worker,) = command("workers", "list")["items"]
    return dict(worker)


def test_queue_is_listed_with_its_length_and_workers_and_shown_with_its_head(
    bench: Bench, command: Command
) -> None:
    job_ids = [str(bench.submit()) for _ in range(3)]
    bench.claim_one(StageName.PREPARE)

    items = command("queues", "list")["items"]
    head = command("queues", "show", PREPARE)["items"]

    (queue,) = [item for item in items if item["capability"] == PREPARE]
    shown = {name: queue[name] for name in ("ready", "running", "workers", "threads", "paused_at")}
    assert shown == {"ready": 2, "running": 1, "workers": 1, "threads": 2, "paused_at": None}
    assert [one["job_id"] for one in head] == job_ids[1:]
    assert PREPARE in command.output("queues", "list")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("face.nonsense", capability(StageName.FACE)),
        ("webhooks", "`smart-filter workers drain ID`"),
    ],
)
def test_queue_that_cannot_be_paused_is_refused_with_advice(
    bench: Bench, command: Command, name: str, advice: str
) -> None:
    bench.submit()

    assert command.status("queues", "pause", name) == 2
    assert advice in command.output("queues", "pause", name)


def test_worker_is_listed_with_its_state(bench: Bench, command: Command) -> None:
    states = [worker_of(command)["state"]]
    bench.submit()
    lease = bench.claim_one(StageName.PREPARE)
    serve(bench, state=WorkerState.BUSY)
    states.append(worker_of(command)["state"])
    command("workers", "drain", str(bench.worker))
    states.append(worker_of(command)["state"])
    bench.complete(lease)
    drained = worker_of(command)
    command("workers", "resume", str(bench.worker))
    serve(bench)
    states.append(worker_of(command)["state"])
    serve(bench, [], WorkerState.SETUP_FAILED)
    states.append(worker_of(command)["state"])

    assert states == ["ready", "busy", "draining", "ready", "setup_failed"]
    assert (drained["state"], drained["running"]) == ("draining", 0)
    assert drained["failed"] == {"face.x": "no weights"}
    assert "setup_failed" in command.output("workers", "list")


def test_worker_is_shown_with_the_stages_it_runs(bench: Bench, command: Command) -> None:
    idle = command.output("workers", "show", str(bench.worker))
    job_id = bench.submit()
    bench.claim_one(StageName.PREPARE)

    (stage,) = command("workers", "show", str(bench.worker))["stages"]

    assert f"serves {PREPARE}" in idle
    assert "runs nothing" in idle
    assert "no weights" in idle
    assert (stage["job_id"], stage["stage"], stage["attempt"]) == (str(job_id), "prepare", 1)


def test_unambiguous_prefix_of_a_workers_id_is_enough(bench: Bench, command: Command) -> None:
    mine = bench.worker.hex
    others = [WorkerId(uuid.UUID(mine[:8] + end * 24)) for end in "12"]
    for other in others:
        bench.announce(PREPARE, id=other)

    reply = command("workers", "drain", str(others[0])[:13])

    assert reply["id"] == str(others[0])
    assert "3 worker ids begin with" in command.output("workers", "drain", mine[:8])
    for wrong in (mine[:8], "", str(uuid.uuid4())):
        assert command.status("workers", "drain", wrong) == 2


def test_only_jobs_of_the_given_tenant_are_canceled(bench: Bench, command: Command) -> None:
    ended = fail_one(bench)
    batch_id, _ = bench.submit_batch(3, best=1)
    bench.submit()
    other = bench.submit(tenant=OTHER)

    reply = command("jobs", "cancel", "--tenant", "tests")

    assert reply == {"tenant": "tests", "canceled": 4, "left": 0}
    assert bench.job(ended).state == "failed"
    assert bench.job(other, tenant=OTHER).state == "queued"
    assert bench.batch(batch_id).finished_at is not None


class Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "words", "state"),
    [("", [], "queued"), ("y\n", [], "canceled"), ("", ["--yes"], "canceled")],
)
def test_terminal_asks_before_all_jobs_of_a_tenant_are_canceled(
    bench: Bench,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    *,
    typed: str,
    words: list[str],
    state: str,
) -> None:
    job_id = bench.submit()
    monkeypatch.setattr("sys.stdin", Keyboard(typed))

    said = command.output("jobs", "cancel", "--tenant", "tests", *words)

    assert ("tests: cancel all unfinished jobs, 1?" in said) == (not words)
    assert bench.job(job_id).state == state


@pytest.mark.parametrize(
    "words",
    [["cancel"], ["redrive"], ["cancel", "ID", "--tenant", "acme"], ["cancel", "--tenant", "a b"]],
    ids=" ".join,
)
def test_jobs_command_takes_one_job_or_one_tenant(command: Command, words: list[str]) -> None:
    assert command.status("jobs", *words) == 2


@pytest.mark.parametrize(
    ("word", "name", "reply"),
    [("cancel", "test", "did you mean tests?"), ("redrive", "unknown-tenant", "keys list")],
)
def test_unknown_tenant_is_refused_with_a_similar_name(
    bench: Bench, command: Command, word: str, name: str, reply: str
) -> None:
    bench.submit()

    said = command.output("jobs", word, "--tenant", name)

    assert said.startswith(f"smart-filter: there is no tenant {name!r}: ")
    assert reply in said
    assert command.status("jobs", word, "--tenant", name) == 2


def test_failed_jobs_are_redriven_except_those_with_missing_photos(
    bench: Bench, command: Command
) -> None:
    gone = fail_one(bench)
    bench.execute("UPDATE artifacts SET marked_at = statement_timestamp()")
    kept = fail_one(bench)

    reply = command("jobs", "redrive", "--tenant", "tests")

    assert reply == {"tenant": "tests", "redriven": 1, "left": 1}
    assert [bench.job(job_id).state for job_id in (gone, kept)] == ["failed", "running"]
