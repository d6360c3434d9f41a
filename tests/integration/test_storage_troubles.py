"""Storage that cannot be used, as a line that names the setting; connections that it closes."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from smart_filter_deploy.cli.endings import NO_SERVER
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.errors import StorageRefused, StorageUnavailable
from smart_filter_shared.settings import StorageSettings
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests.bench import settings_of
from smart_filter_tests.commands import Command

SECRET = "hush-hush-hush-hush"
URL = "SMART_FILTER_STORAGE_URL"
# The wrong setting and its value, and the words for it. Storage that is away may come back.
AWAY = {
    "host": (URL, "http://nowhere.invalid:9000", "has a host that nobody knows"),
    "port": (URL, "http://127.0.0.1:9", "does not answer (Connection refused)"),
    "tls": (URL, "https://{server}", "speaks no TLS"),
}
REFUSED = {
    "key": ("SMART_FILTER_STORAGE_ACCESS_KEY", "nobody", "does not know the access key"),
    "secret": (
        "SMART_FILTER_STORAGE_SECRET_KEY",
        SECRET,
        "says that the secret key is not that of the access key",
    ),
    "bucket": ("SMART_FILTER_STORAGE_BUCKET", "not-there", "has no bucket not-there"),
}


@pytest.mark.parametrize("trouble", AWAY | REFUSED)
def test_storage_that_cannot_be_used_names_the_setting_to_correct(
    servers: Stack, trouble: str
) -> None:
    variable, value, words = (AWAY | REFUSED)[trouble]
    server = servers.addresses.environment()[URL].removeprefix("http://")
    told = settings_of(servers.addresses, **{variable: value.format(server=server)})

    with pytest.raises(StorageUnavailable) as raised:
        ObjectStore(told.storage, connections=1).check()

    line = str(raised.value)
    assert isinstance(raised.value, StorageRefused) is (trouble in REFUSED)
    assert (words in line, variable in line, SECRET in line) == (True, True, False)
    assert not re.search(r"[A-Za-z]+Error|Traceback", line)


@pytest.mark.parametrize(
    "words",
    [["audit"], ["api", "--port", "1"], ["worker", "--stages", "prepare"]],
    ids=" ".join,
)
def test_command_ends_in_one_line_when_storage_refuses_it(
    command: Command, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("SMART_FILTER_STORAGE_SECRET_KEY", SECRET)

    told = command.said(*words)

    assert told.count("\n") == 1
    assert "SMART_FILTER_STORAGE_SECRET_KEY" in told
    assert SECRET not in told
    assert command.status(*words) == NO_SERVER


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
