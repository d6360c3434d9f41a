"""Both clients, deriving and correcting."""

import io

import pytest
from PIL import Image

from smart_filter_client import FaceLabel, Stroke, errors
from smart_filter_tests.clients import Asked
from smart_filter_tests.pictures import plain
from smart_filter_tests.running import KEY, PHOTO, Running


@pytest.fixture(params=["blocking", pytest.param("awaited", marks=pytest.mark.slow)])
def client(request: pytest.FixtureRequest, running_stack: Running) -> Asked:
    """Either client of a whole stack."""
    is_async = request.param == "awaited"
    return Asked(None, is_async=is_async, url=str(running_stack.client.base_url), api_key=KEY)


def test_job_is_corrected_and_derived(client: Asked) -> None:
    recipe = {"background": "transparent", "outputs": ["image", "matte", "faces"]}
    parent = client.do("wait", client.do("submit", PHOTO, recipe).id, 60)
    whole = plain(parent.photo.width, parent.photo.height, 255, mode="L")

    mask = client.do("correct_matte", parent.id, mask=whole, consent=True)
    client.do("correct_matte", parent.id, strokes=[Stroke([(10, 10), (90, 90)], 20, keep=True)])
    client.do("correct_faces", parent.id, [FaceLabel(1, smile="none")])
    child = client.do("derive", parent.id, {"background": "color:red"}, correction_id=mask.id)
    child = client.do("wait", child.id, 60)

    assert child.succeeded
    assert child.parent_id == parent.id
    kept = client.do("corrections", parent.id)
    assert [(one.kind, one.consent) for one in kept] == [
        ("matte", True),
        ("matte", False),
        ("label", False),
    ]
    matte = client.do("output", child.id, "matte").content
    with Image.open(io.BytesIO(matte)) as picture:
        assert picture.getextrema() == (255, 255)
    with pytest.raises(errors.InvalidRequest):
        client.do("derive", parent.id, {}, correction_id=child.id)
