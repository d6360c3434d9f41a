"""Submitting a photo in a JSON body."""

import base64
import hashlib
import json
import uuid

import pytest

from smart_filter_shared.ids import JobId
from smart_filter_tests.serving import Api, a_photo

PHOTO = a_photo()
BASE64 = base64.b64encode(PHOTO).decode()


def test_a_photo_in_base64_is_stored_as_it_was(api: Api) -> None:
    answer = api.client.post("/v1/jobs", json={"photo_base64": BASE64})

    job = api.bench.job(JobId(uuid.UUID(answer.json()["id"])))
    assert answer.status_code == 202
    stored = api.bench.store.get(job.photo_key)
    assert hashlib.sha256(stored).digest() == hashlib.sha256(PHOTO).digest()


def test_a_data_url_is_base64_as_well(api: Api) -> None:
    answer = api.client.post("/v1/jobs", json={"photo_base64": f"data:image/jpeg;base64,{BASE64}"})

    assert answer.status_code == 202


def test_a_recipe_is_nested_where_a_form_has_dots(api: Api) -> None:
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


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_request"),
        (b"{", 400, "malformed_request"),
        (b"[1]", 400, "malformed_request"),
        (b"\xff\xfe", 400, "malformed_request"),
        (b"[" * 100_000, 400, "malformed_request"),
        (b"{}", 400, "malformed_request"),
        (b'{"photo_base64": 7}', 400, "malformed_request"),
        (b'{"photo_base64": "%%%"}', 400, "malformed_request"),
        (b'{"photo_base64": "AAAA", "photo_url": "x"}', 400, "malformed_request"),
        (b'{"photo_base64": "AAAA"}', 415, "unsupported_media"),
        (b'{"photo_base64": ""}', 415, "unsupported_media"),
        (b'{"photo_base64": "AAAA", "photo": "x"}', 422, "invalid_recipe"),
        (b'{"photo_base64": "AAAA", "photo_base64": "AAAA"}', 400, "malformed_request"),
        (b'{"photo_base64": "data:text/plain,AAAA"}', 400, "malformed_request"),
        (b'{"photo_base64": "AAAA", "recipe": {"quality": NaN}}', 400, "malformed_request"),
        (b'{"photo_base64": "AAAA", "recipe": {"a": "\\ud800"}}', 400, "malformed_request"),
        (b'{"photo_base64": "AAAA", "recipe": {"\\ud800": "a"}}', 400, "malformed_request"),
        (b'{"\\ud800": "a"}', 400, "malformed_request"),
        (b'{"recipe": {"photo_base64": "AAAA"}}', 400, "malformed_request"),
        (b'{"photo_base64": "AAAA", "webhook_url": "x"}', 422, "invalid_recipe"),
    ],
)
def test_a_body_that_is_none_is_told(api: Api, body: bytes, status: int, code: str) -> None:
    headers = {"Content-Type": "application/json"}

    answer = api.client.post("/v1/jobs", content=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert api.leftovers() == {}


@pytest.mark.parametrize(
    ("recipe", "pointers"),
    [
        ([], ["/recipe"]),
        ({"quality": 0}, ["/quality"]),
        ({"quality": 80.5}, ["/quality"]),
        ({"colour": "red"}, ["/colour"]),
        ({"outputs": [["image"]]}, ["/outputs"]),
        ({"filters": ["hat", 7, "hat"]}, ["/filters"]),
        ({"metadata": {"a": "1"}, "metadata.a": "2"}, ["/metadata/a"]),
        ({"metadata": {"a": {"b": {}}}, "seed": [{}]}, ["/seed"]),
        ({"segmentation": {"params": {"nope": 1}}}, ["/segmentation/params/nope"]),
    ],
)
def test_a_wrong_field_of_a_nested_recipe_is_named(
    api: Api, recipe: object, pointers: list[str]
) -> None:
    answer = api.client.post("/v1/jobs", json={"photo_base64": BASE64, "recipe": recipe})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers


def test_a_photo_that_is_too_large_is_refused_before_it_is_read(api: Api) -> None:
    body = json.dumps({"photo_base64": "A" * 56_000_000})

    answer = api.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (413, "photo_too_large")


@pytest.mark.parametrize(
    "recipe",
    [
        {"margin": "1px " * 2000},
        {f"a{number}": 1 for number in range(200)},
        {"outputs": ["image"] * 200},
        {"a" * 300: 1},
        {"filters": ["a," * 3000]},
    ],
)
def test_a_recipe_is_as_bounded_as_a_form(api: Api, recipe: object) -> None:
    answer = api.client.post("/v1/jobs", json={"photo_base64": BASE64, "recipe": recipe})

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert len(answer.content) < 2000


@pytest.mark.parametrize("more", [b'"recipe": {"a": [' + b"{}," * 500_000 + b"{}]}"])
def test_around_the_photo_a_body_is_small(api: Api, more: bytes) -> None:
    body = b'{"photo_base64": "' + BASE64.encode() + b'", ' + more + b"}"

    answer = api.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (413, "photo_too_large")


def test_slashes_may_be_escaped_and_numbers_be_of_any_kind(api: Api) -> None:
    recipe = b'{"harmonise": 0.3333333333333333, "light_wrap": 0.00001, "quality": 90.0}'
    body = b'{"recipe": ' + recipe + b', "photo_base64": "' + BASE64.replace("/", "\\/").encode()

    answer = api.client.post(
        "/v1/jobs", content=body + b'"}', headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 202, answer.text
    assert answer.json()["recipe"]["quality"] == 90


def test_the_recipe_of_a_job_can_be_sent_again(api: Api) -> None:
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
