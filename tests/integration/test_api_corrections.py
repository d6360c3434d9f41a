"""Corrections of mattes and faces: stored, applied, and deleted with their jobs."""

import base64
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from PIL import Image

from smart_filter_shared.feedback.corrections import MAX_MASK_BYTES
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import invariants, races
from smart_filter_tests.bench import TENANT
from smart_filter_tests.maintenance import collector
from smart_filter_tests.pictures import encode
from smart_filter_tests.serving import Api, refusal_of
from smart_filter_tests.stored_results import (
    STROKE,
    STROKES,
    derive,
    objects,
    pass_time,
    run_stages,
    run_whole_job,
)

SIZE = (48, 32)
LABEL = {
    "kind": "label",
    "stage": "smile",
    "label": {"faces": [{"number": 1, "smile": "huge", "right_open": True}]},
    "consent": False,
}


def a_mask(size: tuple[int, int] = SIZE, mode: str = "L", format_: str = "PNG") -> str:
    return base64.b64encode(encode(Image.new(mode, size), format_)).decode()


def masked(mask: str) -> dict[str, object]:
    return {"kind": "matte", "stage": "segmentation", "mask": mask, "consent": False}


def send(api: Api, job_id: str, correction: object) -> httpx.Response:
    return api.client.post(f"/v1/jobs/{job_id}/corrections", json=correction)


def kept(api: Api, job_id: str, correction: object) -> dict[str, Any]:
    return api.create(f"/v1/jobs/{job_id}/corrections", json=correction)


def listed(api: Api, job_id: str) -> list[dict[str, Any]]:
    return api.read(f"/v1/jobs/{job_id}/corrections")["items"]


def drawn(api: Api) -> set[str]:
    return {key for key in objects(api) if "/corrections/" in key}


def sweep(api: Api) -> None:
    collector(api.bench).remove_expired()


def pass_days(api: Api, days: float) -> None:
    pass_time(api, hours=24 * days)
    api.bench.execute(
        "UPDATE corrections SET expires_at = expires_at - make_interval(hours => :hours)",
        hours=24 * days,
    )


def test_corrections_are_listed_as_stored(api: Api) -> None:
    job_id = run_whole_job(api, background="auto")

    made = [kept(api, job_id, one) for one in (masked(a_mask()), STROKES, LABEL)]

    assert listed(api, job_id) == made
    assert [one["form"] for one in made] == ["mask", "strokes", "label"]
    assert made[2]["label"] == {
        "faces": [{"number": 1, "smile": "huge", "left_open": None, "right_open": True}]
    }
    assert {one["consent"] for one in made} == {False}
    assert made[0]["models"] == {"segmentation": "no-segmentation"}
    assert len(drawn(api)) == 2


def test_mask_of_the_largest_size_is_accepted(api: Api) -> None:
    job_id = run_whole_job(api, background="auto")
    mask = base64.b64decode(a_mask()).ljust(MAX_MASK_BYTES, b"\0")

    kept(api, job_id, masked(base64.encodebytes(mask).decode()))

    assert [len(api.bench.read(key)) for key in drawn(api)] == [MAX_MASK_BYTES]


def test_stroke_needs_a_width_unless_it_snaps(api: Api) -> None:
    job_id = run_whole_job(api, background="auto")
    snapping = {"points": [[20, 10]], "keep": False, "snap": "part"}
    refused = [{**STROKE, "width": None}, {**snapping, "snap": "all"}]
    limited = {**snapping, "width": 5}

    stored = kept(api, job_id, {**STROKES, "strokes": [snapping, limited, STROKE]})
    answers = [send(api, job_id, {**STROKES, "strokes": [STROKE, one]}) for one in refused]

    (key,) = drawn(api)
    assert stored["form"] == "strokes"
    assert json.loads(api.bench.read(key)) == [
        snapping,
        limited,
        {**STROKE, "points": [[1, 2], [40, 30.5]]},
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert [answer.json()["errors"][0]["pointer"] for answer in answers] == [
        "/strokes/1/width",
        "/strokes/1/snap",
    ]


def applied(api: Api, job_id: str) -> list[str]:
    (found,) = api.bench.rows("SELECT corrections FROM jobs WHERE id = :id", id=job_id)
    return [change["id"] for change in found.corrections]


def test_correction_takes_the_place_of_the_one_that_it_replaces(api: Api) -> None:
    job_id = run_whole_job(api, background="auto")
    first, second = (kept(api, job_id, STROKES) for _ in range(2))
    corrected = derive(api, job_id, correction_id=first["id"])["id"]
    run_stages(api, StageName.COMPOSITE)

    again = kept(api, corrected, {**STROKES, "replaces": first["id"]})
    none = kept(api, corrected, {**STROKES, "strokes": [], "replaces": first["id"]})
    unknown = send(api, corrected, {**STROKES, "replaces": second["id"]})
    empty = send(api, corrected, {**STROKES, "strokes": []})

    made = [derive(api, corrected, correction_id=one["id"])["id"] for one in (again, none)]
    assert [applied(api, one) for one in made] == [[again["id"]], []]
    assert [answer.json()["errors"][0]["pointer"] for answer in (unknown, empty)] == [
        "/replaces",
        "/strokes",
    ]


def test_correction_without_consent_or_with_null_has_none(api: Api) -> None:
    job_id = run_whole_job(api, background="auto")
    silent = {name: value for name, value in STROKES.items() if name != "consent"}

    made = [kept(api, job_id, one) for one in (silent, {**STROKES, "consent": None})]

    assert [one["consent"] for one in made] == [False, False]
    assert all(one["expires_at"] for one in made)


def test_correction_above_the_limit_leaves_no_object(api: Api) -> None:
    job_id = run_whole_job(api, background="auto")
    for _ in range(20):
        kept(api, job_id, STROKES)

    answer = send(api, job_id, masked(a_mask()))

    assert answer.status_code == 422
    (wrong,) = answer.json()["errors"]
    assert (wrong["pointer"], "correct the derived job" in wrong["detail"]) == ("/mask", True)
    assert len(drawn(api)) == 20


@pytest.mark.parametrize(
    ("correction", "outputs"), [(STROKES, "image,matte"), (LABEL, "image,faces")]
)
def test_result_that_was_never_made_cannot_be_corrected(
    api: Api, correction: object, outputs: str
) -> None:
    job_id = api.submit(background="keep")
    api.client.post(f"/v1/jobs/{job_id}/cancel")

    answer = send(api, job_id, correction)

    assert refusal_of(answer) == (422, "invalid_request")
    assert f"derive a job with outputs={outputs}" in answer.json()["errors"][0]["detail"]


def test_correction_that_no_derived_job_could_apply_is_refused(api: Api) -> None:
    job_id = run_whole_job(api, background="auto")
    for _ in range(16):
        job_id = derive(api, job_id, correction_id=kept(api, job_id, STROKES)["id"])["id"]
        run_stages(api, StageName.COMPOSITE)

    answer = send(api, job_id, LABEL)

    (wrong,) = answer.json()["errors"]
    assert (answer.status_code, wrong["pointer"]) == (422, "/label")
    assert "17 corrections, but the maximum is 16" in wrong["detail"]
    assert listed(api, job_id) == []


def test_label_replaces_the_result_of_the_models(api: Api) -> None:
    job_id = run_whole_job(api, background="auto", outputs="image,faces,rating")
    before = api.job(job_id)
    correction = kept(api, job_id, LABEL)

    derived = derive(api, job_id, correction_id=correction["id"])

    after = api.job(derived["id"])
    assert before["faces"][0]["smile"]["level"] == "none"
    assert after["faces"][0]["smile"] == {"level": "huge", "score": 1.0}
    assert after["faces"][0]["eyes"] == {"left_open": True, "right_open": True}
    assert (before["rating"]["score"], after["rating"]["score"]) == (
        pytest.approx(0.8 * 0.2 + 0.2 * 0.5),
        pytest.approx(0.8 * 1.0 + 0.2 * 1.0),
    )
    assert api.job(job_id)["rating"] == before["rating"]
    assert after["stages"][3]["attempt"] == 0


def test_strokes_of_all_corrections_are_bounded_and_a_mask_resets_the_count(api: Api) -> None:
    many = {**STROKES, "strokes": [{**STROKE, "points": [[1, 1]] * 2000}] * 10}
    parent = run_whole_job(api, background="auto")
    child = derive(api, parent, correction_id=kept(api, parent, many)["id"])["id"]
    api.client.post(f"/v1/jobs/{child}/cancel")

    answer = send(api, child, STROKES)

    assert refusal_of(answer) == (422, "invalid_request")
    (wrong,) = answer.json()["errors"]
    assert (wrong["pointer"], "20002 stroke points" in wrong["detail"]) == ("/strokes", True)
    assert "send a mask" in wrong["detail"]
    derive(api, child, correction_id=kept(api, child, masked(a_mask()))["id"])


def test_correction_of_another_job_is_refused(api: Api) -> None:
    parent = run_whole_job(api, background="auto")
    foreign = kept(api, run_whole_job(api, background="auto"), LABEL)

    answer = api.client.post(f"/v1/jobs/{parent}/derive", json={"correction_id": foreign["id"]})

    assert refusal_of(answer) == (422, "invalid_request")


def test_corrections_expire_with_the_results_at_the_latest(api: Api) -> None:
    parent = run_whole_job(api, background="auto")
    consented = kept(api, parent, {**STROKES, "consent": True})
    child = derive(api, parent, correction_id=kept(api, parent, LABEL)["id"])["id"]
    run_stages(api, StageName.COMPOSITE)
    api.bench.execute("UPDATE jobs SET expires_at = now() - interval '1 second'")

    sweep(api)

    assert listed(api, parent) == [consented]
    assert api.bench.job(JobId(uuid.UUID(child))).corrections == ()


def test_drawing_is_deleted_with_its_photo_or_with_consent_when_its_job_is_deleted(
    api: Api,
) -> None:
    job_id = run_whole_job(api, background="auto")
    kept(api, job_id, STROKES)
    correction = kept(api, job_id, {**STROKES, "consent": True})
    assert correction["expires_at"] is None

    pass_days(api, 1)
    sweep(api)
    after_a_day = listed(api, job_id), len(drawn(api))
    pass_days(api, 399)
    sweep(api)

    assert after_a_day == ([correction], 1)
    assert objects(api) == drawn(api) != set()
    assert listed(api, job_id) == [correction]
    api.client.delete(f"/v1/jobs/{job_id}")
    assert objects(api) == set()
    assert api.bench.scalar("SELECT count(*) FROM corrections") == 0


def test_derived_job_keeps_drawings_of_a_deleted_parent(api: Api) -> None:
    parent = run_whole_job(api, background="auto")
    correction = kept(api, parent, STROKES)
    child = derive(api, parent, correction_id=correction["id"])["id"]

    api.client.delete(f"/v1/jobs/{parent}")

    assert len(drawn(api)) == 1
    api.client.delete(f"/v1/jobs/{child}")
    assert drawn(api) == set()


def test_correction_during_the_deletion_of_its_job_leaves_nothing(api: Api) -> None:
    job_id = run_whole_job(api, background="auto")
    with ThreadPoolExecutor(1) as pool:
        with api.bench.transaction() as connection:
            CLIENT.delete(connection, JobId(uuid.UUID(job_id)), TENANT)
            answer = pool.submit(send, api, job_id, STROKES)
            races.wait_for_lock_waiters(api.bench, answer)
        answered = answer.result()

    assert refusal_of(answered) == (410, "job_deleted")
    assert invariants.broken(api.bench) == []
    assert api.bench.scalar("SELECT count(*) FROM corrections") == 0
