"""Identical requests of remove.bg's clients share a job; what takes too long is given up."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import inf

import anyio
import pytest
from sqlalchemy import text

from smart_filter_api import deps, keys
from smart_filter_api.deps import Services
from smart_filter_api.intake import Spooled, Upload
from smart_filter_api.keys import Caller, Scope
from smart_filter_api.photo_header import PhotoFormat, PhotoHeader
from smart_filter_api.removebg import sharing
from smart_filter_api.removebg.sharing import Seat
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import TENANT, Bench, settings_of
from smart_filter_tests.removing import PHOTO, PICTURE, Removing, code_of, removing
from smart_filter_tests.serving import Api, a_photo, an_api, fetched_and_gone, serving

SOON_SECONDS = 0.4
HEADER = PhotoHeader(PhotoFormat.JPEG, 800, 600)


@pytest.fixture
def client(api: Api) -> Iterator[Removing]:
    """A client that asks as those of remove.bg do."""
    with removing(api) as client:
        yield client


@pytest.fixture(scope="module")
def hasty_url(servers: Stack) -> Iterator[str]:
    """Another API process over the same servers, which gives up sooner."""
    settings = settings_of(servers.addresses, SMART_FILTER_REMOVEBG_SECONDS=str(SOON_SECONDS))
    with serving(settings) as url:
        yield url


@pytest.fixture
def hasty(hasty_url: str, bench: Bench) -> Iterator[Removing]:
    """A client of that one."""
    with an_api(hasty_url, bench) as api, removing(api) as client:
        yield client


def states(client: Removing) -> list[str]:
    return [job["state"] for job in client.api.client.get("/v1/jobs").json()["items"]]


def until_gone(client: Removing) -> None:
    """Wait until the newest job's picture is gone, which is a moment after its last byte."""
    job = client.job()
    while client.api.client.get(job["outputs"]["image"]).status_code != 410:
        pass


def seat_of(client: Removing) -> Seat:
    """Return the seat of the one request that there is."""
    with client.api.bench.transaction() as connection:
        row = connection.execute(text("SELECT key, job_id, claimed_at FROM requests")).one()
    return Seat(TENANT, row.key, JobId(row.job_id), row.claimed_at, is_first=True)


async def give_up(client: Removing, seat: Seat) -> JobRow | None:
    async with deps.opened(client.api.bench.settings) as services:
        return await sharing.leave(services, seat)


def test_identical_requests_to_two_processes_share_one_job(client: Removing) -> None:
    with (
        serving(client.api.bench.settings) as url,
        removing(client.api, url=url) as other,
    ):
        answers = [client.begin(crop="true"), client.join(crop="true"), other.join(crop="true")]
        client.work()

        assert [one.result().content for one in answers] == [PICTURE] * 3
    assert client.jobs() == 1


def test_simultaneous_requests_share_one_job_and_one_photo(client: Removing) -> None:
    photo = Spooled(io.BytesIO(PHOTO), len(PHOTO), "a digest", HEADER)
    upload = Upload(photo, None, {"background": ["keep"]})

    async def arrive() -> list[Seat]:
        seats = []

        async def take(services: Services) -> None:
            seats.append(await sharing.take(services, caller, upload, ends_at=inf))

        async with deps.opened(client.api.bench.settings) as services:
            caller = await called(services)
            async with anyio.create_task_group() as together:
                for _ in range(12):
                    together.start_soon(take, services)
        return seats

    async def called(services: Services) -> Caller:
        async with services.reading() as connection:
            digest = keys.digest_of(client.api.key(Scope.SUBMIT))
            return await connection.run_sync(keys.authenticate, digest)

    seats = anyio.run(arrive)

    assert len({seat.job_id for seat in seats}) == client.jobs() == 1
    assert [seat.is_first for seat in seats].count(True) == 1
    assert client.api.leftovers()["objects"] == 1


@pytest.mark.parametrize("difference", ["a field", "the photo", "the tenant"])
def test_requests_that_differ_share_nothing(client: Removing, difference: str) -> None:
    client.begin()
    if difference == "a field":
        client.begin(crop="true")
    elif difference == "the photo":
        client.begin(a_photo("PNG"))
    else:
        key = client.api.key(Scope.SUBMIT, tenant=Tenant("else"))
        client.client.headers["X-Api-Key"] = key
        client.begin()

    assert client.jobs() == 2
    client.withdraw()


def test_job_that_takes_too_long_is_canceled_with_its_stages(hasty: Removing) -> None:
    answer = hasty.post()

    assert code_of(answer) == (503, "timeout")
    assert int(answer.headers["Retry-After"]) > 0
    assert states(hasty) == [JobState.CANCELED]
    assert hasty.api.bench.claim(StageName.PREPARE) == []


def test_job_goes_on_while_another_request_waits_for_it(client: Removing) -> None:
    client.begin()
    first = seat_of(client)
    answer = client.join()

    anyio.run(give_up, client, first)

    assert states(client) == [JobState.QUEUED]
    client.work()
    assert (answer.result().status_code, answer.result().content) == (200, PICTURE)
    assert client.jobs() == 1


def test_request_after_the_cancel_gets_a_new_job(client: Removing, hasty: Removing) -> None:
    hasty.post()
    answer = client.begin()
    client.work()

    assert answer.result().status_code == 200
    assert states(client) == [JobState.SUCCEEDED, JobState.CANCELED]


def test_refused_request_leaves_no_claim(client: Removing) -> None:
    client.api.limit(megapixels_per_day=0.1)
    assert client.post().status_code == 402

    assert client.api.bench.scalar("SELECT count(*) FROM requests") == 0


def test_claim_of_a_process_that_died_is_taken_over(client: Removing, hasty: Removing) -> None:
    answer = client.begin()
    client.work()
    answer.result()

    def claimed(*, seconds_ago: int) -> None:
        client.api.bench.execute(
            """
            UPDATE requests SET job_id = NULL,
                claimed_at = now() - make_interval(secs => :ago)
        """,
            ago=seconds_ago,
        )

    claimed(seconds_ago=30)
    assert code_of(hasty.post()) == (503, "timeout")
    assert client.jobs() == 1

    claimed(seconds_ago=61)
    answer = client.begin()
    client.work()
    assert answer.result().status_code == 200


def test_job_that_ends_as_it_is_given_up_is_answered(client: Removing) -> None:
    answer = client.begin()
    client.work()
    answer.result()

    ended = anyio.run(give_up, client, seat_of(client))

    assert ended is not None
    assert ended.state == JobState.SUCCEEDED


def test_giving_up_locks_the_job_before_its_request_as_a_deletion_does(client: Removing) -> None:
    client.begin()
    seat = seat_of(client)

    with ThreadPoolExecutor(1) as beside:
        with client.api.bench.transaction() as deletion:
            deletion.execute(
                text("SELECT FROM jobs WHERE id = :id FOR NO KEY UPDATE"), {"id": seat.job_id}
            )
            leaving = beside.submit(anyio.run, give_up, client, seat)
            with client.api.bench.transaction() as watcher:
                waits = text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
                while not watcher.execute(waits).scalar_one():
                    assert not leaving.done()
            deletion.execute(text("SELECT FROM requests FOR UPDATE NOWAIT"))
        leaving.result()

    assert states(client) == [JobState.CANCELED]


def test_last_picture_sent_ends_the_job_of_a_tenant_that_keeps_nothing(client: Removing) -> None:
    client.api.keep(nothing=True)
    answers = [client.begin(), client.join()]
    client.work()

    assert [one.result().content for one in answers] == [PICTURE, PICTURE]
    until_gone(client)


def test_client_that_leaves_after_the_last_byte_ends_the_job_too(client: Removing) -> None:
    client.api.keep(nothing=True)
    request = client.client.build_request(
        "POST", "/v1.0/removebg", files={"image_file": ("photo.jpg", PHOTO)}
    )
    request.read()
    answer = client.begin_by(lambda: fetched_and_gone(request))
    client.work()

    assert answer.result() == PICTURE
    until_gone(client)
