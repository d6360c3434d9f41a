"""What the client asks about jobs, and what it reads of them: recipes, waits, ranks."""

import json

import httpx

from smart_filter_client.models import Person, RankTerms
from smart_filter_tests.clients import Asking, Script, job_answer


def test_recipe_may_nest_what_has_dots(asking: Asking) -> None:
    server = Script(job_answer("queued", 202))
    nested = {"model": "people", "params": {"size": 320}}

    asking(server).do(
        "submit", "https://example.com/a.jpg", {"segmentation": nested, "face.model": "yunet"}
    )

    assert json.loads(server.seen[0].content)["recipe"] == {
        "segmentation.model": ["people"],
        "segmentation.params.size": ["320"],
        "face.model": ["yunet"],
    }


def test_derived_job_is_waited_for_where_that_is_asked(asking: Asking) -> None:
    server = Script(job_answer("succeeded"))

    job = asking(server).do("derive", "j0", {"background": "keep"}, wait=12.5)

    assert server.seen[0].headers["Prefer"] == "wait=13"
    assert job.succeeded


def test_photo_comes_upright_or_as_it_was_sent(asking: Asking) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        kind = "heic" if request.url.query else "jpeg"
        content, headers = str(request.url).encode(), {"Content-Type": f"image/{kind}"}
        return httpx.Response(200, content=content, headers=headers)

    shown, sent = asking(handle).do("photo", "j1"), asking(handle).do("photo", "j1", original=True)

    assert (shown.media_type, sent.media_type) == ("image/jpeg", "image/heic")
    assert shown.content.endswith(b"/v1/jobs/j1/photo")
    assert sent.content.endswith(b"/v1/jobs/j1/photo?original=true")


def test_photo_of_a_job_tells_how_it_lay(asking: Asking) -> None:
    photo = {"width": 32, "height": 48, "format": "jpg", "quarter_turns": 3}

    job = asking(Script(job_answer("running", photo=photo))).do("job", "j1")

    assert (job.photo.width, job.photo.quarter_turns) == (32, 3)


def test_persons_are_told_with_their_numbers(asking: Asking) -> None:
    found = [{"number": 2, "box": [1, 2, 3.5, 4], "kept": False}]

    job = asking(Script(job_answer("succeeded", persons=found))).do("job", "j1")
    without = asking(Script(job_answer("succeeded"))).do("job", "j1")

    assert job.persons == (Person(2, (1, 2, 3.5, 4), kept=False),)
    assert without.persons is None


def test_job_of_an_album_tells_where_it_stands_and_why(asking: Asking) -> None:
    terms = {"rating": 0.75, "of": 9, "alike": 2, "better": "j7", "reasons": ["a better twin"]}
    server = Script(job_answer("succeeded", batch_id="b1", rank=3, rank_terms=terms))

    job = asking(server).do("job", "j1")

    assert (job.batch_id, job.rank) == ("b1", 3)
    assert job.rank_terms == RankTerms(0.75, 9, 2, "j7", ("a better twin",))
