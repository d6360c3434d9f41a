"""Submitting a photo in a JSON body."""

import base64
import uuid

import pytest

from smart_filter_shared.ids import JobId
from smart_filter_tests.serving import Api, a_photo

PHOTO = a_photo()
BASE64 = base64.b64encode(PHOTO).decode()


@pytest.mark.parametrize("scheme", ["", "data:image/jpeg;base64,"])
def test_photo_in_base64_is_stored_unchanged(api: Api, scheme: str) -> None:
    answer = api.client.post("/v1/jobs", json={"photo_base64": scheme + BASE64})

    assert answer.status_code == 202
    job = api.bench.job(JobId(uuid.UUID(answer.json()["id"])))
    assert api.bench.store.get(job.photo_key) == PHOTO


def test_recipe_is_nested_where_a_form_has_dots(api: Api) -> None:
    recipe = {
        "background": "color:red",
        "outputs": ["image", "matte"],
        "quality": 80,
        "require_person": True,
        "crop": True,
        "segmentation": {"model": "auto"},
        "metadata": {"album": "beach", "trip.day": "2"},
        "seed": None,
    }

    answer = api.client.post("/v1/jobs", json={"photo_base64": BASE64, "recipe": recipe})

    job = answer.json()
    assert answer.status_code == 202, job
    assert job["recipe"]["outputs"] == ["image", "matte"]
    assert (job["recipe"]["quality"], job["recipe"]["require_person"]) == (80, True)
    assert job["recipe"]["crop"] == "true"
    assert job["metadata"] == {"album": "beach", "trip.day": "2"}


def test_slashes_may_be_escaped_and_numbers_be_of_any_kind(api: Api) -> None:
    recipe = b'{"harmonise": 0.3333333333333333, "light_wrap": 0.00001, "quality": 90.0}'
    body = b'{"recipe": %s, "photo_base64": "%s"}' % (recipe, BASE64.replace("/", "\\/").encode())

    answer = api.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 202, answer.text
    assert answer.json()["recipe"]["quality"] == 90


def test_recipe_of_a_job_can_be_sent_again(api: Api) -> None:
    recipe = {
        "background": "color:red",
        "crop": "true",
        "filters": ["hat", "caption"],
        "filters.hat.kind": "santa",
        "filters.caption.text": "Ho, ho",
        "roi": "0% 0% 100% 100%",
    }
    first = api.client.post("/v1/jobs", json={"photo_base64": BASE64, "recipe": recipe}).json()

    again = api.client.post("/v1/jobs", json={"photo_base64": BASE64, "recipe": first["recipe"]})

    assert again.status_code == 202, again.text
    assert again.json()["recipe"] == first["recipe"]
