"""A sender among the workers: known, watched and drained as they are."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from smart_filter_deploy.cli import program
from smart_filter_shared.jobs import presence, roster
from smart_filter_shared.jobs.presence import SENDING, WorkerState
from smart_filter_shared.jobs.roster import Member
from smart_filter_tests.bench import Bench
from smart_filter_tests.outages import until
from smart_filter_tests.receiving import LOOPBACK, Got, Says, a_receiver
from smart_filter_tests.serving import Api


@pytest.fixture
def sender(api: Api) -> Iterator["subprocess.Popen[bytes]"]:
    settings = api.bench.settings
    (key,) = settings.secrets.key
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


def members(bench: Bench) -> list[Member]:
    return bench.do(roster.listed, silent_seconds=30)


def test_sender_is_known_while_it_runs(api: Api, sender: "subprocess.Popen[bytes]") -> None:
    until(lambda: members(api.bench) != [])
    (member,) = members(api.bench)
    census = api.bench.do(presence.census, silent_seconds=30)
    served = api.bench.do(presence.served, silent_seconds=30)
    sender.send_signal(signal.SIGTERM)
    status = sender.wait(60)

    assert (member.host, member.pid) == (socket.gethostname(), sender.pid)
    assert census == {(SENDING, WorkerState.READY): 1}
    assert served == set()
    assert (status, members(api.bench)) == (0, [])


@pytest.mark.usefixtures("sender")
def test_drained_sender_sends_nothing_until_it_is_resumed(api: Api) -> None:
    sent = threading.Event()

    def take(_: Got) -> Says:
        sent.set()
        return Says()

    until(lambda: members(api.bench) != [])
    (member,) = members(api.bench)
    with a_receiver(take) as receiver:
        webhook = api.client.post("/v1/webhooks", json={"url": receiver.url}).json()["id"]
        api.bench.do(presence.drain, member.id)
        until(lambda: _own_state(api.bench) == WorkerState.DRAINING)
        api.client.post(f"/v1/webhooks/{webhook}/test")
        sent_while_drained = sent.wait(0.6)  # two looks of the sender, and more
        api.bench.do(presence.resume, member.id)

        assert not sent_while_drained
        assert sent.wait(60)


def _own_state(bench: Bench) -> WorkerState:
    """Return the state that the sender itself has written; the roster is ahead of it."""
    (sign,) = bench.do(presence.signs, socket.gethostname(), silent_seconds=30)
    return sign.state
