"""Choices of many photos over HTTP: what a query means, and actions on it in steps."""

import datetime as dt
import io
import uuid
import zipfile
from typing import Any

import pytest

from integration import batches
from integration.batches import KEEP, items
from smart_filter_api.auth.api_keys import Scope
from smart_filter_api.routes import choices as routes
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs.choices import MAX_CHOICES
from smart_filter_tests.job_copies import Group, write
from smart_filter_tests.maintenance import collector
from smart_filter_tests.serving import Api, refusal_of
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_tests.stored_results import derive, objects, run_stages, run_whole_job

RED = {"recipe": {"background": "color:red"}}


def choose(api: Api, **wanted: object) -> dict[str, Any]:
    choice: dict[str, Any] = api.create("/v1/choices", json={"all": True, **wanted})
    return choice


def act(
    api: Api,
    choice: dict[str, Any],
    action: str,
    query: dict[str, str] = {},  # noqa: B006 - not changed
    /,
    **options: Any,  # noqa: ANN401 - of httpx
) -> list[dict[str, Any]]:
    """Return all steps of an action."""
    steps: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while not steps or cursor:
        path = f"/v1/choices/{choice['id']}/{action}"
        steps.append(api.create(path, params={**query, **cursor}, **options))
        after = steps[-1]["next_cursor"]
        cursor = {"cursor": after} if after else {}
    return steps


def listed(api: Api) -> list[str]:
    return [job["id"] for job in api.read("/v1/jobs")["items"]]


def names_in_zip(api: Api, choice: dict[str, Any], **options: str) -> list[str]:
    answer = api.client.get(f"/v1/choices/{choice['id']}/zip", params=options)
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as opened:
        assert opened.testzip() is None
        return opened.namelist()


def test_all_means_every_photo_with_its_versions_and_none_that_comes_later(api: Api) -> None:
    first = run_whole_job(api, metadata__name="a.jpg")
    derived = derive(api, first, **RED)["id"]
    other = api.submit(metadata__name="b.jpg")

    choice = choose(api)
    api.submit()
    now = api.read(f"/v1/choices/{choice['id']}")
    deleted = act(api, choice, "delete")

    counted = {"photos": 2, "jobs": 3, "pictures": 0, "unfinished": 2, "failed": 0}
    assert {name: choice[name] for name in counted} == counted
    assert now["photos"] == 2
    assert [step["done"] for step in deleted] == [2]
    assert not {first, derived, other} & set(listed(api))
    assert len(listed(api)) == 1


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"state": "succeeded"}, ["b.jpg"]),
        ({"state": "unfinished"}, ["c.png"]),
        ({"name": "JPG"}, ["b.jpg", "a.jpg"]),
        ({"name": "%"}, []),
    ],
)
def test_query_looks_at_states_and_names(
    api: Api, wanted: dict[str, object], expected: list[str]
) -> None:
    canceled = api.submit(metadata__name="a.jpg")
    api.client.post(f"/v1/jobs/{canceled}/cancel").raise_for_status()
    run_whole_job(api, metadata__name="b.jpg")
    api.submit(metadata__name="c.png")

    act(api, choose(api, **wanted), "delete")

    left = [job["metadata"]["name"] for job in api.read("/v1/jobs")["items"]]
    assert left == [name for name in ("c.png", "b.jpg", "a.jpg") if name not in expected]


def test_photos_are_left_out_by_any_version_and_chosen_one_by_one(api: Api) -> None:
    first, second, third = (run_whole_job(api) for _ in range(3))
    derived = derive(api, first, **RED)["id"]

    without = choose(api, **{"except": [derived]})
    alone = choose(api, all=False, photos=[third])
    act(api, alone, "delete")

    assert (without["photos"], alone["photos"]) == (2, 1)
    assert listed(api) == [derived, second, first]


def test_photos_of_an_album_without_picture_are_no_part_of_all(api: Api) -> None:
    alone = run_whole_job(api)
    album = batches.submit(api, {"items": items(3), "recipe": KEEP, "album": {"best": 1}})
    run_stages(api, *[PREPARE, SEGMENTATION, FACE, SMILE] * 3)
    run_stages(api, COMPOSITE)
    shots = [item["job_id"] for item in batches.batch(api, album["id"])["items"]]

    choice = choose(api)
    named = choose(api, all=False, photos=shots)
    on_sheet = api.read("/v1/jobs", params={"album_shots": "false"})["items"]

    best = next(one for one in shots if api.job(one)["rank"] == 1)
    assert (choice["photos"], choice["pictures"]) == (2, 2)
    assert (named["photos"], named["pictures"]) == (3, 1)
    assert {job["id"] for job in on_sheet} == {alone, best}
    assert len(listed(api)) == 4


def test_deletion_is_undone_within_its_minute_and_nothing_is_removed_before(api: Api) -> None:
    job_id = run_whole_job(api, metadata__name="a.jpg")
    stored = objects(api)
    choice = choose(api)

    [step] = act(api, choice, "delete")
    collector(api.bench).remove_expired()
    hidden = [
        api.client.request(method, f"/v1/jobs/{job_id}{path}")
        for method, path in (("GET", ""), ("GET", "/outputs/image"), ("POST", "/redrive"))
    ]
    nothing = api.read("/v1/jobs")["items"]
    restored = api.create(f"/v1/choices/{choice['id']}/restore")

    assert step["undo_until"] is not None
    assert [refusal_of(one) for one in hidden] == [(410, "job_deleted")] * 3
    assert nothing == []
    assert (restored["photos"], restored["undo_until"]) == (1, None)
    assert api.job(job_id)["state"] == "succeeded"
    assert objects(api) == stored


def test_deletion_is_final_when_its_minute_is_over(api: Api) -> None:
    kept = run_whole_job(api)
    job_id = run_whole_job(api)
    choice = choose(api, **{"except": [kept]})
    act(api, choice, "delete")
    api.bench.execute("UPDATE choices SET delete_at = now() - interval '1 s'")

    late = api.client.post(f"/v1/choices/{choice['id']}/restore")
    garbage = collector(api.bench)
    for _ in range(3):
        garbage.remove_expired()

    assert refusal_of(late) == (410, "job_deleted")
    assert listed(api) == [kept]
    assert not any(job_id in key for key in objects(api))
    assert api.bench.scalar("SELECT count(*) FROM choices") == 0


def test_many_photos_are_deleted_in_steps(api: Api) -> None:
    job_id = run_whole_job(api)
    with api.bench.transaction() as connection:
        write(connection, a_group(job_id, routes.PHOTOS_PER_STEP))

    choice = choose(api)
    steps = act(api, choice, "delete")

    assert choice["photos"] == routes.PHOTOS_PER_STEP + 1
    assert [step["done"] for step in steps] == [routes.PHOTOS_PER_STEP, 1]
    assert listed(api) == []


def a_group(job_id: str, units: int) -> Group:
    day = dt.timedelta(days=1)
    return Group([uuid.UUID(job_id)], units=units, newest=day / 24, oldest=day)


def test_unfinished_photos_are_canceled_and_the_others_stay(api: Api) -> None:
    done = run_whole_job(api)
    waiting = [api.submit() for _ in range(2)]

    [step] = act(api, choose(api), "cancel")

    assert (step["done"], step["failures"]) == (2, [])
    assert {api.job(job_id)["state"] for job_id in waiting} == {"canceled"}
    assert api.job(done)["state"] == "succeeded"


def test_each_photo_gets_the_recipe_and_its_own_marks(api: Api) -> None:
    first = run_whole_job(api, metadata__name="a.jpg", outputs="image,matte,rating")
    run_whole_job(api, metadata__name="b.jpg", background="color:red", outputs="image,rating")
    waiting = api.submit(metadata__name="c.jpg")
    recipe = {**RED["recipe"], "metadata": {"studio": "{photo}", "cut-of": "{job}"}}

    choice = choose(api)
    [step] = act(api, choice, "derive", {"leave_out": "cutout,matte"}, json={"recipe": recipe})
    made = [job for job in api.read("/v1/jobs")["items"] if job["parent_id"]]

    [job] = made
    assert (job["parent_id"], job["recipe"]["background"]) == (first, "color:red")
    assert job["metadata"] == {"name": "a.jpg", "studio": first, "cut-of": first}
    assert job["recipe"]["outputs"] == ["image", "rating"]
    [failure] = step["failures"]
    assert (failure["job_id"], failure["name"]) == (waiting, "c.jpg")
    assert failure["error"]["code"] == "job_not_finished"
    assert step["done"] == 2


def test_refused_recipe_is_each_photos_failure(api: Api) -> None:
    run_whole_job(api, format="jpg")

    [step] = act(api, choose(api), "derive", json={"recipe": {"background": "transparent"}})

    assert step["done"] == 0
    assert step["failures"][0]["error"]["code"] == "contradiction"


def test_versions_that_did_not_succeed_are_listed_and_discarded(api: Api) -> None:
    job_id = run_whole_job(api, metadata__name="a.jpg")
    choice = choose(api)
    act(api, choice, "derive", json=RED)
    derived = listed(api)[0]
    api.client.post(f"/v1/jobs/{derived}/cancel").raise_for_status()

    [step] = act(api, choice, "discard")

    assert step["done"] == 1
    assert listed(api) == [job_id]


def test_zip_has_the_pictures_in_order_with_folders_and_numbers(api: Api) -> None:
    # The studio's ids begin with the time at which a photo was added, not sent.
    run_whole_job(
        api, metadata__name="b.jpg", metadata__studio="f" * 32, metadata__folder="Day 2/../Église"
    )
    for name in ("a-2.jpg", "a.jpg", "A.JPG"):
        run_whole_job(api, metadata__name=name)
    api.submit(metadata__name="later.jpg")
    choice = choose(api)

    assert choice["pictures"] == 4
    assert names_in_zip(api, choice) == ["Day 2/Église/b.png", "A.png", "a-2.png", "a-3.png"]
    assert names_in_zip(api, choice, filename="{n} {name} shop")[3] == "4 a-2 shop.png"


def test_picture_that_cannot_be_read_is_named_in_the_zip(api: Api) -> None:
    run_whole_job(api, metadata__name="b.jpg")
    run_whole_job(api, metadata__name="a.jpg")
    [picture, _] = [key for key in sorted(objects(api)) if key.endswith("image.png")]
    api.bench.store.remove(picture)

    assert names_in_zip(api, choose(api)) == ["a.png", "not included.txt"]


def test_canceled_version_leaves_the_picture_before_it(api: Api) -> None:
    run_whole_job(api, metadata__name="a.jpg")
    choice = choose(api)
    act(api, choice, "derive", json=RED)

    act(api, choose(api), "cancel")

    counted = api.read(f"/v1/choices/{choice['id']}")
    assert (counted["making"], counted["pictures"], counted["unfinished"]) == (0, 1, 0)
    assert names_in_zip(api, choose(api)) == ["a.png"]


@pytest.mark.parametrize("action", ["delete", "restore", "cancel", "redrive", "discard"])
def test_choice_of_another_tenant_is_not_found(api: Api, action: str) -> None:
    choice = choose(api)
    stranger = api.headers(*Scope, tenant=Tenant("others"))

    answer = api.client.post(f"/v1/choices/{choice['id']}/{action}", headers=stranger)

    assert refusal_of(answer) == (404, "not_found")


def test_photos_of_another_key_stay_without_the_scope_admin(api: Api) -> None:
    own = api.headers(Scope.SUBMIT, Scope.READ)
    other = run_whole_job(api, metadata__name="other.jpg")
    api.client.headers.update(own)
    api.submit()

    [step] = act(api, choose(api), "delete")

    assert (step["done"], [one["name"] for one in step["failures"]]) == (1, ["other.jpg"])
    assert step["failures"][0]["error"]["code"] == "scope"
    assert listed(api) == [other]


def test_photos_of_another_key_are_not_canceled_or_restored_without_the_scope_admin(
    api: Api,
) -> None:
    waiting = api.submit(metadata__name="waiting.jpg")
    deleted = choose(api, all=False, photos=[api.submit()])
    act(api, deleted, "delete")
    admin = dict(api.client.headers)
    api.client.headers.update(api.headers(Scope.SUBMIT, Scope.READ))

    [step] = act(api, choose(api), "cancel")
    restored = api.client.post(f"/v1/choices/{deleted['id']}/restore")

    assert (step["done"], step["failures"][0]["error"]["code"]) == (0, "scope")
    assert refusal_of(restored) == (403, "scope")
    assert listed(api) == [waiting]
    api.client.headers.update(admin)
    api.create(f"/v1/choices/{deleted['id']}/restore")
    assert len(listed(api)) == 2


def test_choices_over_the_limit_replace_the_oldest(api: Api) -> None:
    first, second, *_ = [choose(api) for _ in range(MAX_CHOICES + 1)]

    assert api.client.get(f"/v1/choices/{first['id']}").status_code == 404
    assert api.client.get(f"/v1/choices/{second['id']}").status_code == 200


def test_recipe_that_no_photo_can_have_is_refused_at_once(api: Api) -> None:
    run_whole_job(api)

    answer = api.client.post(
        f"/v1/choices/{choose(api)['id']}/derive", json={"recipe": {"quality": 0}}
    )

    assert refusal_of(answer) == (422, "invalid_recipe")


def test_photos_of_a_deleted_batch_are_not_restored(api: Api) -> None:
    batch = batches.submit(api, {"items": items(1), "recipe": KEEP})
    choice = choose(api)
    act(api, choice, "delete")
    api.client.delete(f"/v1/batches/{batch['id']}")

    api.client.post(f"/v1/choices/{choice['id']}/restore")

    assert listed(api) == []


def test_step_that_deletes_none_does_not_lengthen_the_minute(api: Api) -> None:
    run_whole_job(api)
    choice = choose(api)
    (first,) = act(api, choice, "delete")

    (second,) = act(api, choice, "delete")

    assert second["undo_until"] == first["undo_until"]
