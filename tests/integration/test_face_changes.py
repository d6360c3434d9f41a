"""Faces that users remove, add and restore: checked, applied by derived jobs, and passed on."""

import uuid
from typing import Any

import pytest

from smart_filter_shared.feedback.face_changes import FaceChanges, read_face_changes
from smart_filter_shared.ids import JobId
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.serving import Api
from smart_filter_tests.stored_results import derive, run_stages, run_whole_job

FOUND = (1.0, 1.0, 9.0, 9.0)
MISSED = [20, 10, 12.5, 12]


def send(api: Api, job_id: str, **faces: object) -> tuple[int, dict[str, Any]]:
    body = {"kind": "faces", "stage": "face", "faces": faces}
    answer = api.client.post(f"/v1/jobs/{job_id}/corrections", json=body)
    return answer.status_code, answer.json()


def derived_with(api: Api, job_id: str, **faces: object) -> str:
    """Change the faces of a job; return the derived job, which has not run."""
    status, correction = send(api, job_id, **faces)
    assert status == 201, correction
    return str(derive(api, job_id, correction_id=correction["id"])["id"])


def changes_of(api: Api, job_id: str) -> FaceChanges:
    return read_face_changes(api.bench.job(JobId(uuid.UUID(job_id))).corrections)


def reused(api: Api, job_id: str) -> list[str]:
    return [stage["name"] for stage in api.job(job_id)["stages"] if stage["reused"]]


def test_changes_of_faces_are_listed_as_sent(api: Api) -> None:
    job_id = run_whole_job(api, background="auto")

    _, made = send(api, job_id, remove=[1], add=[MISSED])

    (listed,) = api.read(f"/v1/jobs/{job_id}/corrections")["items"]
    assert listed == made
    assert (made["kind"], made["form"], made["stage"]) == ("faces", "faces", "face")
    assert (made["label"], made["consent"]) == (None, False)
    assert made["faces"] == {"remove": [1], "add": [MISSED], "restore": None}


def test_derived_job_finds_and_rates_its_faces_again(api: Api) -> None:
    job_id = run_whole_job(api, background="auto", outputs="image,faces")

    child = derived_with(api, job_id, remove=[1], add=[MISSED])

    assert changes_of(api, child) == FaceChanges((FOUND,), ((20.0, 10.0, 12.5, 12.0),))
    assert reused(api, child) == ["prepare", "segmentation"]
    run_stages(api, StageName.FACE, StageName.SMILE, StageName.COMPOSITE)
    assert api.job(child)["faces_removed"] == 1
    assert api.job(job_id)["faces_removed"] == 0


def test_job_of_a_changed_one_keeps_the_changes_and_reuses_the_faces(api: Api) -> None:
    job_id = run_whole_job(api, background="auto", outputs="image,faces")
    child = derived_with(api, job_id, remove=[1])
    run_stages(api, StageName.FACE, StageName.SMILE, StageName.COMPOSITE)

    grandchild = str(derive(api, child, recipe={"background": "color:red"})["id"])

    assert changes_of(api, grandchild) == FaceChanges((FOUND,))
    assert reused(api, grandchild) == ["prepare", "segmentation", "face", "smile"]


def test_restored_faces_are_those_that_were_found(api: Api) -> None:
    job_id = run_whole_job(api, background="auto", outputs="image,faces")
    child = derived_with(api, job_id, add=[MISSED])
    run_stages(api, StageName.FACE, StageName.SMILE, StageName.COMPOSITE)

    restored = derived_with(api, child, restore=True)

    assert changes_of(api, restored) == FaceChanges()
    assert reused(api, restored) == ["prepare", "segmentation", "face", "smile"]


def test_label_stays_on_its_face_when_the_faces_change(api: Api) -> None:
    job_id = run_whole_job(api, background="auto", outputs="image,faces")
    label = {"faces": [{"number": 1, "smile": "huge"}]}
    correction = api.create(
        f"/v1/jobs/{job_id}/corrections", json={"kind": "label", "stage": "smile", "label": label}
    )
    child = str(derive(api, job_id, correction_id=correction["id"])["id"])
    run_stages(api, StageName.COMPOSITE)

    changed = derived_with(api, child, add=[MISSED])
    run_stages(api, StageName.FACE, StageName.SMILE, StageName.COMPOSITE)

    assert api.job(changed)["faces"][0]["smile"]["level"] == "huge"


@pytest.mark.parametrize(
    ("faces", "pointer", "words"),
    [
        ({}, "/faces", "needs `remove`, `add` or both, or `restore` alone"),
        ({"restore": True, "remove": [1]}, "/faces", "`restore` alone"),
        ({"remove": [2]}, "/faces/remove/0", "is not one of the 1 detected faces"),
        ({"remove": [1, 1]}, "/faces/remove/1", "more than once"),
        ({"remove": [0]}, "/faces/remove/0", "the minimum is 1"),
        ({"add": [[40, 10, 9, 9]]}, "/faces/add/0", "within the upright photo, which is 48×32"),
        ({"add": [[-1, 10, 9, 9]]}, "/faces/add/0", "within the upright photo"),
        ({"add": [[10, 10, 9, 7]]}, "/faces/add/0", "less than 8 pixels wide or high"),
        ({"add": [[2, 1, 9, 9]]}, "/faces/add/0", "counts already, at 1, 1, 9, 9"),
        ({"add": [MISSED, MISSED]}, "/faces/add/1", "counts already"),
        ({"add": [[1, 2, 3]]}, "/faces/add/0", "4 items"),
        ({"add": [MISSED] * 51}, "/faces/add", "has more than 50 items"),
    ],
)
def test_unclear_changes_are_refused(
    api: Api, faces: dict[str, object], pointer: str, words: str
) -> None:
    job_id = run_whole_job(api, background="auto")

    status, answer = send(api, job_id, **faces)

    assert (status, answer["code"]) == (422, "invalid_request")
    assert [error["pointer"] for error in answer["errors"]] == [pointer]
    assert words in answer["errors"][0]["detail"]


def test_removed_face_makes_room_for_a_better_box(api: Api) -> None:
    job_id = run_whole_job(api, background="auto")

    child = derived_with(api, job_id, remove=[1], add=[[1, 1, 9, 9]])

    assert changes_of(api, child) == FaceChanges((FOUND,), (FOUND,))


def test_face_above_the_limit_of_the_derived_job_is_refused(api: Api) -> None:
    job_id = run_whole_job(api, background="auto", outputs="image,faces")
    boxes = [[x, y, 8, 8] for y in range(8, 28, 4) for x in range(0, 40, 4)]
    child = derived_with(api, job_id, add=boxes)
    run_stages(api, StageName.FACE, StageName.SMILE, StageName.COMPOSITE)

    status, answer = send(api, child, add=[[40, 8, 8, 8]])

    (wrong,) = answer["errors"]
    assert (status, wrong["pointer"]) == (422, "/faces/add")
    assert "51 added faces, but the maximum is 50" in wrong["detail"]
