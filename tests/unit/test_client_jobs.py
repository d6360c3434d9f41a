"""Requests of the client about jobs, and the jobs that it reads: recipes, waits, ranks."""

import json

import httpx
import pytest

from smart_filter_client.models import Person, Picture, RankTerms
from smart_filter_tests.clients import Asking, Script, job_answer, sent_by


def test_recipe_may_nest_names_with_dots(asking: Asking) -> None:
    nested = {"model": "people", "params": {"size": 320}}
    recipe = {"segmentation": nested, "face.model": "yunet"}

    request = sent_by(asking, "submit", "https://example.com/a.jpg", recipe)

    assert json.loads(request.content)["recipe"] == {
        "segmentation.model": ["people"],
        "segmentation.params.size": ["320"],
        "face.model": ["yunet"],
    }


def test_derived_job_is_waited_for_on_request(asking: Asking) -> None:
    request = sent_by(asking, "derive", "j0", {"background": "keep"}, wait=12.5)

    assert request.headers["Prefer"] == "wait=13"


def test_photo_comes_upright_or_as_it_was_sent(asking: Asking) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        kind = "heic" if request.url.query else "jpeg"
        content, headers = str(request.url).encode(), {"Content-Type": f"image/{kind}"}
        return httpx.Response(200, content=content, headers=headers)

    shown, sent = asking(handle).do("photo", "j1"), asking(handle).do("photo", "j1", original=True)

    assert (shown.media_type, sent.media_type) == ("image/jpeg", "image/heic")
    assert shown.content.endswith(b"/v1/jobs/j1/photo")
    assert sent.content.endswith(b"/v1/jobs/j1/photo?original=true")


TURNED = {"width": 32, "height": 48, "format": "jpg", "quarter_turns": 3}
TERMS = {"rating": 0.75, "of": 9, "alike": 2, "better": "j7", "reasons": ["a better twin"]}


@pytest.mark.parametrize(
    ("name", "answered", "read"),
    [
        ("photo", TURNED, Picture(32, 48, "jpg", quarter_turns=3)),
        (
            "persons",
            [{"number": 2, "box": [1, 2, 3.5, 4], "kept": False}],
            (Person(2, (1, 2, 3.5, 4), kept=False),),
        ),
        ("persons", None, None),
        ("batch_id", "b1", "b1"),
        ("rank", 3, 3),
        ("rank_terms", TERMS, RankTerms(0.75, 9, 2, "j7", ("a better twin",))),
    ],
)
def test_field_of_a_job_is_read(asking: Asking, name: str, answered: object, read: object) -> None:
    job = asking(Script(job_answer(**{name: answered}))).do("job", "j1")

    assert getattr(job, name) == read
