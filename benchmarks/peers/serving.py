"""Run a peer's server and send photos to it."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.paired import NoFigures, Server
from benchmarks.peers import environments
from smart_filter_deploy.embedded.child_processes import process_tree

_START_SECONDS = 240  # Ray took 90 s at a load of 12 on two cores
_STOP_SECONDS = 30
_ANSWER_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A server to measure.

    name: also of its file of requirements.
    command: its first word is a program of the environment; PORT and CORES stand for
        the port and the number of cores.
    upload: name of the form field for the photo; None: the photo is the body.
    """

    name: str
    command: tuple[str, ...]
    path: str = "/inference"
    upload: str | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def up(peer: Peer, weights: Path, selfies: Iterator[bytes]) -> Iterator[Server]:
    """Run a peer's server while the block lasts; yield it after it has answered a photo.

    Raises NoFigures when it does not.
    """
    programs = environments.install(peer.name) / "bin"
    port = _free_port()
    cores = os.cpu_count() or 1
    program, *arguments = (
        word.replace("PORT", str(port)).replace("CORES", str(cores)) for word in peer.command
    )
    with tempfile.TemporaryFile("w+") as log, httpx.Client(timeout=_ANSWER_SECONDS) as client:
        process = subprocess.Popen(
            [programs / program, *arguments],
            env={
                **os.environ,
                **peer.variables,
                "PATH": f"{programs}:{os.environ['PATH']}",
                "PYTHONPATH": os.pathsep.join(map(str, environments.MODULE_PATHS)),
                "WEIGHTS": str(weights),
            },
            stdout=log,
            stderr=log,
            process_group=0,
        )
        try:
            requests = _Requests(client, peer, f"http://127.0.0.1:{port}{peer.path}")
            if not _answers(requests, process, next(selfies)):
                log.seek(0)
                reason = environments.last_line(log.read())
                raise NoFigures(f"not measured: it did not start: {reason}")
            yield Server(process.pid, requests, selfies)
        finally:
            _stop(process)


class _Requests:
    """Sends photos to a peer; thread-safe."""

    def __init__(self, client: httpx.Client, peer: Peer, url: str) -> None:
        self._client = client
        self._peer = peer
        self._url = url

    def __call__(self, photo: bytes) -> bytes:
        """Return the picture for a photo. Raises NoFigures when there is none."""
        try:
            if self._peer.upload is None:
                headers = {"Content-Type": "image/jpeg"}
                response = self._client.post(self._url, content=photo, headers=headers)
            else:
                files = {self._peer.upload: ("photo.jpg", photo, "image/jpeg")}
                response = self._client.post(self._url, files=files, data=self._peer.form)
            return response.raise_for_status().content
        except httpx.HTTPError as error:
            raise NoFigures(f"not reported: an answer failed: {error}") from error


def _answers(requests: _Requests, process: subprocess.Popen[bytes], photo: bytes) -> bool:
    until = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with suppress(NoFigures):
            requests(photo)
            return True
        time.sleep(0.5)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and every process below it, also those that outlive it."""
    started = process_tree(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    for pid in started:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
