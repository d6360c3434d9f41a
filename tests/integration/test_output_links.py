"""Signed links: outputs without a key, refused when they are expired, changed or for others."""

import datetime as dt
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from structlog.testing import capture_logs

from smart_filter_api.auth.links import LinkSigner, LinkTarget
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.outages import unreadable_table, wait_until
from smart_filter_tests.serving import Api, a_photo, an_api_with, serve_with
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_tests.stored_results import run_stages, run_whole_job
from smart_filter_tests.webhook_receiver import a_receiver, send_due

OUTPUT = b"made"
PUBLIC = "https://photos.example.com"
DAY = 24 * 3600
STAGES = (PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE)


def query_of(link: str) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(link).query).items()}


def link_of(api: Api, job_id: str, **wish: object) -> str:
    job = api.read(f"/v1/jobs/{job_id}", params={"expires_in": 3600, **wish})
    return str(job["output_links"]["image"])


def signed(bench: Bench, job_id: str, *, expires: int, tenant: Tenant = TENANT) -> str:
    """Return the query of a link to the image, as the service signs it."""
    signer = LinkSigner([key.get_secret_value() for key in bench.settings.secrets.key])
    target = LinkTarget(tenant, JobId(uuid.UUID(job_id)), "image", expires)
    return f"expires={expires}&signature={signer.sign(target)}"


def opened(link: str, **headers: str) -> httpx.Response:
    return httpx.get(link, headers=headers, timeout=60)


def refusal(answer: httpx.Response) -> tuple[int, str, dict[str, Any]]:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    return answer.status_code, document["code"], {**document, "instance": None}


@pytest.mark.parametrize(
    ("host", "start"),
    [
        ("10.0.0.7:8000", "http://10.0.0.7:8000"),
        ("api", "http://api"),
        ("studio.local", "http://studio.local"),
        ("evil.example.com", ""),
        ("8.8.8.8", ""),
        ("localhost@evil.example.com", ""),
    ],
)
def test_links_have_only_a_host_that_is_of_the_local_network(
    api: Api, host: str, start: str
) -> None:
    job_id = run_whole_job(api)

    answer = api.client.get(f"/v1/jobs/{job_id}", headers={"Host": host})

    link = answer.json()["output_links"]["image"]
    assert link.startswith(f"{start}/v1/jobs/{job_id}/outputs/image?")


def test_link_opens_an_output_without_a_key_until_it_ends(api: Api) -> None:
    job_id = run_whole_job(api)
    job = api.read(f"/v1/jobs/{job_id}", params={"expires_in": 600})

    answer = opened(job["output_links"]["image"])

    assert job["output_links"].keys() == job["outputs"].keys()
    assert job["output_links"]["image"].startswith(f"{api.url}/v1/jobs/{job_id}/outputs/image?")
    assert job["outputs"]["image"] == f"/v1/jobs/{job_id}/outputs/image"
    assert (answer.status_code, answer.content) == (200, OUTPUT)
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "ratelimit" not in answer.headers
    assert answer.headers["content-disposition"] == f'inline; filename="{job_id}.png"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    private, age, immutable = answer.headers["cache-control"].split(", ")
    assert (private, immutable) == ("private", "immutable")
    assert 0 < int(age.removeprefix("max-age=")) <= 600
    again = opened(job["output_links"]["image"], **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"].startswith("private, max-age=")


def test_link_opens_with_any_key_and_with_parameters_that_programs_add(api: Api) -> None:
    link = link_of(api, run_whole_job(api))

    assert opened(link, Authorization="Bearer nonsense").content == OUTPUT
    assert opened(f"{link}&utm_source=mail&fbclid=1").content == OUTPUT


def test_lists_events_and_webhooks_have_links_that_open(api: Api) -> None:
    with a_receiver() as receiver:
        api.client.post("/v1/webhooks", json={"url": receiver.url})
        job_id = run_whole_job(api)
        send_due(api.bench)
    (got,) = receiver.got
    posted = json.loads(got.body)["data"]["output_links"]["image"]
    (listed,) = api.read("/v1/jobs", params={"expires_in": 600})["items"]
    with api.client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        followed = [line for line in stream.iter_lines() if "output_links" in line][-1]

    assert opened(api.url + posted).content == OUTPUT
    assert opened(listed["output_links"]["image"]).content == OUTPUT
    assert f"{api.url}/v1/jobs/{job_id}/outputs/image?expires=" in followed


def test_expired_link_is_gone(api: Api) -> None:
    job_id = run_whole_job(api)
    query = signed(api.bench, job_id, expires=int(time.time()) - 1)

    answer = opened(f"{api.url}/v1/jobs/{job_id}/outputs/image?{query}")

    assert refusal(answer)[:2] == (410, "link_expired")


def test_refused_link_gives_no_hint_about_what_exists(api: Api) -> None:
    job_id, other = run_whole_job(api), run_whole_job(api)
    later = int(time.time()) + 600
    mine = signed(api.bench, job_id, expires=later)
    foreign = signed(api.bench, job_id, expires=later, tenant=Tenant("other"))
    expires, signature = query_of(f"?{mine}").values()
    outputs = f"{api.url}/v1/jobs/{job_id}/outputs"
    assert opened(f"{outputs}/image?{mine}").status_code == 200

    answers = [
        opened(link)
        for link in (
            f"{outputs}/image?{mine[:-1]}",
            f"{outputs}/image?expires={expires}",
            f"{outputs}/image?expires={expires}&signature=",
            f"{outputs}/image?expires={expires}&signature=%C3%BC",
            f"{outputs}/image?signature={signature}",
            f"{outputs}/image?expires={later + 1}&signature={signature}",
            f"{outputs}/image?expires=1&signature={signature}",
            f"{outputs}/image?expires=soon&signature={signature}",
            f"{outputs}/image?{mine}&download=1",
            f"{outputs}/image?{foreign}",
            f"{outputs}/faces?{mine}",
            f"{outputs}/nothing?{mine}",
            f"{api.url}/v1/jobs/{other}/outputs/image?{mine}",
            f"{api.url}/v1/jobs/{uuid.uuid4()}/outputs/image?{mine}",
            f"{api.url}/v1/jobs/none/outputs/image?{mine}",
        )
    ]

    first = refusal(answers[0])
    assert first[:2] == (403, "link_invalid")
    assert [refusal(answer) for answer in answers] == [first] * len(answers)


@pytest.mark.parametrize(
    ("expires", "signature"),
    [("soon", "A" * 43), ("9" * 13, "A" * 43), ("9", "A" * 42), ("9", "/" * 43)],
)
def test_malformed_link_is_refused_without_a_query(api: Api, expires: str, signature: str) -> None:
    job_id = api.submit(background="keep")

    with unreadable_table(api.bench, "jobs"):
        answer = opened(
            f"{api.url}/v1/jobs/{job_id}/outputs/image?expires={expires}&signature={signature}"
        )

    assert refusal(answer)[:2] == (403, "link_invalid")


def test_link_ends_with_its_job(api: Api) -> None:
    job_id = run_whole_job(api)
    link = link_of(api, job_id)

    api.client.delete(f"/v1/jobs/{job_id}")

    assert refusal(opened(link))[:2] == (410, "job_deleted")
    assert refusal(opened(link[:-1]))[:2] == (403, "link_invalid")


def test_redirect_leads_to_the_storage_for_no_longer_than_the_link(api: Api) -> None:
    job_id = run_whole_job(api)
    long = link_of(api, job_id, download="beach.png")
    ends = int(time.time()) + 50
    short = f"{api.url}/v1/jobs/{job_id}/outputs/image?{signed(api.bench, job_id, expires=ends)}"

    redirects = [opened(f"{link}&redirect=1") for link in (long, short)]

    assert [redirect.status_code for redirect in redirects] == [307, 307]
    assert redirects[0].headers["cross-origin-resource-policy"] == "cross-origin"
    seconds = [
        int(query_of(redirect.headers["location"])["X-Amz-Expires"]) for redirect in redirects
    ]
    assert seconds[0] == 60
    assert seconds[1] <= 50
    stored = opened(redirects[0].headers["location"])
    assert stored.content == OUTPUT
    assert stored.headers["content-disposition"] == 'attachment; filename="beach.png"'
    shown = query_of(redirects[1].headers["location"])
    assert shown["response-content-disposition"] == f'inline; filename="{job_id}.png"'
    assert shown["response-cache-control"] == f"private, max-age={seconds[1]}"


@pytest.mark.parametrize(
    ("download", "disposition"),
    [
        ("1", 'attachment; filename="{job_id}.png"'),
        ("beach.jpeg", 'attachment; filename="beach.png"'),
        ('../..\\a"b\r\nSet-Cookie: c', 'attachment; filename="abSet-Cookie c.png"'),
        (
            "Küste",
            "attachment; filename=\"{job_id}.png\"; filename*=UTF-8''K%C3%BCste.png",
        ),
        ("///", 'attachment; filename="{job_id}.png"'),
        ("{other}", 'attachment; filename="{{other}}.png"'),
    ],
)
def test_download_is_saved_under_a_harmless_name(api: Api, download: str, disposition: str) -> None:
    job_id = run_whole_job(api)

    answer = opened(link_of(api, job_id, download=download))

    assert answer.content == OUTPUT
    assert answer.headers["content-disposition"] == disposition.format(job_id=job_id)


def test_documents_of_a_job_are_saved_next_to_its_image(api: Api) -> None:
    job_id = run_whole_job(api, outputs="image,faces")
    job = api.read(f"/v1/jobs/{job_id}", params={"download": "beach"})

    answer = opened(job["output_links"]["faces"])

    assert answer.json() == job["faces"]
    assert answer.headers["content-disposition"] == 'attachment; filename="beach-faces.json"'
    assert answer.headers["cache-control"].startswith("private, max-age=")


def test_output_of_a_job_that_keeps_nothing_is_not_cached_and_opens_once(api: Api) -> None:
    api.keep(nothing=True)
    link = link_of(api, run_whole_job(api, outputs="image"))

    first = opened(f"{link}&redirect=1")
    by_key = api.client.get(f"/v1/jobs/{run_whole_job(api, outputs='image')}/outputs/image")
    api.bench.execute("UPDATE artifacts SET expires_at = statement_timestamp()")

    assert (first.status_code, first.content) == (200, OUTPUT)
    assert first.headers["cache-control"] == by_key.headers["cache-control"] == "no-store"
    assert refusal(opened(link))[:2] == (410, "output_expired")


def test_signature_is_not_logged(api: Api) -> None:
    job_id = run_whole_job(api)
    link = link_of(api, job_id)

    with capture_logs() as lines:
        opened(link)
        opened(f"{link}cut")
        wait_until(lambda: sum("/outputs/" in str(line) for line in lines) == 2)

    assert job_id in str(lines)
    assert "signature" not in str(lines)
    assert query_of(link)["signature"] not in str(lines)


def test_links_have_the_public_url_and_survive_a_new_key(bench: Bench) -> None:
    old, new = "o" * 32, "n" * 32
    with an_api_with(bench, SMART_FILTER_SECRETS_KEY=old) as api:
        job_id = run_whole_job(api)
        link = link_of(api, job_id)
    rotated = {"SMART_FILTER_SECRETS_KEY": f"{new},{old}", "SMART_FILTER_PUBLIC_URL": PUBLIC}
    with an_api_with(bench, **rotated) as api:
        fresh = link_of(api, job_id)
        path = urlsplit(link)._replace(scheme="", netloc="").geturl()

        assert fresh.startswith(f"{PUBLIC}/v1/jobs/")
        assert opened(api.url + path).content == OUTPUT
        assert opened(fresh.replace(PUBLIC, api.url)).content == OUTPUT
    with serve_with(bench, SMART_FILTER_SECRETS_KEY=new) as site:
        assert refusal(opened(site.url + path))[:2] == (403, "link_invalid")


def test_jobs_have_no_links_without_a_secrets_key(bench: Bench) -> None:
    with an_api_with(bench) as api:
        job_id = run_whole_job(api)
        job = api.job(job_id)
        answer = opened(f"{api.url}{job['outputs']['image']}?expires=1&signature=a")

    assert (job["output_links"], job["output_links_expire_at"]) == ({}, None)
    assert refusal(answer)[:2] == (403, "link_invalid")


def lifetime(job: dict[str, Any]) -> float:
    """Return the days from a job's end to the end of its links."""
    ends = dt.datetime.fromisoformat(job["output_links_expire_at"])
    return (ends - dt.datetime.fromisoformat(job["finished_at"])) / dt.timedelta(days=1)


def test_lifetime_is_the_requested_one_else_the_jobs_else_the_tenants(api: Api) -> None:
    path, usual = f"/v1/tenants/{TENANT}", run_whole_job(api)
    changed = api.client.patch(path, json={"link_seconds": 2 * DAY})
    of_tenant = run_whole_job(api)
    answer = api.client.post("/v1/jobs", files={"photo": a_photo()}, params={"expires_in": 3 * DAY})
    run_stages(api, *STAGES)
    of_job = answer.json()["id"]

    lifetimes = [round(lifetime(api.job(job_id))) for job_id in (usual, of_tenant, of_job)]

    assert changed.json()["link_seconds"] == 2 * DAY
    assert lifetimes == [0, 2, 3]
    wished = api.read(f"/v1/jobs/{of_job}", params={"expires_in": 5 * DAY})
    assert round(lifetime(wished)) == 5


@pytest.mark.parametrize("derived", [False, True])
def test_submission_that_waits_answers_links_of_the_requested_lifetime(
    api: Api, *, derived: bool
) -> None:
    wish = {"params": {"expires_in": 7 * DAY}, "headers": {"Prefer": "wait=60"}}
    parent = run_whole_job(api) if derived else ""

    with ThreadPoolExecutor(1) as pool:
        if derived:
            body = {"recipe": {"background": "color:red"}}
            asking = pool.submit(api.client.post, f"/v1/jobs/{parent}/derive", json=body, **wish)
        else:
            asking = pool.submit(api.client.post, "/v1/jobs", files={"photo": a_photo()}, **wish)
        unfinished = "SELECT count(*) FROM jobs WHERE outcome IS NULL"
        wait_until(lambda: api.bench.scalar(unfinished) > 0)
        run_stages(api, *((COMPOSITE,) if derived else STAGES))
        job = asking.result().json()

    assert round(lifetime(job)) == 7
    assert opened(job["output_links"]["image"]).content == OUTPUT
