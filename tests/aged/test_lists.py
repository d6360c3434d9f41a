"""Journeys through lists: pages and filters over 40 days, and how much of it they read."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, text

from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import Listing
from smart_filter_shared.jobs.states import JobState
from smart_filter_tests.aged_stack import AgedStack
from smart_filter_tests.old_installation import DAYS, HOURLY

SHOP = next(iter(HOURLY))
PAGE = 200


@pytest.fixture
def shop(aged: AgedStack) -> Iterator[httpx.Client]:
    """The tenant with most jobs."""
    with aged.client_of(SHOP) as client:
        yield client


def pages(client: httpx.Client, number: int, **narrowed: str) -> list[list[dict[str, Any]]]:
    """Return so many pages of jobs, or as many as there are."""
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
    """Return how many rows of jobs and stages something reads, in whatever partitions."""
    query = text("""
        SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
        WHERE relname ~ '^(jobs|stages)_'
    """)
    before = connection.scalar(query)
    act()
    return int(connection.scalar(query)) - int(before)


def test_pages_go_from_the_newest_job_backwards_without_a_gap(
    aged: AgedStack, shop: httpx.Client
) -> None:
    found = [job["id"] for page in pages(shop, 5) for job in page]

    assert found == list(aged.sample(SHOP, "true", ago=0, most=5 * PAGE))


def test_filters_find_what_the_rows_say(aged: AgedStack, shop: httpx.Client) -> None:
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


@pytest.mark.parametrize(
    ("narrowed", "most"),
    [
        # A row of jobs and five of stages, twice what is shown.
        ({}, 12 * PAGE),
        # Seven of a hundred jobs have failed: the others are passed over, without their stages.
        ({"state": JobState.FAILED}, (12 + 40) * PAGE),
    ],
    ids=["all", "failed"],
)
def test_page_reads_no_more_rows_than_it_passes(
    aged: AgedStack, narrowed: dict[str, Any], most: int
) -> None:
    listing = Listing(tenant=SHOP, limit=PAGE, **narrowed)

    with aged.bench.transaction() as connection:
        read = rows_read(connection, lambda: queries.listed(connection, listing))

    assert PAGE <= read <= most


def test_job_of_39_days_ago_is_found_by_reading_it_alone(aged: AgedStack) -> None:
    (job_id,) = aged.sample(SHOP, "outcome = 'succeeded'", ago=39)

    with aged.bench.transaction() as connection:
        read = rows_read(connection, lambda: aged.bench.job(job_id, tenant=SHOP))

    assert read <= 6


def test_usage_of_40_days_counts_every_job(aged: AgedStack, shop: httpx.Client) -> None:
    today = aged.bench.now().date()
    asked = {"from": str(today - dt.timedelta(days=DAYS + 2)), "to": str(today)}

    told = shop.get("/v1/usage", params=asked).json()["items"]

    counted = "SELECT count(*) FROM jobs WHERE tenant = :tenant AND outcome IS NOT NULL"
    assert sum(day["jobs"] for day in told) >= aged.scalar(counted, tenant=SHOP)
    assert len(told) >= DAYS
