"""A real HTTP server on the loopback; a function of the test makes its answers."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A received request; names of headers in lower case.  client_port: of its connection."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"
    client_port: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 204
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


# None closes the connection without an answer.
Answer = Callable[[ReceivedRequest], Reply | None]


@contextlib.contextmanager
def serve(answer: Answer, *, port: int = 0, keeps_connections: bool = False) -> Iterator[str]:
    """Serve while the block lasts, each request in a thread; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if keeps_connections else "HTTP/1.0"

        def handle_any(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            client_port = self.client_address[1]
            reply = answer(ReceivedRequest(self.path, headers, body, self.command, client_port))
            if reply is None:
                self.close_connection = True
                return
            with contextlib.suppress(OSError):  # the client may have gone
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - http.server's

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, port), Handler)
    server.daemon_threads = keeps_connections  # else closing waits for answers in progress
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
