"""Which filters are listed, and that a job keeps those that it asks for."""

from smart_filter_shared.filters import FILTERS
from smart_filter_tests.serving import Api, a_photo


def test_filters_are_listed_with_their_parameters(api: Api) -> None:
    answer = api.client.get("/v1/filters")

    assert answer.status_code == 200, answer.text
    items = {one["name"]: one for one in answer.json()["items"]}
    assert set(items) == {card.name for card in FILTERS}
    assert items["hat"]["needs"] == "faces"
    assert "crown" in items["hat"]["parameters"]["properties"]["kind"]["enum"]
    assert items["caption"]["parameters"]["required"] == ["text"]


def test_a_job_keeps_its_filters_in_order(api: Api) -> None:
    job_id = api.submit(filters="hat,grade", filters__hat__kind="crown")

    job = api.job(job_id)

    asked = [{"name": "hat", "params": {"kind": "crown"}}, {"name": "grade", "params": {}}]
    assert job["recipe"]["filters"] == asked
    assert [one["applied"] for one in job["filters"]] == [None, None]


def test_a_wrong_filter_is_named(api: Api) -> None:
    answer = api.post(a_photo(), {"filters": "hat", "filters.hat.kind": "bowler"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_recipe")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/filters/hat/kind"]
