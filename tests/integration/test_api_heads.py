"""HEAD answers as GET does, without the content; and the pages of problems."""

from urllib.parse import urljoin, urlsplit

import pytest

from smart_filter_shared.pipeline import StageName
from smart_filter_tests.serving import Api


@pytest.mark.parametrize(
    "path", ["/livez", "/openapi.json", "/v1/jobs", "/v1/models", "/problems/not_found", "/nowhere"]
)
def test_head_has_the_headers_of_get(api: Api, path: str) -> None:
    got = api.client.get(path)

    head = api.client.head(path)

    ours = {"date", "x-request-id", "ratelimit", "ratelimit-policy"}
    assert head.status_code == got.status_code
    assert {name: value for name, value in head.headers.items() if name not in ours} == {
        name: value for name, value in got.headers.items() if name not in ours
    }
    assert head.content == b""


def test_head_of_an_output_and_a_stream_has_their_headers(api: Api) -> None:
    job_id = api.submit(background="keep")
    api.finish(StageName.PREPARE, {"files": {}})
    stream = api.client.head(f"/v1/jobs/{job_id}/events")
    file = {"key": f"of/{job_id}", "format": "image/jpeg", "media_type": "image/jpeg", "bytes": 5}
    api.bench.store.put(f"of/{job_id}", b"photo", length=5, media_type="image/jpeg")
    size = {"width": 4, "height": 4}
    api.finish(StageName.COMPOSITE, {"files": {"image": {**file, **size}}, "background": None})

    head = api.client.head(f"/v1/jobs/{job_id}/outputs/image")

    assert (stream.status_code, stream.content) == (200, b"")
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == "5"
    assert head.headers["etag"]


def test_head_without_a_get_is_refused_and_the_connection_serves_on(api: Api) -> None:
    head = api.client.head("/v1/tokens")

    assert (head.status_code, head.headers["allow"]) == (405, "POST")
    assert api.client.get("/livez").json() == {"status": "ok", "degraded": []}


def test_problem_leads_to_its_page(api: Api) -> None:
    problem = api.client.get("/v1/jobs/none")
    assert problem.links["help"]["url"] == urlsplit(problem.json()["type"]).path

    page = api.client.get(
        urljoin(str(problem.url), problem.links["help"]["url"]), headers={"Authorization": ""}
    )

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<h1>Not found</h1>" in page.text
