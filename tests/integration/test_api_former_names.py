"""Former spellings are accepted, shown by their current names, and answered as deprecated."""

import base64
from typing import Any

import httpx
import pytest

from smart_filter_shared.recipe.spellings import CURRENT_NAMES
from smart_filter_tests import batches
from smart_filter_tests.bench import TENANT
from smart_filter_tests.serving import Api, a_photo
from smart_filter_tests.stored_results import run_whole_job

PHOTO = base64.b64encode(a_photo()).decode()
FORMER = {
    "harmonise": "0.4",
    "filters": "hat,glasses",
    "filters.hat.colour": "red",
    "filters.glasses.colour": "navy",
}
NESTED = {
    "harmonise": 0.4,
    "filters": [
        {"name": "hat", "params": {"colour": "red"}},
        {"name": "glasses", "params": {"colour": "navy"}},
    ],
}
FILTERS = [
    {"name": "hat", "params": {"color": "red"}},
    {"name": "glasses", "params": {"color": "navy"}},
]


def test_form_with_former_names_is_accepted_and_deprecated(api: Api) -> None:
    answer = api.post(a_photo(), FORMER)

    assert answer.status_code == 202, answer.text
    assert_current(answer.json()["recipe"])
    assert_deprecated(answer)
    read = api.client.get(f"/v1/jobs/{answer.json()['id']}")
    assert_current(read.json()["recipe"])
    assert "deprecation" not in read.headers


def test_json_with_former_names_is_accepted_and_deprecated(api: Api) -> None:
    answer = api.client.post("/v1/jobs", json={"photo_base64": PHOTO, "recipe": NESTED})

    assert answer.status_code == 202, answer.text
    assert_current(answer.json()["recipe"])
    assert_deprecated(answer)


def test_rejection_of_a_request_with_former_names_is_deprecated(api: Api) -> None:
    answer = api.post(a_photo(), {"harmonise": "2"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_recipe")
    assert_deprecated(answer)


def test_former_name_of_a_parameter_is_read_as_the_current_one(api: Api) -> None:
    answer = api.post(a_photo(), {"face.params.neighbours": "3"})

    # The default model has no such parameter: the answer names the current one.
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/face/params/neighbors"
    assert_deprecated(answer)


def test_derived_recipe_with_former_names_replaces_current_ones(api: Api) -> None:
    parent = run_whole_job(api, background="auto", harmonize="0.9")

    answer = api.client.post(f"/v1/jobs/{parent}/derive", json={"recipe": NESTED})

    assert answer.status_code == 202, answer.text
    assert_current(answer.json()["recipe"])
    assert_deprecated(answer)


def test_former_name_of_an_item_replaces_the_current_one_of_its_batch(api: Api) -> None:
    item = {"photo_base64": PHOTO, "recipe": NESTED}

    answer = api.client.post("/v1/batches", json={"items": [item], "recipe": {"harmonize": "0.9"}})

    assert answer.status_code == 202, answer.text
    assert_deprecated(answer)
    job = api.job(answer.json()["items"][0]["job_id"])
    assert_current(job["recipe"])


def test_defaults_with_former_names_apply(api: Api) -> None:
    changed = api.client.patch(f"/v1/tenants/{TENANT}", json={"recipe": {"harmonise": 0.4}})
    assert changed.json()["recipe"] == {"harmonize": 0.4}

    assert changed.status_code == 200, changed.text
    assert_deprecated(changed)
    plain = api.post(a_photo(), {})
    own = api.post(a_photo(), {"harmonize": "0.7"})
    assert plain.json()["recipe"]["harmonize"] == "0.4"
    assert own.json()["recipe"]["harmonize"] == "0.7"
    assert "deprecation" not in plain.headers


@pytest.mark.parametrize("name", [*CURRENT_NAMES, *CURRENT_NAMES.values()])
def test_page_of_former_names_lists_them_all(api: Api, name: str) -> None:
    page = httpx.get(f"{api.url}/former-names", timeout=60)

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert f"<code>{name}</code>" in page.text


def test_batch_of_current_names_is_not_deprecated(api: Api) -> None:
    body = {"items": batches.items(1), "recipe": {"harmonize": "0.9"}}

    answer = api.client.post("/v1/batches", json=body)

    assert answer.status_code == 202, answer.text
    assert "deprecation" not in answer.headers


def assert_current(recipe: dict[str, Any]) -> None:
    assert recipe["harmonize"] == "0.4"
    assert "harmonise" not in recipe
    assert recipe["filters"] == FILTERS


def assert_deprecated(answer: httpx.Response) -> None:
    assert answer.headers["deprecation"].startswith("@")
    assert '</former-names>; rel="deprecation"' in answer.headers["link"]
