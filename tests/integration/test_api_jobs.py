"""Submit, look at, list and cancel jobs over HTTP."""

import uuid

import pytest

from smart_filter_shared.doorbell import queue_of
from smart_filter_shared.filters import FILTERS
from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe.fields import MAX_SEED
from smart_filter_tests.bench import capability
from smart_filter_tests.outages import until
from smart_filter_tests.serving import Api, Clock, a_photo


def test_accepted_photo_is_a_queued_job_with_every_field(api: Api) -> None:
    answer = api.post(a_photo())

    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert job["state"] == "queued"
    assert job["created_at"].endswith("Z")
    assert [stage["name"] for stage in job["stages"]] == list(StageName)
    assert " ".join(job) == (
        "id state parent_id batch_id created_at finished_at expires_at recipe seed metadata photo "
        "people persons confidence needs_review image faces rating rating_reason printability "
        "background filters frame stages outputs rank rank_terms queue degraded links error"
    )
    assert api.job(job["id"]) == job


def test_photo_is_stored_as_it_came(api: Api) -> None:
    photo = a_photo("PNG", size=(700, 700)) + bytes(1_500_000)

    job_id = api.post(photo).json()["id"]

    key = api.bench.job(JobId(uuid.UUID(job_id))).photo_key
    assert api.bench.store.get(key) == photo


def test_background_file_is_stored_beside_the_photo_and_asked_for(api: Api) -> None:
    background = a_photo("PNG", size=(9, 9))
    files = {"background_file": ("b", background), "photo": ("p", a_photo())}

    answer = api.client.post("/v1/jobs", files=files)

    row = api.bench.job(JobId(uuid.UUID(answer.json()["id"])))
    assert answer.json()["recipe"]["background"] == "file"
    assert row.background_key == row.photo_key.removesuffix("photo") + "background"
    assert api.bench.store.get(row.background_key) == background


def test_priority_and_time_of_a_job_are_answered(api: Api) -> None:
    job = api.job(api.submit(priority="batch", run_at="2999-01-31T12:00:00+01:00"))

    assert job["recipe"]["priority"] == "batch"
    assert job["recipe"]["run_at"] == "2999-01-31T11:00:00Z"
    assert {stage["state"] for stage in job["stages"]} == {"waiting"}


@pytest.mark.parametrize(
    ("format_", "mode", "kept"),
    [
        *(("JPEG", "RGB", None), ("JPEG", "CMYK", None), ("JPEG", "L", -20)),
        *(("PNG", "RGBA", None), ("PNG", "P", -20), ("PNG", "I;16", None)),
        *(("WEBP", "RGB", None), ("WEBP", "RGBA", -20)),
        *(("AVIF", "RGB", None), ("AVIF", "RGBA", -20)),
    ],
)
def test_photo_of_an_accepted_format_enters_though_its_pixels_are_cut_off(
    api: Api, format_: str, mode: str, kept: int | None
) -> None:
    answer = api.post(a_photo(format_, mode=mode, size=(640, 480))[:kept])

    assert answer.status_code == 202


def test_accepted_photo_rings_for_its_first_stage_once(api: Api) -> None:
    queue = queue_of(capability(StageName.PREPARE))

    api.submit()

    # The ring follows the answer, so it is waited for.
    until(lambda: api.bench.broker.lpop(queue) is not None)
    assert api.leftovers() == {"jobs": 1, "stages": 5, "artifacts": 1, "objects": 1}


def test_recipe_is_answered_with_its_defaults_filled_in(api: Api) -> None:
    job = api.job(api.submit(background="preset:sunrise", quality="80", metadata__album="beach"))

    assert job["recipe"] == {
        "background": "preset:sunrise",
        "outputs": ["image"],
        "format": "auto",
        "quality": 80,
        "matte_bits": 8,
        "max_bytes": None,
        "keep_metadata": False,
        "effort": "fast",
        "edge": "balanced",
        "crop": "false",
        "margin": "0px 0px 0px 0px",
        "scale": "original",
        "position": "original",
        "roi": "0% 0% 100% 100%",
        "size": "full",
        "aspect": "original",
        "shadow": "auto",
        "outline": "none",
        "light_wrap": "auto",
        "harmonise": "auto",
        "filters": [],
        "require_person": False,
        "persons": "all",
        "priority": "standard",
        "run_at": None,
        "deadline_ms": None,
        "segmentation": {"model": "auto", "params": {}},
        "face": {"model": "auto", "params": {}},
        "smile": {"model": "auto", "params": {}},
        "eyes": {"model": "auto", "params": {}},
    }
    assert job["metadata"] == {"album": "beach"}
    assert job["background"] == {
        "kind": "preset",
        "name": "sunrise",
        "keywords": [],
        "reason": None,
        "candidates": [],
    }


def test_seed_is_drawn_unless_it_is_given(api: Api) -> None:
    given = api.job(api.submit(seed="42"))["seed"]
    drawn = [api.job(api.submit())["seed"] for _ in range(2)]

    assert given == 42
    assert drawn[0] != drawn[1]
    assert all(0 <= seed <= MAX_SEED for seed in drawn)


def test_asked_for_model_is_the_one_that_runs(api: Api) -> None:
    job = api.job(api.submit(face__model="no-face"))

    assert [stage["model"] for stage in job["stages"] if stage["name"] == "face"] == ["no-face"]


def test_job_without_any_model_for_it_is_refused(api: Api, clock: Clock) -> None:
    with api.bench.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM models WHERE task = 'smile'")
    clock.make_old()  # models are remembered for a second

    answer = api.post(a_photo())

    assert (answer.status_code, answer.json()["code"]) == (422, "not_available")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/smile/model"]
    assert api.leftovers() == {}


def test_canceled_job_is_answered_and_is_final(api: Api) -> None:
    job_id = api.submit()

    canceled = api.client.post(f"/v1/jobs/{job_id}/cancel")
    again = api.client.post(f"/v1/jobs/{job_id}/cancel")

    assert (canceled.status_code, canceled.json()["state"]) == (200, "canceled")
    assert {stage["state"] for stage in canceled.json()["stages"]} == {"canceled"}
    assert (again.status_code, again.json()["code"]) == (409, "job_final")


def test_list_is_newest_first_and_goes_on_with_its_cursor(api: Api) -> None:
    newest_first = [api.submit() for _ in range(5)][::-1]

    pages = []
    cursor: str | None = ""
    while cursor is not None:
        page = api.client.get(
            "/v1/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
        )
        pages.append([job["id"] for job in page.json()["items"]])
        cursor = page.json()["next_cursor"]

    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]


def test_list_is_narrowed_by_state_metadata_and_time(api: Api) -> None:
    canceled, running = (api.submit() for _ in range(2))
    api.client.post(f"/v1/jobs/{canceled}/cancel")
    api.bench.claim_one(StageName.PREPARE)
    api.submit(metadata__album="beach", metadata__day="1")
    second = api.submit(metadata__album="beach", metadata__day="2")
    after = api.job(second)["created_at"]
    third = api.submit(metadata__album="beach", metadata__day="2")

    def found(**query: str) -> list[str]:
        page = api.client.get("/v1/jobs", params=query).json()
        return [job["id"] for job in page["items"]]

    assert found(state="running") == [running]
    assert found(state="canceled") == [canceled]
    assert found(state="succeeded") == []
    assert found(**{"metadata.album": "beach", "metadata.day": "2"}) == [third, second]
    assert found(state="queued", created_after=after) == [third]


def test_backgrounds_are_listed_as_recipes_name_them(api: Api) -> None:
    page = api.client.get("/v1/backgrounds").json()

    assert page["next_cursor"] is None
    names = "name title source family tags moods palette brightness surface thumbnail"
    assert set(page["items"][0]) == set(names.split())
    for background in page["items"][::9]:
        assert api.job(api.submit(background=f"preset:{background['name']}"))


def test_filters_are_listed_with_their_parameters(api: Api) -> None:
    items = {one["name"]: one for one in api.client.get("/v1/filters").json()["items"]}

    assert set(items) == {card.name for card in FILTERS}
    assert items["hat"]["needs"] == "faces"
    assert "crown" in items["hat"]["parameters"]["properties"]["kind"]["enum"]
    assert items["caption"]["parameters"]["required"] == ["text"]


def test_job_keeps_its_filters_in_order(api: Api) -> None:
    job = api.job(api.submit(filters="hat,grade", filters__hat__kind="crown"))

    asked = [{"name": "hat", "params": {"kind": "crown"}}, {"name": "grade", "params": {}}]
    assert job["recipe"]["filters"] == asked
    assert [one["applied"] for one in job["filters"]] == [None, None]
