"""The embedded stack with our own processes on it; needs everything installed."""

import http.client
import json
import logging
import secrets
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import click

from smart_filter_deploy.cli import program, weights
from smart_filter_deploy.cli.endings import PROGRAM
from smart_filter_deploy.cli.terminal import tell
from smart_filter_deploy.cli.worker import default_threads
from smart_filter_deploy.embedded.addresses import StackAddress
from smart_filter_deploy.embedded.children import Command
from smart_filter_deploy.embedded.folder import DataFolder, running_stack
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port
from smart_filter_deploy.embedded.signals import StopRequest
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared import settings
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import StageName

_ANSWER_SECONDS = 1.0
_LEAST_THREADS = 2
_CODE_BYTES = 24
_SECRET_BYTES = 32


def serve(
    data: Path | None, *, port: int | None, workers: int, live: bool, for_people: bool
) -> None:
    """Start everything, print where it is, and return when SIGINT or SIGTERM has stopped it.

    Raises SetupFailed in one line with the remedy.
    """
    # What supervision says of children that die goes to standard error, like our own words.
    logging.basicConfig(format=f"{PROGRAM}: %(message)s")
    settings.ensure_readable()
    folder = DataFolder.at(data)
    _refuse_second(folder)
    if port is not None:
        _refuse_taken(port)
    try:
        with _sigterm_as_sigint():
            weights.fetch(folder.part("weights"), _say)
    except KeyboardInterrupt:
        return
    with StopRequest() as stop:
        _say("starting PostgreSQL, Valkey and the object store")
        with _live(wanted=live) as video, Stack(folder, stop=stop) as stack:
            code = secrets.token_urlsafe(_CODE_BYTES)
            address = (
                None
                if stop.requested
                else _start(stack, stop, port=port, workers=workers, live=video, code=code)
            )
            if address is None:
                return
            _tell(address, code, folder, for_people=for_people)
            stack.supervise()
            _say("stopping")


@dataclass(frozen=True, slots=True)
class _Live:
    """Live video: the secret that its worker shares with the API, and where clients come.

    listening: ours, so that clients who come before the worker serves, or while it is started
    again, wait for it, and nobody waits for its start.
    """

    listening: socket.socket
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(_SECRET_BYTES), repr=False)

    @property
    def environment(self) -> dict[str, str]:
        host, port = self.listening.getsockname()
        return {
            "SMART_FILTER_LIVE_URL": f"ws://{host}:{port}",
            "SMART_FILTER_LIVE_SECRET": self.secret,
        }

    def worker(self) -> Command:
        number = self.listening.fileno()
        return Command(
            name="live",
            argv=program.command("live-worker", "--fd", str(number)),
            env=self.environment,
            inherit=(number,),
        )


@contextmanager
def _live(*, wanted: bool) -> Iterator[_Live | None]:
    if not wanted:
        yield None
        return
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield _Live(listening)


def _start(
    stack: Stack,
    stop: StopRequest,
    *,
    port: int | None,
    workers: int,
    live: _Live | None,
    code: str,
) -> StackAddress | None:
    """Start API and workers on the servers; None when somebody asked to stop meanwhile."""
    _say("preparing the database, starting the API")
    api_key = f"sf_local_{stack.folder.secret('api-key')}"
    port = port or free_port()
    stack.start(_prepare(api_key, code), _api(port, {} if live is None else live.environment))
    _say("starting the workers" if workers > 1 else "starting a worker")
    # After the database is prepared, and a tier of its own: it stops before the API does, so
    # that whoever waits for a photo is still answered.
    others = [_sender()] if live is None else [_sender(), live.worker()]
    stack.start(*(_worker(number, workers) for number in range(1, workers + 1)), *others)
    if stop.requested:
        return None
    return stack.announce(url=f"http://{LOOPBACK}:{port}", api_key=api_key)


def _prepare(api_key: str, code: str) -> Command:
    # A process of its own: it imports what neither this one nor the API should hold in memory.
    return Command(
        name="prepare",
        argv=program.command("prepare"),
        env={"SMART_FILTER_LOCAL_KEY": api_key, "SMART_FILTER_LOCAL_CODE": code},
        once=True,
    )


def _api(port: int, environment: Mapping[str, str]) -> Command:
    return Command(
        name="api",
        argv=program.command("api", "--host", LOOPBACK, "--port", str(port)),
        env=environment,
        ready=lambda: _is_ready(port),
    )


def _worker(number: int, workers: int) -> Command:
    threads = max(_LEAST_THREADS, -(-default_threads() // workers))
    return Command(
        name=f"worker-{number}",
        argv=program.command(
            *("worker", "--stages", ",".join(StageName), "--threads", str(threads))
        ),
    )


def _sender() -> Command:
    return Command(name="sender", argv=program.command("sender"))


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tell(address: StackAddress, code: str, folder: DataFolder, *, for_people: bool) -> None:
    line = {
        "url": address.url,
        "api_key": address.api_key,
        "pid": address.pid,
        "studio_url": address.studio_url_with(code),
    }
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _say("nobody reads the first line; staying up all the same")
    if for_people:
        click.echo(
            f"\nSmart Filter is up; its data lies in {folder.path}. Try it:\n\n"
            f"  {PROGRAM} run photo.jpg\n\n"
            f"  KEY={address.api_key}\n"
            f'  curl -H "Authorization: Bearer $KEY" -F photo=@photo.jpg \\\n'
            f"    {address.url}/v1/jobs\n\n"
            "How it is, in a browser (signed in, once):\n\n"
            f"  {address.admin_url_with(code)}\n\n"
            "Ctrl-C stops it all.",
            err=True,
        )


def _say(message: str) -> None:
    tell(message, err=True)


def _refuse_second(folder: DataFolder) -> None:
    stack = running_stack(folder.path)
    if stack is not None:
        raise SetupFailed(
            f"a stack is up on {folder.path} already, at {stack.url} (process {stack.pid}): "
            f"`{PROGRAM} run` uses it; `kill {stack.pid}` stops it"
        )


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise SetupFailed(
                f"port {port} cannot be had ({error.strerror}): choose another with --port"
            ) from error


@contextmanager
def _sigterm_as_sigint() -> Iterator[None]:
    # So that what runs meanwhile, pip, is ended with us in either case.
    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
