"""Parts of outputs: continued downloads, and what a request for a part reads and answers."""

import os

import httpx
import pytest

from smart_filter_tests.serving import Api, refusal_of
from smart_filter_tests.stages import COMPOSITE, PREPARE
from smart_filter_tests.stored_results import run_stages, run_whole_job

# Longer than one piece of an answer (responses/output.py).
CONTENT = os.urandom(2_500_000)


@pytest.fixture
def url(api: Api) -> str:
    """The path of an output of 2.5 MB."""
    job_id = api.submit(background="keep")
    run_stages(api, PREPARE, COMPOSITE, content=CONTENT)
    return f"/v1/jobs/{job_id}/outputs/image"


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=100000-", 100_000, 2_500_000),
        ("bytes=-1100000", 1_400_000, 2_500_000),
        ("bytes=2499999-9999999", 2_499_999, 2_500_000),
    ],
)
def test_part_of_an_output_is_answered(
    api: Api, url: str, wanted: str, start: int, end: int
) -> None:
    whole = api.client.get(url)

    part = api.client.get(url, headers={"Range": wanted})

    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    assert (part.status_code, part.content == CONTENT[start:end]) == (206, True)
    assert part.headers["content-range"] == f"bytes {start}-{end - 1}/2500000"
    assert part.headers["content-length"] == str(end - start)
    for name in ("etag", "content-type", "content-disposition", "cache-control"):
        assert part.headers[name] == whole.headers[name]


def test_download_is_continued_unless_the_output_is_another(api: Api, url: str) -> None:
    tag = api.client.get(url).headers["etag"]

    same, other, unchanged = (
        api.client.get(url, headers={"Range": "bytes=9-", **more})
        for more in ({"If-Range": tag}, {"If-Range": '"other"'}, {"If-None-Match": tag})
    )

    assert (same.status_code, same.content == CONTENT[9:]) == (206, True)
    assert (other.status_code, other.content == CONTENT) == (200, True)
    assert unchanged.status_code == 304


def test_part_that_the_output_lacks_is_a_problem_with_its_length(api: Api, url: str) -> None:
    answer = api.client.get(url, headers={"Range": "bytes=2500000-"})

    assert refusal_of(answer) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */2500000"


def test_two_headers_of_a_range_get_the_whole_output(api: Api, url: str) -> None:
    answer = api.client.get(url, headers=[("Range", "bytes=0-1"), ("Range", "bytes=5-6")])

    assert (answer.status_code, answer.content == CONTENT) == (200, True)


@pytest.mark.parametrize("name", ["image", "faces"])
def test_output_of_another_version_is_refused(api: Api, name: str) -> None:
    path = f"/v1/jobs/{run_whole_job(api, outputs='image,faces')}/outputs/{name}"
    tag = api.client.get(path).headers["etag"]

    same, other, weak = (
        api.client.get(path, headers=[("If-Match", '"another"'), ("If-Match", wanted)])
        for wanted in (tag, '"other"', f"W/{tag}")
    )

    assert same.status_code == 200
    assert api.client.get(path, headers={"If-Match": "*"}).status_code == 200
    assert refusal_of(other) == (412, "precondition_failed")
    assert weak.status_code == 412


def test_head_ignores_the_range(api: Api, url: str) -> None:
    head = api.client.head(url, headers={"Range": "bytes=0-1"})

    assert (head.status_code, head.headers["content-length"]) == (200, "2500000")
    assert head.headers["accept-ranges"] == "bytes"


def test_signed_link_answers_parts(api: Api) -> None:
    job = api.read(f"/v1/jobs/{run_whole_job(api)}?expires_in=600")

    answer = httpx.get(job["output_links"]["image"], headers={"Range": "bytes=0-1"}, timeout=60)

    assert (answer.status_code, answer.content) == (206, b"ma")
    assert answer.headers["cache-control"].startswith("private, max-age=")


def test_output_that_is_deleted_after_its_download_is_sent_whole(api: Api) -> None:
    api.keep(nothing=True)
    job_id = run_whole_job(api, outputs="image")

    answer = api.client.get(f"/v1/jobs/{job_id}/outputs/image", headers={"Range": "bytes=0-1"})

    assert (answer.status_code, answer.content) == (200, b"made")
    assert "accept-ranges" not in answer.headers


def test_part_of_a_shortened_object_has_expired(api: Api, url: str) -> None:
    key = f"2026-01-01/tests/{url.split('/')[3]}/composite/image.png"
    api.bench.store.put(key, CONTENT[:100], length=100, media_type="image/png")

    answer = api.client.get(url, headers={"Range": "bytes=50-199"})

    assert refusal_of(answer) == (410, "output_expired")
