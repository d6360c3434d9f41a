"""What API and workers ask of the bucket is within the policies of `deploy/storage`.

The S3 server of the tests has no policies, so the requests are compared with the files.
"""

import datetime as dt
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
import urllib3

from smart_filter_deploy.doctor import servers
from smart_filter_shared import installation
from smart_filter_shared.errors import ObjectMissing
from smart_filter_shared.operations import consistency
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import Bench
from smart_filter_tests.corrected_jobs import photo_of, submit_finished
from smart_filter_tests.maintenance import collector, incoming_pictures
from smart_filter_tests.serving import Api, a_photo

POLICIES = Path(__file__).parents[2] / "deploy" / "storage"
BUCKET = "arn:aws:s3:::smart-filter"
LARGE = 6_000_000
ACTIONS = {
    "GET": "s3:GetObject",
    "HEAD": "s3:GetObject",
    "PUT": "s3:PutObject",
    "POST": "s3:PutObject",  # begins or completes an upload in parts
    "DELETE": "s3:DeleteObject",
}
Request = tuple[str, str]


def allowed(role: str, request: Request) -> bool:
    """Return whether a role's policy allows an action on a resource."""
    action, resource = request
    policy = json.loads((POLICIES / f"policy-{role}.json").read_text())
    return any(
        action in as_list(one["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in as_list(one["Resource"]))
        for one in policy["Statement"]
    )


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def requests_of(method: str, url: str, body: object) -> list[Request]:
    """Return the actions and resources of an S3 request, as IAM names them."""
    parts = urlsplit(url)
    _, _, key = unquote(parts.path).lstrip("/").partition("/")
    if key:
        is_abort = method == "DELETE" and "uploadId" in parse_qs(parts.query)
        action = "s3:AbortMultipartUpload" if is_abort else ACTIONS[method]
        return [(action, f"{BUCKET}/{key}")]
    if method == "POST":
        assert isinstance(body, bytes)
        listed = re.findall(r"<Key>(.*?)</Key>", body.decode())
        return [("s3:DeleteObject", f"{BUCKET}/{one}") for one in listed]
    return [("s3:ListBucket", BUCKET)]


@contextmanager
def recorded() -> Iterator[set[Request]]:
    """Yield the S3 requests that this process makes while the block lasts."""
    made: set[Request] = set()
    send = urllib3.PoolManager.urlopen

    def record(self: Any, method: str, url: str, *args: Any, **more: Any) -> Any:  # noqa: ANN401
        made.update(requests_of(method, url, more.get("body")))
        return send(self, method, url, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(urllib3.PoolManager, "urlopen", record)
        yield made


def upload(api: Api) -> str:
    photo = a_photo()
    made = api.create("/v1/uploads", json={"content_type": "image/jpeg", "bytes": len(photo)})
    assert (
        httpx.put(made["put_url"], content=photo, headers=made["headers"], timeout=60).status_code
        == 200
    )
    return str(made["upload_id"])


def test_requests_of_the_api_are_within_its_policy(api: Api) -> None:
    with recorded() as made:
        job = api.create(
            "/v1/jobs",
            files={"photo": photo_of(3, 3), "background_file": a_photo()},
            data={"background": "file"},
        )
        large = api.post(a_photo() + bytes(LARGE))
        by_upload = api.client.post("/v1/jobs", json={"upload_id": upload(api)})
        deleted = api.client.delete(f"/v1/jobs/{job['id']}")
        picture = api.client.put("/v1/backgrounds/tenant/wall", content=a_photo())
        api.client.delete("/v1/backgrounds/tenant/wall")
        ready = api.operators.get("/readyz")

    assert (large.status_code, by_upload.status_code, deleted.status_code) == (202, 202, 204)
    assert (picture.status_code, ready.status_code) == (202, 200)
    assert {action for action, _ in made} >= {
        *("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket")
    }
    assert [one for one in made if not allowed("api", one)] == []


def test_requests_of_workers_are_within_their_policy(api: Api) -> None:
    bench = api.bench
    orphans = [keys.new_background(None), keys.weights("ab" * 32)]
    for key in orphans:
        bench.store.put(key, b"x", length=1, media_type="image/png")
    retention = collector(bench)
    pictures = incoming_pictures(bench)
    api.client.put("/v1/backgrounds/tenant/wall", content=a_photo())
    with recorded() as made:
        submit_finished(api)
        for key in orphans:
            bench.read(key)
        installation.confirm(bench.worker_engine, bench.store)
        bench.execute("UPDATE artifacts SET expires_at = now() - interval '1 day'")
        retention.remove_expired()
        assert pictures.describe_next()
        retention.clear_unreferenced(older_than=-dt.timedelta(minutes=1))

    with pytest.raises(ObjectMissing):
        bench.read(orphans[0])
    assert any("installations/" in resource for _, resource in made)
    assert [one for one in made if not allowed("worker", one)] == []


@pytest.mark.parametrize("role", ["api", "worker"])
def test_requests_of_the_audit_are_within_the_policy_of_each_role(bench: Bench, role: str) -> None:
    bench.execute(
        "INSERT INTO model_versions (digest, task, model, key, state, metrics, trained_on,"
        " trained_at, created_at, moved_at) VALUES ('ab', 'smile', 'learned', :key, 'candidate',"
        " '{}', 'the tests', now(), now(), now())",
        key=keys.weights("ab"),
    )
    with recorded() as made:
        missing = consistency.check_objects(bench.engine, bench.store, most=10)

    assert [one.subject for one in missing] == [keys.weights("ab")]
    assert [one for one in made if not allowed(role, one)] == []


@pytest.mark.parametrize("role", ["api", "worker"])
def test_requests_of_the_doctor_are_within_the_policy_of_each_role(bench: Bench, role: str) -> None:
    with recorded() as made:
        list(servers.check_storage(bench.settings.storage))

    assert "s3:PutObject" in {action for action, _ in made}
    assert [one for one in made if not allowed(role, one)] == []


@pytest.mark.parametrize(
    ("role", "action", "key"),
    [
        ("api", "s3:GetObject", "models/ab"),
        ("api", "s3:PutObject", "backgrounds/a"),
        ("api", "s3:DeleteObject", "backgrounds/a"),
        ("api", "s3:GetObject", "data/smile/1.json"),
        ("api", "s3:PutObject", "installations/a"),
        ("worker", "s3:PutObject", "models/ab"),
        ("worker", "s3:PutObject", "backgrounds/a"),
        ("worker", "s3:DeleteObject", "installations/a"),
        ("worker", "s3:GetObject", "data/smile/1.json"),
    ],
)
def test_policy_leaves_out_what_a_role_does_not_need(role: str, action: str, key: str) -> None:
    assert not allowed(role, (action, f"{BUCKET}/{key}"))


def test_bucket_of_the_policies_is_the_default_one(bench: Bench) -> None:
    assert bench.store.bucket == BUCKET.rpartition(":")[2]
