"""`smart-filter webhooks listen`, and the list of ends that it polls."""

import json
import os
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from standardwebhooks.webhooks import Webhook

from smart_filter_api.auth.api_keys import Scope
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.cli.terminal import exit_codes
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_tests import web
from smart_filter_tests.bench import TENANT
from smart_filter_tests.http_server import Reply
from smart_filter_tests.outages import wait_until
from smart_filter_tests.proxy import Mode, Proxy
from smart_filter_tests.serving import Api
from smart_filter_tests.webhook_receiver import a_receiver


def canceled(api: Api) -> str:
    job_id = api.submit(background="keep")
    assert api.client.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    return job_id


def ends(api: Api, cursor: str | None = None, **headers: str) -> dict[str, Any]:
    params = {} if cursor is None else {"cursor": cursor}
    return api.read("/v1/events", params=params, headers=headers)


@contextmanager
def listening(url: str, key: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run `webhooks listen --json` until the block ends."""
    with subprocess.Popen(
        program.command("webhooks", "listen", "--json", *arguments),
        env={**os.environ, "SMART_FILTER_URL": url, "SMART_FILTER_API_KEY": key},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


def test_ends_since_a_cursor_are_listed(api: Api) -> None:
    canceled(api)
    start = ends(api)
    job_id = canceled(api)
    api.submit(background="keep")  # has not ended

    found = ends(api, start["next_cursor"])
    later = ends(api, found["next_cursor"])

    assert start["items"] == []
    assert job_id in [item["job_id"] for item in found["items"]]
    assert {(item["type"], item["batch_id"]) for item in found["items"]} == {("job.canceled", None)}
    # An end comes again only under its id, while an older transaction of another test runs.
    assert {item["id"] for item in later["items"]} <= {item["id"] for item in found["items"]}


def test_end_that_is_committed_after_later_ones_is_not_missed(api: Api) -> None:
    start = ends(api)["next_cursor"]
    slow = api.submit(background="keep")
    with api.bench.transaction() as connection:
        CLIENT.cancel(connection, JobId(uuid.UUID(slow)), TENANT)
        quick = canceled(api)

        between = ends(api, start)

    after = ends(api, between["next_cursor"])
    assert [item["job_id"] for item in between["items"]] == [quick]
    assert slow in [item["job_id"] for item in after["items"]]


def test_end_of_a_batch_is_listed(api: Api) -> None:
    start = ends(api)["next_cursor"]
    item = {"photo_url": "https://example.com/photo.jpg"}
    batch = api.create("/v1/batches", json={"items": [item]})
    api.client.post(f"/v1/batches/{batch['id']}/cancel")

    found = ends(api, start)["items"]

    assert [(one["type"], one["batch_id"]) for one in found if one["batch_id"]] == [
        ("batch.finished", batch["id"])
    ]


def test_key_sees_only_the_ends_of_its_tenant(api: Api) -> None:
    start = ends(api)["next_cursor"]
    canceled(api)

    theirs = ends(api, start, **api.headers(Scope.READ, tenant=Tenant("else")))
    token = api.create("/v1/tokens", json={"scopes": ["submit"], "ttl_seconds": 60, "max_jobs": 1})
    refused = api.client.get("/v1/events", headers={"Authorization": f"Bearer {token['key']}"})

    assert theirs["items"] == []
    assert refused.status_code == 403


@pytest.mark.parametrize("cursor", ["0", "1", "9" * 18])
def test_cursor_of_any_age_is_answered(api: Api, cursor: str) -> None:
    job_id = canceled(api)

    found = ends(api, cursor)

    assert (job_id in [item["job_id"] for item in found["items"]]) == (cursor != "9" * 18)
    assert int(found["next_cursor"]) < int("9" * 18)


def test_end_is_forwarded_with_a_signature_that_the_reference_verifies(api: Api) -> None:
    with (
        a_receiver(lambda _: Reply(500)) as receiver,
        listening(api.url, api.key(Scope.READ), "--forward-to", receiver.url) as process,
    ):
        start = next_line(process)
        job_id = canceled(api)
        line = next_line(process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()

    (got,) = receiver.got
    sent = Webhook(start["secret"]).verify(got.body, dict(got.headers))
    assert (sent["type"], sent["data"]["id"]) == ("job.canceled", job_id)
    assert sent["data"] == api.job(job_id)
    assert (line["type"], line["job_id"], line["status"]) == ("job.canceled", job_id, 500)
    assert (process.returncode, err) == (exit_codes.ALL_SUCCEEDED, "")


def test_secret_is_the_same_each_time_and_another_for_another_key(api: Api) -> None:
    keys = [api.key(Scope.READ), api.key(Scope.READ)]
    secrets = []
    for key in (keys[0], *keys):
        with listening(api.url, key) as process:
            secrets.append(next_line(process)["secret"])

    assert secrets[0] == secrets[1]
    assert secrets[1] != secrets[2]


@pytest.mark.slow
def test_ends_during_an_outage_are_forwarded_afterward(api: Api) -> None:
    place = urlsplit(api.url)
    with (
        a_receiver() as receiver,
        Proxy(str(place.hostname), int(place.port or 0)) as line,
        listening(
            f"http://{place.hostname}:{line.port}",
            api.key(Scope.READ),
            *("--forward-to", receiver.url),
        ) as process,
    ):
        next_line(process)
        line.mode = Mode.RESET
        line.cut()
        assert process.stderr is not None
        lost = process.stderr.readline()
        job_id = canceled(api)
        line.mode = Mode.PASS
        shown = next_line(process)
        wait_until(lambda: bool(receiver.got))

    assert lost.startswith("connection lost")
    assert shown["job_id"] == job_id
    assert len(receiver.got) == 1


def test_receiver_that_is_not_there_is_shown(api: Api) -> None:
    with listening(
        api.url, api.key(Scope.READ), "--forward-to", "http://127.0.0.1:9/hook"
    ) as process:
        next_line(process)
        canceled(api)

        line = next_line(process)

    assert line["status"] is None
    assert line["error"].startswith("no answer")


def test_receiver_that_does_not_end_its_answer_is_not_waited_for(api: Api) -> None:
    def answer_without_an_end(closing: threading.Event) -> Iterator[bytes]:
        yield web.answer(202, b"the beginning", content__length="1000000")
        closing.wait()

    with (
        web.a_site({"/hook": answer_without_an_end}) as site,
        listening(api.url, api.key(Scope.READ), "--forward-to", f"{site.url}/hook") as process,
    ):
        next_line(process)
        canceled(api)

        line = next_line(process)

    assert (line["status"], line["error"]) == (202, None)


@pytest.mark.parametrize(
    ("key", "arguments", "status", "words"),
    [
        ("wrong", (), exit_codes.WRONG_USAGE, "rejects the API key"),
        ("wrong", ("--forward-to", "localhost:3000"), exit_codes.WRONG_USAGE, "is not a URL"),
    ],
)
def test_wrong_usage_ends_with_one_line(
    api: Api, key: str, arguments: tuple[str, ...], status: int, words: str
) -> None:
    with listening(api.url, key, *arguments) as process:
        out, err = process.communicate()

    assert (process.returncode, out, err.count("\n")) == (status, "", 1)
    assert words in err
