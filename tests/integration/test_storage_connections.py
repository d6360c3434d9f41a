"""Connections to storage that are kept open, and that its server closes as they are used again."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pydantic import SecretStr

from smart_filter_shared.settings import StorageSettings
from smart_filter_shared.storage.objects import ObjectStore


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
