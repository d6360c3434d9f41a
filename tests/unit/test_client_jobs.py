"""Requests of the client about jobs, and the jobs that it reads: recipes, waits, ranks."""

import json

import httpx
import pytest

from smart_filter_client.models import Person, Picture, RankTerms
from smart_filter_tests.clients import Asking, Script, job_answer, sent_by


def test_recipe_may_nest_names_with_dots(asking: Asking) -> None:
    recipe = {
        "segmentation": {"model": "people", "params": {"size": 320}},
        "face.model": "yunet",
    }

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


@pytest.mark.parametrize(
    ("answered", "read"),
    [
        (
            {"photo": {"width": 32, "height": 48, "format": "jpg", "quarter_turns": 3}},
            {"photo": Picture(32, 48, "jpg", quarter_turns=3)},
        ),
        (
            {"persons": [{"number": 2, "box": [1, 2, 3.5, 4], "kept": False}]},
            {"persons": (Person(2, (1, 2, 3.5, 4), kept=False),)},
        ),
        ({}, {"persons": None, "rank_terms": None}),
        (
            {
                "batch_id": "b1",
                "rank": 3,
                "rank_terms": {
                    "rating": 0.75,
                    "of": 9,
                    "alike": 2,
                    "better": "j7",
                    "reasons": ["a better twin"],
                },
            },
            {
                "batch_id": "b1",
                "rank": 3,
                "rank_terms": RankTerms(0.75, 9, 2, "j7", ("a better twin",)),
            },
        ),
    ],
    ids=["turned photo", "persons", "without either", "rank in an album"],
)
def test_job_is_read_with_its_details(
    asking: Asking, answered: dict[str, object], read: dict[str, object]
) -> None:
    job = asking(Script(job_answer(**answered))).do("job", "j1")

    assert {name: getattr(job, name) for name in read} == read
