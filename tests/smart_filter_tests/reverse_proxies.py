"""nginx and Caddy on this machine, with the configuration of a test."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from smart_filter_tests.outages import wait_until
from smart_filter_tests.proxy_programs import require_program

_NGINX_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextlib.contextmanager
def run_nginx(folder: Path, configuration: str, port: int) -> Iterator[None]:
    """Run nginx, which writes to this folder alone, while the block lasts.

    configuration: a whole one, or its servers.  port: a TCP port that it opens.
    """
    if "http {" not in configuration:
        configuration = f"events {{}}\nhttp {{ access_log off;\n{configuration}\n}}\n"
    # Packages of nginx own the default folders.
    folders = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in _NGINX_FOLDERS)
    path = folder / "nginx.conf"
    path.write_text(configuration.replace("http {", f"http {{ {folders}", 1))
    places = ("-e", f"{folder}/error.log", "-g", f"daemon off; pid {folder}/pid;")
    with _run([require_program("nginx"), "-c", str(path), *places], port):
        yield


@contextlib.contextmanager
def run_caddy(folder: Path, configuration: str, port: int) -> Iterator[None]:
    """Run Caddy with a Caddyfile while the block lasts; port: a TCP port that it opens."""
    path = folder / "Caddyfile"
    path.write_text(configuration)
    with _run([require_program("caddy"), "run", "--config", str(path)], port):
        yield


@contextlib.contextmanager
def _run(command: Sequence[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command)
    try:
        _wait_until_open(port, process)
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    def listens() -> bool:
        assert process.poll() is None
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    wait_until(listens)
