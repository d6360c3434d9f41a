from dataclasses import replace

from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.compositing import HEIGHT, SCALE, WIDTH, a_job, made
from smart_filter_tests.portraits import a_face
from smart_filter_workers.results import Eyes, Faces, Smile, Smiles
from smart_filter_workers.stages.composite.inputs import Inputs


def a_rated_job(**recipe: object) -> Inputs:
    job = a_job("color:red", **recipe)
    return replace(
        job,
        faces=Faces((a_face(x=90, y=60, width=50),)),
        smiles=Smiles((Smile(SmileLevel.MILD, 0.5),), (Eyes(left_open=False, right_open=False),)),
    )


def test_rated_person_is_judged_for_print() -> None:
    printable = made(a_rated_job()).printability

    assert printable is not None
    assert printable.looks is not None
    assert printable.looks.text == "The person blinks."
    assert (printable.size.width, printable.size.height) == (WIDTH, HEIGHT)


def test_picture_without_a_rating_is_not_judged_for_print() -> None:
    assert made(a_job("color:red")).printability is None


def test_every_face_is_in_a_picture_without_a_cutout() -> None:
    job = a_rated_job()
    assert job.segmented is not None
    matte = job.segmented.matte * 0

    printable = made(replace(job, segmented=replace(job.segmented, matte=matte, coverage=0)))

    assert matte.shape == (HEIGHT // SCALE, WIDTH // SCALE)
    assert printable.printability is not None
    assert len(printable.printability.faces) == 1
