"""Masks that are sent with a photo: their checks, their objects, and jobs derived from theirs."""

import base64
import json

import httpx
import pytest
from PIL import Image

from smart_filter_tests.pictures import encode
from smart_filter_tests.serving import Api, a_photo, refusal_of
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_tests.stored_results import run_stages

STROKES = [
    {"points": [[1, 2], [40, 30.5]], "width": 12, "keep": True},
    {"points": [[5, 5]], "snap": "part", "keep": False},
]


def a_mask(size: tuple[int, int] = (48, 32), mode: str = "L", format_: str = "PNG") -> bytes:
    return encode(Image.new(mode, size), format_)


def submit(
    api: Api, drawn: bytes, headers: dict[str, str] | None = None, **fields: str
) -> httpx.Response:
    files = {"photo": ("photo", a_photo()), "mask_file": ("mask.png", drawn)}
    return api.client.post("/v1/jobs", files=files, data=fields, headers=headers)


def test_mask_is_stored_for_the_job_and_for_jobs_derived_from_it(api: Api) -> None:
    answer = submit(api, a_mask())

    assert answer.status_code == 202, answer.text
    job = api.bench.job(answer.json()["id"])
    (drawing,) = job.corrections
    assert (drawing["form"], drawing["as_sent"]) == ("mask", True)
    assert api.bench.read(drawing["key"]) == a_mask()
    run_stages(api, PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE)
    derived = api.client.post(f"/v1/jobs/{job.id}/derive", json={"recipe": {"format": "png"}})
    assert derived.status_code == 202, derived.text
    assert api.bench.job(derived.json()["id"]).corrections == job.corrections


def test_mask_is_deleted_with_its_job(api: Api) -> None:
    job = submit(api, a_mask()).json()["id"]
    (drawing,) = api.bench.job(job).corrections

    assert api.client.delete(f"/v1/jobs/{job}").status_code == 204
    left = "SELECT count(*) FROM artifacts WHERE key = :key AND marked_at IS NULL"
    assert api.bench.scalar(left, key=drawing["key"]) == 0


@pytest.mark.parametrize(
    ("mask", "detail"),
    [
        (a_mask((47, 32)), "is 47×32, but the upright photo is 48×32; send a mask of that size"),
        (a_mask(mode="RGB"), "is not grayscale"),
        (a_mask(mode="LA"), "is not grayscale"),
        (a_mask(format_="JPEG"), "is not a PNG"),
        (b"text", "is not a PNG"),
    ],
    ids=["size", "color", "alpha", "jpeg", "text"],
)
def test_mask_that_does_not_fit_is_refused(api: Api, mask: bytes, detail: str) -> None:
    answer = submit(api, mask)

    assert refusal_of(answer) == (422, "invalid_request")
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/mask_file"
    assert detail in error["detail"]
    assert api.leftovers() == {}


def test_pixels_of_a_mask_are_left_to_the_worker_as_those_of_a_photo(api: Api) -> None:
    assert submit(api, a_mask()[:-20]).status_code == 202


def test_mask_may_have_the_size_that_exif_turns(api: Api) -> None:
    assert submit(api, a_mask((32, 48))).status_code == 202


def test_mask_of_a_photo_at_an_address_is_compared_by_the_worker(api: Api) -> None:
    files = {"mask_file": ("mask.png", a_mask((7, 9)))}
    fields = {"photo_url": "http://127.0.0.1:9/photo.jpg"}

    assert api.client.post("/v1/jobs", files=files, data=fields).status_code == 202


@pytest.mark.parametrize(
    "fields", [{"mask": "upload"}, {"persons": "main"}, {"strokes": json.dumps(STROKES)}]
)
def test_mask_contradicts_other_choices_of_people(api: Api, fields: dict[str, str]) -> None:
    answer = submit(api, a_mask(), **fields)

    assert refusal_of(answer) == (422, "contradiction")


def test_repeated_request_with_another_mask_or_with_it_as_background_is_another(api: Api) -> None:
    headers = {"Idempotency-Key": "one"}
    first = submit(api, a_mask(), headers)

    assert submit(api, a_mask(), headers).json()["id"] == first.json()["id"]
    files = {"photo": a_photo(), "background_file": a_mask()}
    others = (
        submit(api, a_mask((32, 48)), headers),
        api.client.post("/v1/jobs", files=files, headers=headers),
    )
    assert {other.json()["code"] for other in others} == {"idempotency_mismatch"}


def test_large_mask_is_refused(api: Api) -> None:
    answer = submit(api, a_mask() + bytes(10_000_000))

    assert "more than 10000000 bytes" in answer.text


def submit_strokes(api: Api, strokes: object, *, as_json: bool, **more: str) -> httpx.Response:
    if as_json:
        body = {"photo_base64": base64.b64encode(a_photo()).decode(), "strokes": strokes}
        return api.client.post("/v1/jobs", json={**body, "recipe": more})
    files = {"photo": ("photo", a_photo())}
    return api.client.post("/v1/jobs", files=files, data={"strokes": json.dumps(strokes), **more})


@pytest.mark.parametrize("as_json", [False, True])
def test_strokes_are_stored_for_the_job(api: Api, *, as_json: bool) -> None:
    answer = submit_strokes(api, STROKES, as_json=as_json)

    assert answer.status_code == 202, answer.text
    (drawing,) = api.bench.job(answer.json()["id"]).corrections
    assert (drawing["form"], drawing["as_sent"], drawing["points"]) == ("strokes", True, 3)
    assert json.loads(api.bench.read(drawing["key"])) == STROKES


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("strokes", "pointer"),
    [
        ([], "/strokes"),
        ({}, "/strokes"),
        ([{"points": [[1, 2]], "keep": True}], "/strokes/0/width"),
        ([{"points": [[49, 2]], "keep": True, "width": 2}], "/strokes/0/points/0"),
        ([{"points": [[1, 2]], "keep": True, "width": 2, "more": 1}], "/strokes/0/more"),
    ],
    ids=["none", "object", "width", "outside", "unknown"],
)
def test_wrong_strokes_are_refused_by_name(
    api: Api, strokes: object, pointer: str, *, as_json: bool
) -> None:
    answer = submit_strokes(api, strokes, as_json=as_json)

    assert refusal_of(answer) == (422, "invalid_request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert api.leftovers() == {}


def test_strokes_that_are_no_json_are_refused(api: Api) -> None:
    files = {"photo": ("photo", a_photo())}
    for text in ("nonsense", f'{json.dumps(STROKES)}, "mask": 1', "[NaN]", "{"):
        answer = api.client.post("/v1/jobs", files=files, data={"strokes": text})

        assert refusal_of(answer) == (422, "invalid_request")
        (error,) = answer.json()["errors"]
        assert error["pointer"] == "/strokes"
        assert error["detail"].startswith("the field is not")


def test_form_has_room_for_many_points(api: Api) -> None:
    strokes = [{"points": [[1.25, 2.25]] * 2000, "width": 2, "keep": True}] * 10

    assert submit_strokes(api, strokes, as_json=False).status_code == 202
    too_many = submit_strokes(api, strokes * 2, as_json=False)
    assert (too_many.status_code, too_many.json()["errors"][0]["pointer"]) == (422, "/strokes")
