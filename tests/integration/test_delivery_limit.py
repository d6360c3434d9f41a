"""The limit of a tenant's webhook deliveries: over the API, on a real database."""

from collections.abc import Iterator

import httpx
import pytest

from smart_filter_api.auth.api_keys import Scope
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_tests.bench import Bench, settings_of
from smart_filter_tests.serving import Api, Clock, a_photo, an_api, refusal_of, serve_api
from smart_filter_tests.webhook_receiver import a_receiver, send_due

URL = "https://example.com/hooks"
KEEP = {"background": "keep"}
MOST = 4


@pytest.fixture
def api(servers: Stack, bench: Bench, clock: Clock) -> Iterator[Api]:
    """The API with a limit of four deliveries."""
    settings = settings_of(servers.addresses, SMART_FILTER_LIMIT_DELIVERIES_WAITING=str(MOST))
    with serve_api(settings, clock=clock) as url, an_api(url, bench) as api:
        yield api


def hook(api: Api, url: str = URL) -> str:
    """Create a webhook; return its path."""
    return f"/v1/webhooks/{api.create('/v1/webhooks', json={'url': url})['id']}"


def cancel_all(api: Api) -> None:
    for job in api.read("/v1/jobs")["items"]:
        api.client.post(f"/v1/jobs/{job['id']}/cancel")


def pending(api: Api) -> object:
    return api.bench.scalar("SELECT count(*) FROM deliveries WHERE finished_at IS NULL")


def is_refused(answer: httpx.Response) -> bool:
    """Whether the limit of deliveries refuses a request; the answer then names it."""
    if answer.is_success:
        return False
    assert refusal_of(answer) == (429, "queue_full"), answer.text
    assert f"at most {MOST} are allowed" in answer.json()["detail"]
    assert int(answer.headers["Retry-After"]) >= 1
    return True


@pytest.mark.parametrize("counts_again", [False, True])
def test_jobs_are_refused_whose_ends_would_exceed_the_limit(
    api: Api, clock: Clock, *, counts_again: bool
) -> None:
    for _ in range(2):
        hook(api)

    refused = []
    for _ in range(3):
        refused.append(is_refused(api.post(a_photo(), KEEP)))
        if counts_again:
            clock.expire_caches()

    assert refused == [False, False, True]
    assert api.leftovers()["jobs"] == api.leftovers()["objects"] == 2


def test_every_end_of_an_accepted_job_is_delivered_before_others_are_accepted(
    api: Api, clock: Clock
) -> None:
    with a_receiver() as receiver:
        for _ in range(2):
            hook(api, receiver.url)
        for _ in range(2):
            api.submit(**KEEP)
        cancel_all(api)
        clock.expire_caches()

        assert pending(api) == MOST
        assert is_refused(api.post(a_photo(), KEEP))
        assert send_due(api.bench) == [MOST]
        clock.expire_caches()

        assert not is_refused(api.post(a_photo(), KEEP))
    assert len(receiver.got) == MOST


def test_addresses_that_jobs_name_count(api: Api, clock: Clock) -> None:
    named = {**KEEP, "webhook_url": URL}

    refused = []
    for _ in range(MOST + 1):
        refused.append(is_refused(api.post(a_photo(), named)))
        clock.expire_caches()

    assert refused == [False] * MOST + [True]
    # A job without an address causes no delivery.
    assert not is_refused(api.post(a_photo(), KEEP))


def test_batch_counts_its_jobs_and_its_own_end(api: Api, clock: Clock) -> None:
    hook(api)
    photo = {"photo_url": "https://example.com/a.jpg"}

    def submit(photos: int) -> httpx.Response:
        return api.client.post("/v1/batches", json={"items": [photo] * photos, "recipe": KEEP})

    assert is_refused(submit(MOST))
    assert not is_refused(submit(MOST - 1))
    cancel_all(api)
    clock.expire_caches()
    assert pending(api) == MOST


def test_webhooks_that_unfinished_jobs_would_be_sent_to_count(api: Api) -> None:
    for _ in range(3):
        api.submit(**KEEP)
    path = hook(api)

    assert is_refused(api.client.post("/v1/webhooks", json={"url": URL}))
    assert api.client.patch(path, json={"enabled": False}).is_success
    hook(api)
    assert is_refused(api.client.patch(path, json={"enabled": True}))


def test_disabled_webhook_makes_room_and_its_deliveries_are_replayed_as_they_fit(
    api: Api, clock: Clock
) -> None:
    path = hook(api)
    for _ in range(MOST):
        api.submit(**KEEP)
    cancel_all(api)
    clock.expire_caches()
    assert is_refused(api.post(a_photo(), KEEP))

    api.client.patch(path, json={"enabled": False}).raise_for_status()
    clock.expire_caches()
    assert not is_refused(api.post(a_photo(), KEEP))
    api.client.patch(path, json={"enabled": True}).raise_for_status()
    replayed = api.client.post(f"{path}/deliveries/replay")

    # The job that was accepted meanwhile will end.
    assert replayed.json() == {"replayed": MOST - 1}
    assert pending(api) == MOST - 1


def test_test_events_count(api: Api) -> None:
    path = hook(api)

    refused = [is_refused(api.client.post(f"{path}/test")) for _ in range(MOST + 1)]

    assert refused == [False] * MOST + [True]


def test_redriven_job_counts(api: Api) -> None:
    path = hook(api)
    job_id = api.submit(**KEEP)
    api.bench.execute("UPDATE jobs SET outcome = 'failed', finished_at = now()")
    for _ in range(MOST - 1):
        api.client.post(f"{path}/test").raise_for_status()

    assert is_refused(api.client.post(f"/v1/jobs/{job_id}/redrive"))


def test_other_tenants_and_the_operator_are_not_concerned(api: Api) -> None:
    path = hook(api)
    for _ in range(MOST):
        api.client.post(f"{path}/test").raise_for_status()
    others = api.headers(*Scope, tenant=Tenant("other"))
    operators = api.headers(*Scope, tenant=OPERATOR)

    def submit(headers: dict[str, str]) -> bool:
        files = {"photo": ("photo", a_photo())}
        named = {**KEEP, "webhook_url": URL}
        return is_refused(api.client.post("/v1/jobs", files=files, data=named, headers=headers))

    assert not submit(others)
    assert [submit(operators) for _ in range(MOST + 1)] == [False] * (MOST + 1)
