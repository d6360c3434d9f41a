"""Webhooks: stored for their owners; deliveries signed, retried, never lost; the sender itself."""

import base64
import dataclasses
import datetime as dt
import json
import os
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from smart_filter_api.auth.api_keys import Scope
from smart_filter_api.problems import catalog
from smart_filter_deploy.cli.server import program
from smart_filter_shared.config.settings import SecretsSettings
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.ids import Tenant
from smart_filter_shared.operations import overview
from smart_filter_shared.operations.overview import WorkerInfo
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import worker_registry
from smart_filter_shared.queue.leases import Failure
from smart_filter_shared.queue.worker_registry import SENDER_ROLE, WorkerState
from smart_filter_shared.webhooks import outbox
from smart_filter_shared.webhooks.outbox import AttemptResult, DeliveryState
from smart_filter_tests import races
from smart_filter_tests.bench import Bench
from smart_filter_tests.http_server import LOOPBACK, ReceivedRequest, Reply
from smart_filter_tests.outages import wait_until
from smart_filter_tests.serving import Api, a_photo, refusal_of
from smart_filter_tests.webhook_receiver import a_receiver, send_due, sending
from smart_filter_workers.sender import process
from smart_filter_workers.sender.delivery_loop import SendLimits
from smart_filter_workers.sender.http_client import EndpointAnswer, NoAnswer

PREPARE = StageName.PREPARE
BROKEN = Failure("internal", "It broke", "why")
_SECONDS = 60
URL = "https://example.com/hooks"


def hooked(api: Api, url: str, **fields: object) -> dict[str, Any]:
    return api.create("/v1/webhooks", json={"url": url, **fields})


def canceled(api: Api, **fields: str) -> str:
    job_id = api.submit(**fields)
    assert api.client.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    return job_id


def log(api: Api, webhook: str, **narrowed: str) -> list[dict[str, Any]]:
    return api.read(f"/v1/webhooks/{webhook}/deliveries", params=narrowed)["items"]


def pass_time(api: Api) -> None:
    api.bench.execute("UPDATE deliveries SET due_at = now() WHERE state = 'waiting'")


def test_each_webhook_gets_its_chosen_events(api: Api) -> None:
    with a_receiver() as wants, a_receiver() as wants_not, a_receiver() as foreign:
        hooked(api, wants.url, events=["job.failed"])
        hooked(api, wants_not.url, events=["job.succeeded", "job.canceled"])
        headers = api.headers(Scope.ADMIN, tenant=Tenant("else"))
        api.client.post("/v1/webhooks", json={"url": foreign.url}, headers=headers)
        api.submit(background="keep")
        api.fail(PREPARE, BROKEN)

        send_due(api.bench)

    (event,) = [json.loads(one.body) for one in wants.got]
    assert event["type"] == "job.failed"
    assert event["data"]["error"]["remedy"] == catalog.find_remedy(BROKEN.code, of_job=True)
    assert wants_not.got == foreign.got == []


def test_url_in_a_job_is_signed_with_the_default_secret(api: Api) -> None:
    with a_receiver() as receiver:
        photo64 = base64.b64encode(a_photo()).decode()
        document = {"photo_base64": photo64, "webhook_url": receiver.url}
        job_id = api.create("/v1/jobs", json=document)["id"]
        secret = api.create("/v1/webhooks/default/rotate")["secret"]
        api.client.post(f"/v1/jobs/{job_id}/cancel")

        send_due(api.bench)

    (got,) = receiver.got
    assert Webhook(secret).verify(got.body, dict(got.headers))["data"]["id"] == job_id
    (delivery,) = log(api, "default")
    assert (delivery["url"], delivery["state"]) == (receiver.url, "succeeded")


def test_rotated_webhook_signs_with_both_secrets_for_a_day(api: Api) -> None:
    with a_receiver() as receiver:
        webhook = hooked(api, receiver.url)
        canceled(api)
        new = api.create(f"/v1/webhooks/{webhook['id']}/rotate")["secret"]
        send_due(api.bench)
        api.bench.execute("UPDATE webhook_secrets SET former_until = now()")
        canceled(api)
        send_due(api.bench)

    within, after = receiver.got
    for secret in (webhook["secret"], new):
        Webhook(secret).verify(within.body, dict(within.headers))
    Webhook(new).verify(after.body, dict(after.headers))
    assert len(after.headers["webhook-signature"].split()) == 1


def test_restarted_receiver_loses_nothing(api: Api) -> None:
    says = iter([Reply(500, b"down"), Reply(503), Reply(204)])
    with a_receiver(lambda _: next(says)) as receiver:
        webhook = hooked(api, receiver.url)
        canceled(api)
        for _ in range(3):
            send_due(api.bench)
            pass_time(api)

    assert len({one.headers["webhook-id"] for one in receiver.got}) == 1
    (delivery,) = log(api, webhook["id"])
    assert delivery["state"] == "succeeded"
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 503, 204]
    assert delivery["attempts"][0]["answer"] == "down"


@pytest.mark.parametrize(
    ("says", "least_seconds", "most_seconds"),
    [
        pytest.param(Reply(500), 2, 6, id="by the schedule"),
        pytest.param(Reply(302, headers={"Location": "http://127.0.0.1/"}), 2, 6, id="redirect"),
        pytest.param(Reply(429, headers={"Retry-After": "3600"}), 3500, 3600, id="as it asks for"),
    ],
)
def test_failed_attempt_waits(api: Api, says: Reply, least_seconds: int, most_seconds: int) -> None:
    with a_receiver(lambda _: says) as receiver:
        webhook = hooked(api, receiver.url)
        canceled(api)

        assert send_due(api.bench, times=2) == [1, 0]

    (delivery,) = log(api, webhook["id"])
    (attempt,) = delivery["attempts"]
    ended = dt.datetime.fromisoformat(attempt["at"]) + dt.timedelta(seconds=attempt["seconds"])
    wait = dt.datetime.fromisoformat(delivery["next_at"]) - ended
    assert least_seconds < wait.total_seconds() <= most_seconds


def test_unreachable_receiver_is_tried_again(api: Api) -> None:
    with a_receiver() as receiver:
        webhook = hooked(api, receiver.url)
        canceled(api)

    assert send_due(api.bench, times=2) == [1, 0]

    (delivery,) = log(api, webhook["id"])
    (attempt,) = delivery["attempts"]
    assert attempt["error"] == "the connection failed or was closed"
    assert attempt["seconds"] == round(attempt["seconds"], 3)
    assert delivery["state"] == "waiting"


def test_last_attempt_of_ten_fails_permanently_and_can_be_replayed(api: Api) -> None:
    with a_receiver(lambda _: Reply(500)) as receiver:
        webhook = hooked(api, receiver.url)
        canceled(api)
        for _ in range(10):
            assert send_due(api.bench) == [1]
            pass_time(api)
        assert send_due(api.bench) == [0]
        (failed,) = log(api, webhook["id"], state="failed")
        receiver.answer = lambda _: Reply(200)

        path = f"/v1/webhooks/{webhook['id']}/deliveries/{failed['id']}/replay"
        replayed = api.client.post(path)
        send_due(api.bench)

    assert (replayed.status_code, replayed.json()["state"]) == (202, "waiting")
    (delivery,) = log(api, webhook["id"])
    assert (delivery["state"], len(delivery["attempts"])) == ("succeeded", 11)
    assert len({one.headers["webhook-id"] for one in receiver.got}) == 1


def test_410_disables_the_webhook_until_its_owner_enables_it(api: Api) -> None:
    with a_receiver(lambda _: Reply(410)) as receiver:
        path = f"/v1/webhooks/{hooked(api, receiver.url)['id']}"
        canceled(api)
        send_due(api.bench)
        canceled(api)
        gone = api.read(path)
        refused = api.client.post(f"{path}/test")
        sent = send_due(api.bench)
        receiver.answer = lambda _: Reply(200)
        api.client.patch(path, json={"enabled": True})
        canceled(api)

        assert (gone["enabled"], gone["disabled"]) == (False, "gone")
        assert refusal_of(refused) == (409, "webhook_disabled")
        assert sent == [0]
        assert send_due(api.bench) == [1]


def test_receiver_in_trouble_gets_one_at_a_time(api: Api) -> None:
    with a_receiver(lambda _: Reply(500)) as receiver:
        hooked(api, receiver.url)
        for _ in range(8):
            canceled(api)

        assert send_due(api.bench, times=2) == [4, 1]


def test_tenant_has_a_bounded_number_in_flight_over_all_receivers(api: Api) -> None:
    for number in range(3):
        hooked(api, f"https://h{number}.example/")
    canceled(api)
    claim = partial(api.bench.do, outbox.claim, most=9, few=4, each=2, at_host=9, lease_seconds=60)

    assert [len(claim()) for _ in range(2)] == [2, 0]


def test_receiver_has_a_bounded_number_in_flight_over_webhooks_and_tenants(api: Api) -> None:
    for number in range(3):
        hooked(api, f"https://victim.example/{number}")
    other = api.headers(*Scope, tenant=Tenant("other"))
    hook = {"url": "https://VICTIM.example/", "events": ["job.canceled"]}
    assert api.client.post("/v1/webhooks", json=hook, headers=other).status_code == 201
    for _ in range(2):
        canceled(api)
    job = api.create("/v1/jobs", files={"photo": a_photo()}, headers=other)
    api.client.post(f"/v1/jobs/{job['id']}/cancel", headers=other)
    claim = partial(api.bench.do, outbox.claim, most=9, few=4, each=9, lease_seconds=60)

    of_lanes = claim(at_host=9)
    api.bench.do(outbox.release, of_lanes)
    of_host = claim(at_host=3)

    assert sorted(Counter(lane.tenant for lane in of_lanes).values()) == [1, 4]
    assert len(of_host) == 3


def test_delivery_claimed_by_a_dead_sender_is_sent_by_another(api: Api) -> None:
    with a_receiver() as receiver:
        hooked(api, receiver.url)
        canceled(api)
        (lost,) = api.bench.do(outbox.claim, most=9, few=4, each=9, at_host=9, lease_seconds=60)
        assert send_due(api.bench) == [0]
        with api.bench.transaction() as connection:
            connection.execute(text("UPDATE deliveries SET leased_until = now() - interval '1s'"))
            assert outbox.recover(connection) == 1

        assert send_due(api.bench) == [1]

    with api.bench.transaction() as connection:
        outbox.record_attempt(
            connection, lost, AttemptResult(1.0, status=500), DeliveryState.FAILED
        )
        states = connection.execute(text("SELECT state, attempt FROM deliveries")).all()
    assert states == [("succeeded", 1)], "the dead one's attempt is refunded, its word is void"


def test_test_delivery_is_sent_once(api: Api) -> None:
    with a_receiver(lambda _: Reply(500, b"x" * 5000)) as receiver:
        webhook = hooked(api, receiver.url)

        answer = api.client.post(f"/v1/webhooks/{webhook['id']}/test")
        send_due(api.bench)

    assert answer.status_code == 202
    sent = json.loads(receiver.got[0].body)
    assert (sent["type"], sent["data"]) == ("webhook.test", {"webhook_id": webhook["id"]})
    (delivery,) = log(api, webhook["id"])
    assert (delivery["id"], delivery["state"]) == (answer.json()["id"], "failed")
    assert delivery["attempts"][0]["answer"] == "x" * 1024


@pytest.mark.parametrize("is_deleted", [True, False], ids=["job deleted", "webhook paused"])
def test_waiting_delivery_ends_with_its_job_or_webhook(api: Api, *, is_deleted: bool) -> None:
    with a_receiver() as receiver:
        webhook = hooked(api, receiver.url)
        job_id = canceled(api)
        if is_deleted:
            api.client.delete(f"/v1/jobs/{job_id}")
        else:
            api.client.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": False})

        assert send_due(api.bench) == [0]
        states = [one["state"] for one in log(api, webhook["id"])]
        assert states == ([] if is_deleted else ["failed"])


def test_deliveries_that_failed_or_wait_for_a_retry_are_replayed_at_once(api: Api) -> None:
    says = iter([Reply(500), Reply(500), Reply(204), Reply(204)])
    with a_receiver(lambda _: next(says)) as receiver:
        webhook = hooked(api, receiver.url)
        for _ in range(2):
            canceled(api)
        send_due(api.bench)
        api.bench.execute("""
            UPDATE deliveries SET state = 'failed', finished_at = now()
            WHERE number < (SELECT max(number) FROM deliveries)
        """)
        path = f"/v1/webhooks/{webhook['id']}/deliveries/replay"

        replayed = [api.create(path)["replayed"] for _ in range(2)]

        assert replayed == [2, 0]
        assert send_due(api.bench) == [2]
    tried = log(api, webhook["id"])
    assert [(one["state"], len(one["attempts"])) for one in tried] == [("succeeded", 2)] * 2


@pytest.mark.parametrize("deleted", ["job", "webhook"])
def test_deletion_during_a_delivery_leaves_no_line_in_the_log(api: Api, deleted: str) -> None:
    webhook = hooked(api, "https://example.com/")
    job_id = canceled(api)
    (claimed,) = api.bench.do(outbox.claim, most=1, few=1, each=9, at_host=9, lease_seconds=60)
    path = f"/v1/jobs/{job_id}" if deleted == "job" else f"/v1/webhooks/{webhook['id']}"

    with ThreadPoolExecutor(1) as pool:
        with api.bench.transaction() as connection:
            tried = AttemptResult(0.1, status=200, answer="something personal")
            outbox.record_attempt(connection, claimed, tried, DeliveryState.SUCCEEDED)
            deleting = pool.submit(api.client.delete, path)
            races.wait_for_lock_waiters(api.bench, deleting)
        assert deleting.result().status_code == 204

    left = ["webhook_secrets"] if deleted == "webhook" else []
    for table in ("deliveries", "delivery_attempts", *left):
        assert api.bench.scalar(f"SELECT count(*) FROM {table}") == 0


def test_stopped_sender_returns_unfinished_deliveries(api: Api) -> None:
    begun = threading.Event()

    def hang(got: ReceivedRequest) -> Reply:
        begun.set()
        return receiver.hang(got)

    pace = SendLimits(look_seconds=0.01, drain_seconds=0.05)
    with a_receiver(hang) as receiver:
        webhook = hooked(api, receiver.url)["id"]
        with sending(api.bench, pace) as stop:
            api.client.post(f"/v1/webhooks/{webhook}/test")
            assert begun.wait(_SECONDS)

            stop()

        rows = api.bench.rows("SELECT state, attempt FROM deliveries")
    assert rows == [("waiting", 0)]


@dataclass(slots=True)
class Deaf:
    """Reaches one receiver that answers, and others that never do: `waiting` posts."""

    waiting: int = 0
    heard: threading.Event = field(default_factory=threading.Event)

    async def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes
    ) -> EndpointAnswer | NoAnswer:
        del headers, body
        if "quick" in url:
            self.heard.set()
            return EndpointAnswer(204, b"")
        self.waiting += 1
        await anyio.sleep_forever()
        raise AssertionError("it was woken")


def test_forty_receivers_that_hang_leave_room_for_the_one_that_does_not(api: Api) -> None:
    outbound = Deaf()
    for number in range(40):
        url = f"https://example.com/{number}"
        write(api, hooked(api, url)["id"], 20)
    pace = SendLimits(look_seconds=0.01, drain_seconds=0.05)

    with sending(api.bench, pace, outbound) as stop:
        # All other receivers already use their maximum.
        wait_until(lambda: outbound.waiting >= 160)
        url = "https://example.com/quick"
        write(api, hooked(api, url)["id"], 1)

        assert outbound.heard.wait(_SECONDS)
        stop()

    assert outbound.waiting == 160
    succeeded = api.bench.scalar("SELECT count(*) FROM deliveries WHERE state = 'succeeded'")
    assert succeeded == 1


def test_sender_without_a_key_names_the_missing_setting(api: Api) -> None:
    changed_settings = dataclasses.replace(api.bench.settings, secrets=SecretsSettings())

    with pytest.raises(SetupFailed, match="SMART_FILTER_SECRETS_KEY is not set"):
        process.serve(changed_settings, render=lambda *_: b"")


def write(api: Api, webhook: str, count: int) -> None:
    api.bench.execute(
        """
            INSERT INTO deliveries (id, tenant, webhook, lane, type, happened_at, due_at)
            SELECT gen_random_uuid(), 'tests', :id, 'tests ' || :id, 'webhook.test', now(), now()
            FROM generate_series(1, :count)
        """,
        id=webhook,
        count=count,
    )


@pytest.fixture
def sender(api: Api) -> Iterator["subprocess.Popen[bytes]"]:
    (key,) = api.bench.settings.secrets.key
    environment = {
        **os.environ,
        **api.bench.environment,
        "SMART_FILTER_SECRETS_KEY": key.get_secret_value(),
        "SMART_FILTER_OUTBOUND_ALLOW": LOOPBACK,
        "SMART_FILTER_HEARTBEAT_SECONDS": "0.1",
    }
    process = subprocess.Popen(program.command("sender"), env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_sender_is_listed_and_drained_like_workers(
    api: Api, sender: "subprocess.Popen[bytes]"
) -> None:
    def members() -> list[WorkerInfo]:
        return api.bench.do(overview.list_workers, silent_seconds=30)

    sent = threading.Event()

    def take(_: ReceivedRequest) -> Reply:
        sent.set()
        return Reply()

    wait_until(lambda: members() != [])
    (member,) = members()
    census = api.bench.do(worker_registry.count_by_state, silent_seconds=30)
    served = api.bench.do(worker_registry.list_served, silent_seconds=30)
    with a_receiver(take) as receiver:
        webhook = hooked(api, receiver.url)["id"]
        api.bench.do(worker_registry.drain, member.id)
        wait_until(lambda: _own_state(api.bench) == WorkerState.DRAINING)
        api.client.post(f"/v1/webhooks/{webhook}/test")
        sent_while_drained = sent.wait(0.6)  # two polls of the sender, and more
        api.bench.do(worker_registry.resume, member.id)
        sent_afterwards = sent.wait(60)
    sender.send_signal(signal.SIGTERM)
    status = sender.wait(60)

    assert (member.host, member.pid) == (socket.gethostname(), sender.pid)
    assert (census, served) == ({(SENDER_ROLE, WorkerState.READY): 1}, set())
    assert (sent_while_drained, sent_afterwards) == (False, True)
    assert (status, members()) == (0, [])


def _own_state(bench: Bench) -> WorkerState:
    """Return the state that the sender itself has written; the member list is ahead of it."""
    (sign,) = bench.do(worker_registry.last_seen, socket.gethostname(), silent_seconds=30)
    return sign.state


def test_new_webhook_shows_its_secret_once(api: Api) -> None:
    shown = hooked(api, URL, events=["job.succeeded"])

    assert set(shown) == {"id", "url", "events", "secret"}
    assert len(base64.b64decode(shown["secret"].removeprefix("whsec_"))) == 32
    again = api.read(f"/v1/webhooks/{shown['id']}")
    assert "secret" not in again
    assert (again["url"], again["events"], again["enabled"]) == (URL, ["job.succeeded"], True)
    assert api.read("/v1/webhooks") == {"items": [again], "next_cursor": None}


def test_no_secret_is_readable_in_the_database(api: Api) -> None:
    shown = api.create("/v1/webhooks", json={"url": URL}, headers={"Idempotency-Key": "one"})
    key = base64.b64decode(shown["secret"].removeprefix("whsec_"))

    stored = [
        api.bench.scalar("SELECT sealed FROM webhook_secrets"),
        api.bench.scalar("SELECT convert_to(body, 'UTF8') FROM requests"),
    ]

    assert not any(key in one or shown["secret"].encode() in one for one in stored)


def test_fifty_webhooks_at_most_are_created(api: Api) -> None:
    def make(_: int) -> httpx.Response:
        return api.client.post("/v1/webhooks", json={"url": URL})

    api.bench.execute("""
        INSERT INTO webhooks (id, tenant, url, events, created_at)
        SELECT gen_random_uuid(), 'tests', 'https://example.com/', '{}', now()
        FROM generate_series(1, 44)
    """)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(make, range(14)))

    assert Counter(answer.status_code for answer in answers) == {201: 6, 422: 8}
    assert all("50" in answer.json()["detail"] for answer in answers if answer.status_code == 422)


def test_null_changes_no_field_of_a_webhook(api: Api) -> None:
    hook = hooked(api, URL)
    path = f"/v1/webhooks/{hook['id']}"

    answer = api.client.patch(path, json={"url": None, "events": None, "enabled": None})

    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in ("url", "events", "disabled")} == {
        "url": URL,
        "events": hook["events"],
        "disabled": None,
    }
