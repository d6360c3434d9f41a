from smart_filter_tests.pictures import noise, prepared
from smart_filter_workers.results import Face
from smart_filter_workers.stages.face import stage
from smart_filter_workers.stages.face.stage import Inputs


def a_face(left: float, width: float = 10.0) -> Face:
    eye = (left + 1, 5.0)
    return Face(box=(left, 2.0, width, 12.0), score=0.9, landmarks=(eye, eye, eye, eye, eye))


def test_faces_stand_from_left_to_right_by_their_middles() -> None:
    wide, narrow = a_face(0, width=100), a_face(20, width=10)

    (result,) = stage.run({"face": lambda _: [(wide, narrow)]}, [Inputs(prepared(noise(50, 200)))])

    assert result.faces == (narrow, wide)


def test_faces_are_in_pixels_of_the_photo() -> None:
    (result,) = stage.run(
        {"face": lambda _: [(a_face(10),)]}, [Inputs(prepared(noise(1024, 2048)))]
    )

    assert result.faces[0].box == (20.0, 4.0, 20.0, 24.0)
    assert result.faces[0].landmarks[0] == (22.0, 10.0)
