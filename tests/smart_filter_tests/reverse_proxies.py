"""nginx and Caddy on this machine, with the configuration of a test."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

_START_SECONDS = 30
_NGINX_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def find_program(name: str) -> str | None:
    """Return the path of a proxy; a variable such as NGINX names another program."""
    return shutil.which(os.environ.get(name.upper(), name), path=f"{os.environ['PATH']}:/usr/sbin")


def skip_without(name: str) -> pytest.MarkDecorator:
    """Return the mark that skips a test on machines without this proxy."""
    reason = f"no {name}: deploy/bootstrap.sh proxies installs it"
    return pytest.mark.skipif(find_program(name) is None, reason=reason)


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
    with _run([str(find_program("nginx")), "-c", str(path), *places], port):
        yield


@contextlib.contextmanager
def run_caddy(folder: Path, configuration: str, port: int) -> Iterator[None]:
    """Run Caddy with a Caddyfile while the block lasts; port: a TCP port that it opens."""
    path = folder / "Caddyfile"
    path.write_text(configuration)
    with _run([str(find_program("caddy")), "run", "--config", str(path)], port):
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
    gives_up_at = time.monotonic() + _START_SECONDS
    while time.monotonic() < gives_up_at:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None
        time.sleep(0.05)
    raise AssertionError("the proxy does not listen")
