"""Journeys on a 40-day-old installation of 200,000 jobs: jobs, lists, operation, upgrade."""

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, text

from aged import old_installation
from aged.aged_stack import AgedStack, aged_stack
from aged.old_installation import FORMER_SCORE, HOURLY, SCHEDULED, WEEKLY
from smart_filter_client import verify_webhook
from smart_filter_shared.db import schema
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobFilter
from smart_filter_shared.queue.states import JobState
from smart_filter_tests import aging, invariants, sample_jobs, trainable_model
from smart_filter_tests.bench import Bench
from smart_filter_tests.commands import Command, on_servers
from smart_filter_tests.http_server import Reply
from smart_filter_tests.serving import open_api, serve_api
from smart_filter_tests.webhook_receiver import a_receiver, send_due

NAVY = {"background": "color:navy"}
RED = {"recipe": {"background": "color:red"}}
LEARNED = {"outputs": "image,faces", "smile__model": trainable_model.CARD.name}
SHOP = next(iter(HOURLY))
PAGE = 200
DATABASE = "upgraded"


# The first journey waits until the database is filled, a minute and a half on a busy machine.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def aged(data_folder: Path, weights_folder: Path) -> Iterator[AgedStack]:
    """The stack of all journeys; each adds its own jobs."""
    with aged_stack(data_folder / "aged", weights_folder) as stack:
        yield stack


@pytest.fixture
def command(
    aged: AgedStack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    return on_servers(aged.bench.settings, capsys, monkeypatch)


def ran(job: dict[str, object]) -> set[str]:
    stages = job["stages"]
    assert isinstance(stages, list)
    return {stage["name"] for stage in stages if stage["attempt"]}


def test_new_photo_is_processed_and_the_queue_holds_unfinished_jobs_alone(aged: AgedStack) -> None:
    job = aged.run_job(**NAVY)

    assert job["state"] == "succeeded"
    assert aged.running.output(job["id"], "image")
    aged.until("SELECT count(*) = 0 FROM unsettled_jobs")
    queued = "SELECT count(*) FROM stages JOIN jobs ON id = job_id WHERE outcome IS NOT NULL"
    assert aged.scalar(queued) == 0


def test_job_scheduled_39_days_ago_runs_with_the_weights_of_its_day(aged: AgedStack) -> None:
    with aged.client_of(WEEKLY) as client:
        (job_id, *_) = [
            item["id"]
            for item in client.get("/v1/jobs", params={"state": "queued"}).json()["items"]
        ]
        aged.scalar(
            "UPDATE stages SET not_before = statement_timestamp()"
            " WHERE job_id = :id AND not_before IS NOT NULL RETURNING 1",
            id=uuid.UUID(job_id),
        )
        aged.until("SELECT outcome IS NOT NULL FROM jobs WHERE id = :id", id=uuid.UUID(job_id))
        job = client.get(f"/v1/jobs/{job_id}").json()

    assert (job["state"], job["error"]) == ("succeeded", None)
    assert [face["smile"]["level"] for face in job["faces"]] == [
        str(trainable_model.CUTS[FORMER_SCORE])
    ]


def test_job_derived_from_a_ten_day_old_one_runs_only_composite(aged: AgedStack) -> None:
    parent = aged.run_job(ago=10, **NAVY)

    answer = aged.client.post(f"/v1/jobs/{parent['id']}/derive", json=RED)
    job = aged.running.wait(answer.json()["id"])

    assert (job["state"], job["parent_id"]) == ("succeeded", parent["id"])
    assert ran(job) == {"composite"}
    assert aged.running.output(job["id"], "image") != aged.running.output(parent["id"], "image")


def test_correction_of_an_old_job_is_collected_and_applied(aged: AgedStack) -> None:
    job = aged.run_job(ago=10, **LEARNED)
    label = {"faces": [{"number": 1, "smile": "none"}]}
    body = {"kind": "label", "stage": "smile", "label": label, "consent": True}

    correction = aged.client.post(f"/v1/jobs/{job['id']}/corrections", json=body).json()["id"]
    aged.until(
        "SELECT collected_at IS NOT NULL FROM corrections WHERE id = :id", id=uuid.UUID(correction)
    )
    asked = {**RED, "correction_id": correction}
    derived = aged.client.post(f"/v1/jobs/{job['id']}/derive", json=asked)
    assert derived.status_code == 202, derived.text
    ended = aged.running.wait(derived.json()["id"])

    assert [face["smile"]["level"] for face in job["faces"]] == ["huge"]
    assert [face["smile"]["level"] for face in ended["faces"]] == ["none"]
    items = "SELECT count(*) FROM data_items WHERE correction_id = :id"
    assert aged.scalar(items, id=uuid.UUID(correction)) > 0


def test_failed_job_of_days_ago_is_redriven_and_succeeds(aged: AgedStack) -> None:
    with aged.running.arm("raises"):
        new = aged.run_job(segmentation__model="raises", **NAVY)
    aged.until(f"SELECT EXISTS (SELECT FROM ended_stages WHERE job_id = '{new['id']}')")
    failed = aged.running.job(str(aged.age_job(new["id"], 5)))

    answer = aged.client.post(f"/v1/jobs/{failed['id']}/redrive")
    job = aged.running.wait(failed["id"])

    assert (failed["state"], answer.status_code) == ("failed", 202)
    assert (job["state"], job["error"]) == ("succeeded", None)


def test_deleted_job_of_days_ago_is_removed_with_its_objects(aged: AgedStack) -> None:
    job = aged.run_job(ago=10, **NAVY)
    key = aged.scalar("SELECT photo_key FROM jobs WHERE id = :id", id=uuid.UUID(job["id"]))
    was_there = aged.bench.store.has(key)

    deleted = aged.client.delete(f"/v1/jobs/{job['id']}").status_code
    aged.until(
        "SELECT NOT EXISTS (SELECT FROM artifacts WHERE job_id = :id)", id=uuid.UUID(job["id"])
    )

    again = aged.client.get(f"/v1/jobs/{job['id']}")

    assert (was_there, deleted, aged.bench.store.has(key)) == (True, 204, False)
    assert (again.status_code, again.json()["code"]) == (410, "job_deleted")
    left = "SELECT count(*) FROM all_stages WHERE job_id = :id"
    assert aged.scalar(left, id=uuid.UUID(job["id"])) == 0


@pytest.fixture
def shop(aged: AgedStack) -> Iterator[httpx.Client]:
    """The tenant with the most jobs."""
    with aged.client_of(SHOP) as client:
        yield client


def pages(client: httpx.Client, number: int, **narrowed: str) -> list[list[dict[str, Any]]]:
    """Return up to `number` pages of jobs."""
    found: list[list[dict[str, Any]]] = []
    params = {"limit": str(PAGE), **narrowed}
    while len(found) < number:
        answer = client.get("/v1/jobs", params=params)
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["items"])
        if answer.json()["next_cursor"] is None:
            break
        params["cursor"] = answer.json()["next_cursor"]
    return found


def rows_read(connection: Connection, act: Callable[[], object]) -> int:
    """Return the number of job and stage rows that a call reads."""
    query = text("""
        SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
        WHERE relname IN ('jobs', 'stages')
    """)
    before = connection.scalar(query)
    act()
    return int(connection.scalar(query)) - int(before)


def test_pages_lead_from_the_newest_job_backwards_without_a_gap(
    aged: AgedStack, shop: httpx.Client
) -> None:
    found = [job["id"] for page in pages(shop, 5) for job in page]

    assert found == list(aged.sample(SHOP, "true", ago=0, most=5 * PAGE))


def test_filters_find_the_matching_rows(aged: AgedStack, shop: httpx.Client) -> None:
    after = aged.bench.now() - dt.timedelta(hours=12)
    failed = pages(shop, 2, state="failed")
    recent = pages(shop, 50, created_after=after.isoformat(), state="canceled")

    assert [len(page) for page in failed] == [PAGE, PAGE]
    assert {job["state"] for page in failed for job in page} == {"failed"}
    assert [job["error"]["code"] for job in failed[0]] == ["model_failed"] * PAGE
    counted = aged.scalar(
        "SELECT count(*) FROM jobs WHERE tenant = :tenant AND outcome = 'canceled'"
        " AND created_at > :after",
        tenant=SHOP,
        after=after,
    )
    assert sum(map(len, recent)) == counted > 0


@pytest.mark.parametrize("narrowed", [{}, {"state": JobState.FAILED}], ids=["all", "failed"])
def test_page_reads_only_the_rows_that_it_shows(aged: AgedStack, narrowed: dict[str, Any]) -> None:
    listing = JobFilter(tenant=SHOP, limit=PAGE, **narrowed)

    with aged.bench.transaction() as connection:
        read = rows_read(connection, lambda: queries.list_jobs(connection, listing))

    # The stages of ended jobs are in their rows.
    assert PAGE <= read <= 2 * PAGE


def test_admin_page_shows_a_healthy_service_and_a_month(aged: AgedStack) -> None:
    page = aged.running.operators.get("/admin")
    standing = aged.running.operators.get("/v1/operator/standing").json()
    month = aged.running.operators.get("/v1/operator/history", params={"span": "month"}).json()

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    # One journey has a model that raises.
    concerns = [
        concern for concern in standing["concerns"] if concern["subject"] != "segmentation.raises"
    ]
    assert [concern["title"] for concern in concerns if concern["gravity"] == "bad"] == []
    assert standing["unfinished"] <= SCHEDULED
    given = [number for number in month["jobs"]["succeeded"] if number is not None]
    assert len(given) == len(month["jobs"]["succeeded"]) == 90
    assert min(given[1:-1]) > 0


def test_audit_of_all_days_finds_nothing(command: Command) -> None:
    assert command("audit") == {"findings": []}


@pytest.fixture
def former(aged: AgedStack) -> Iterator[Bench]:
    """A copy of the template, in the schema of the previous version."""
    addresses = aged.running.stack.addresses
    old_installation.copy_to(addresses, DATABASE)
    with old_installation.a_bench(addresses, DATABASE, aged.folder) as bench:
        yield bench
    old_installation.drop(addresses, DATABASE)


@pytest.fixture
def upgraded_command(
    former: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command line of the new version, on the database of the previous one."""
    return on_servers(former.settings, capsys, monkeypatch)


def counts(bench: Bench) -> Mapping[str, int]:
    """Return the row counts of the tables that an upgrade must preserve."""
    tables = (
        "jobs",
        "stages",
        "ended_stages",
        "events",
        "deliveries",
        "delivery_attempts",
        "artifacts",
        "usage",
    )
    with bench.transaction() as connection:
        return {
            table: int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
            for table in tables
        }


def test_upgraded_service_has_every_row_and_accepts_new_photos(
    former: Bench, upgraded_command: Command
) -> None:
    before = counts(former)

    prepared = upgraded_command.status("prepare")

    after = counts(former)
    with former.transaction() as connection:
        found = (
            schema.revision(connection),
            connection.scalar(
                text(
                    "SELECT count(*) FROM models WHERE fingerprint = 'older' AND name <> 'learned'"
                )
            ),
        )
    key = aging.rotate_key(former, WEEKLY)
    with serve_api(former.settings) as site, open_api(site, former, key) as api:
        new = sample_jobs.submit_every_outcome(api, "http://127.0.0.1:9/")
        ended = api.job(str(new["five stages"][0]))["state"]
    assert (prepared, after) == (0, before)
    assert found == (schema.newest_revision(), 0)
    assert ended == "succeeded"
    assert invariants.broken(former) == []


@pytest.mark.parametrize("ago", [2, 3])
def test_webhook_attempt_days_after_the_end_of_a_job_is_sent(aged: AgedStack, ago: int) -> None:
    says = iter([Reply(500), Reply(204)])
    with a_receiver(lambda _: next(says)) as receiver:
        hook = aged.client.post("/v1/webhooks", json={"url": receiver.url}).json()
        job_id = aged.running.submit(background="keep")
        aged.running.wait(job_id)
        first = send_due(aged.bench)
        older = aged.age_job(job_id, ago)
        log = f"/v1/webhooks/{hook['id']}/deliveries"
        (delivery,) = aged.client.get(log).json()["items"]
        aged.bench.execute(
            "UPDATE deliveries SET due_at = statement_timestamp() WHERE id = :id",
            id=uuid.UUID(delivery["id"]),
        )

        second = send_due(aged.bench)

        (given,) = aged.client.get(log).json()["items"]
        aged.client.delete(f"/v1/webhooks/{hook['id']}")
    assert (first, second) == ([1], [1])
    assert (given["state"], [attempt["status"] for attempt in given["attempts"]]) == (
        "succeeded",
        [500, 204],
    )
    assert verify_webhook(hook["secret"], receiver.got[1].headers, receiver.got[1].body)
    assert str(older) in receiver.got[1].body.decode()
