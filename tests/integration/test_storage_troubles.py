"""Storage that cannot be used, as a line that names the setting; connections that it closes."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from smart_filter_deploy.cli.endings import NO_SERVER
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port
from smart_filter_shared import settings
from smart_filter_shared.errors import StorageRefused, StorageUnavailable
from smart_filter_shared.settings import StorageSettings
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests import commands
from smart_filter_tests.bench import Bench
from smart_filter_tests.commands import Command

SECRET = "hush-hush-hush-hush"
# What is said of it, and what is to be corrected; of what may come back, and of what will not.
AWAY = {
    "host": ("has a host that nobody knows", "SMART_FILTER_STORAGE_URL"),
    "port": ("does not answer (Connection refused)", "SMART_FILTER_STORAGE_URL"),
    "tls": ("speaks no TLS", "SMART_FILTER_STORAGE_URL"),
}
REFUSED = {
    "key": ("does not know the access key", "SMART_FILTER_STORAGE_ACCESS_KEY"),
    "secret": (
        "says that the secret key is not that of the access key",
        "SMART_FILTER_STORAGE_SECRET_KEY",
    ),
    "bucket": ("has no bucket not-there", "SMART_FILTER_STORAGE_BUCKET"),
}
TROUBLES = AWAY | REFUSED


@pytest.fixture
def command(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    return commands.on_servers(bench.settings, capsys, monkeypatch)


@pytest.fixture
def _troubled(
    command: Command, bench: Bench, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment names storage that cannot be used."""
    del command  # it names those that are well
    for name, value in _wrong(bench.settings.storage.url)[trouble].items():
        monkeypatch.setenv(name, value)


def _wrong(url: str) -> Mapping[str, Mapping[str, str]]:
    return {
        "host": {"SMART_FILTER_STORAGE_URL": "http://nowhere.invalid:9000"},
        "port": {"SMART_FILTER_STORAGE_URL": f"http://{LOOPBACK}:{free_port()}"},
        "tls": {"SMART_FILTER_STORAGE_URL": url.replace("http://", "https://")},
        "key": {"SMART_FILTER_STORAGE_ACCESS_KEY": "nobody"},
        "secret": {"SMART_FILTER_STORAGE_SECRET_KEY": SECRET},
        "bucket": {"SMART_FILTER_STORAGE_BUCKET": "not-there"},
    }


def assert_told(line: str, trouble: str) -> None:
    what, variable = TROUBLES[trouble]
    assert what in line
    assert variable in line
    assert SECRET not in line
    assert not re.search(r"[A-Za-z]+Error|Traceback", line)


@pytest.mark.usefixtures("_troubled")
@pytest.mark.parametrize("trouble", TROUBLES)
def test_audit_names_the_setting_to_correct(command: Command, trouble: str) -> None:
    told = command.said("audit")

    assert told.count("\n") == 1
    assert_told(told, trouble)
    assert command.status("audit") == NO_SERVER


@pytest.mark.usefixtures("_troubled")
@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("key", ["api", "--port", "1"]),
        ("secret", ["worker", "--stages", "prepare"]),
        ("bucket", ["api", "--port", "1"]),
    ],
)
def test_process_does_not_start_when_storage_refuses_it(
    command: Command, trouble: str, words: list[str]
) -> None:
    told = command.said(*words)

    assert told.count("\n") == 1
    assert_told(told, trouble)


@pytest.mark.usefixtures("_troubled")
@pytest.mark.parametrize("trouble", AWAY)
def test_storage_that_may_come_back_is_no_refusal(trouble: str) -> None:
    with pytest.raises(StorageUnavailable) as raised:
        ObjectStore(settings.load().storage, connections=1).check()

    assert not isinstance(raised.value, StorageRefused)
    assert_told(str(raised.value), trouble)


@contextlib.contextmanager
def closing_server() -> Iterator[tuple[str, list[int]]]:
    """Serve each connection one answer, and close it at the second request.

    Yields its URL, and the ports that requests came from.
    """
    came_from: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            port = self.client_address[1]
            came_from.append(port)
            if came_from.count(port) > 1:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"photo")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", came_from
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_request_on_a_connection_that_is_closed_meanwhile_is_sent_again() -> None:
    with closing_server() as (url, came_from):
        settings = StorageSettings(url=url, access_key=SecretStr("a"), secret_key=SecretStr("b"))
        store = ObjectStore(settings, connections=1)

        contents = [store.get("key"), store.get("key")]

    assert contents == [b"photo", b"photo"]
    assert len(came_from) == 3
