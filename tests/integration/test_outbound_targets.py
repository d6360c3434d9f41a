"""URLs of clients that can never be reached are refused when they are named."""

import base64
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_shared.security.outbound_rules import LOOPBACK_TARGETS, SETTING
from smart_filter_tests.bench import Bench
from smart_filter_tests.serving import (
    Api,
    a_photo,
    an_api_with,
    refusal_of,
)

PHOTO64 = base64.b64encode(a_photo()).decode()
HERE = "http://localhost:3000/x"
CODES = {
    "/webhook_url": "invalid_webhook_url",
    "/photo_url": "invalid_photo_url",
    "/background": "invalid_recipe",
    "/url": "invalid_webhook_url",
}
METADATA = "http://169.254.169.254/latest/meta-data/"


@pytest.fixture
def strict(bench: Bench) -> Iterator[Api]:
    """An API that reaches public hosts only, as every deployment except `up`."""
    with an_api_with(bench, replace(bench.settings, outbound=OutboundSettings())) as api:
        yield api


@pytest.fixture
def local(bench: Bench) -> Iterator[Api]:
    """An API that reaches this machine too, as that of `up`."""
    outbound = OutboundSettings(allow=LOOPBACK_TARGETS)
    with an_api_with(bench, replace(bench.settings, outbound=outbound)) as api:
        yield api


def answers(api: Api, url: str) -> dict[str, httpx.Response]:
    """Return the answer to each way of naming a URL, by the pointer of its error."""
    post = api.client.post
    photo = {"photo_base64": PHOTO64}
    parent = api.submit()
    api.client.post(f"/v1/jobs/{parent}/cancel")
    webhook = post("/v1/webhooks", json={"url": "https://example.com/hook"}).json()
    return {
        "/photo_url": post("/v1/jobs", json={"photo_url": url}),
        "/webhook_url": post("/v1/jobs", json={**photo, "webhook_url": url}),
        "/webhook_url of a form": api.post(a_photo(), {"webhook_url": url}),
        "/webhook_url of a derived job": post(
            f"/v1/jobs/{parent}/derive", json={"recipe": {}, "webhook_url": url}
        ),
        "/background": post("/v1/jobs", json={**photo, "recipe": {"background": f"url:{url}"}}),
        "/background of a form": api.post(a_photo(), {"background": f"url:{url}"}),
        "/background of a derived job": post(
            f"/v1/jobs/{parent}/derive", json={"recipe": {"background": f"url:{url}"}}
        ),
        "/items/0/photo_url": post("/v1/batches", json={"items": [{"photo_url": url}]}),
        "/webhook_url of a batch": post("/v1/batches", json={"items": [photo], "webhook_url": url}),
        "/url": post("/v1/webhooks", json={"url": url}),
        "/url of a change": api.client.patch(f"/v1/webhooks/{webhook['id']}", json={"url": url}),
        "/recipe/background": api.client.patch(
            "/v1/tenants/tests", json={"recipe": {"background": f"url:{url}"}}
        ),
    }


@pytest.mark.parametrize("url", [HERE, "http://a.internal/"])
def test_url_that_is_not_public_is_refused_where_it_is_named(strict: Api, url: str) -> None:
    for name, answer in answers(strict, url).items():
        assert answer.status_code == 422, (name, answer.text)
        (error,) = answer.json()["errors"]
        pointer = name.partition(" ")[0]
        assert error["pointer"] == pointer
        assert SETTING in error["detail"]
        assert answer.json()["code"] == CODES.get(pointer, answer.json()["code"])
    assert strict.bench.scalar("SELECT count(*) FROM jobs WHERE outcome IS NULL") == 0


def test_loopback_is_accepted_where_it_is_allowed_and_the_cloud_is_not(local: Api) -> None:
    here = {name: one.status_code for name, one in answers(local, HERE).items()}
    inside = {name: one.status_code for name, one in answers(local, METADATA).items()}

    assert (here.pop("/url"), here.pop("/url of a change")) == (201, 200)
    assert here.pop("/recipe/background") == 200
    assert {status for name, status in here.items() if "derived" not in name} == {202}
    assert set(inside.values()) == {422}


@pytest.mark.parametrize("url", [HERE, "ftp://example.com/a"])
def test_job_names_all_faults_at_once(strict: Api, url: str) -> None:
    document = {"photo_url": url, "recipe": {"crop": "nope"}, "webhook_url": url}

    answer = strict.client.post("/v1/jobs", json=document)

    assert refusal_of(answer) == (422, "invalid_request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        *("/webhook_url", "/crop", "/photo_url")
    ]


def test_batch_names_every_url_that_cannot_be_reached(strict: Api) -> None:
    items = [{"photo_url": HERE}, {"photo_base64": PHOTO64}, {"photo_url": METADATA}]

    answer = strict.client.post("/v1/batches", json={"items": items, "webhook_url": HERE})

    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        *("/webhook_url", "/items/0/photo_url", "/items/2/photo_url")
    ]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"image_url": METADATA}, "failed_image_download"),
        ({"image_file_b64": PHOTO64, "bg_image_url": HERE}, "failed_bg_download"),
    ],
)
def test_removebg_answers_its_own_error(strict: Api, fields: dict[str, str], code: str) -> None:
    answer = strict.client.post("/v1.0/removebg", json=fields)

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, code)
    assert SETTING in error["detail"]
