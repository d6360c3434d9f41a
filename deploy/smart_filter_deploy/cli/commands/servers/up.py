"""`smart-filter up`: runs the whole service on this machine."""

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

from smart_filter_deploy.cli.commands.options import default_threads
from smart_filter_deploy.cli.models import fetch as weights_fetch
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.cli.terminal.exit_codes import PROGRAM
from smart_filter_deploy.cli.terminal.text import examples, print_line
from smart_filter_deploy.embedded.addresses import StackAddress
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_deploy.embedded.folder import DataFolder, running_stack
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port
from smart_filter_deploy.embedded.signals import StopRequest
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.config import settings
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import StageName

_RESPONSE_TIMEOUT_SECONDS = 1.0
_MIN_THREADS = 2
_CODE_BYTES = 24
_SECRET_BYTES = 32


@click.command(
    epilog=examples(
        "smart-filter up",
        "smart-filter up --port 8000 --workers 2 --data /srv/smart-filter",
    )
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data folder. Default: SMART_FILTER_DATA, else the platform's data folder.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port of the API. Default: a free port."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Number of worker processes.",
)
@click.option("--live/--no-live", default=True, help="Run live video. Default: on.")
@click.option("--json", "as_json", is_flag=True, help="Print only JSON.")
def up(data: Path | None, port: int | None, workers: int, *, live: bool, as_json: bool) -> None:
    """Start the servers, the API and workers; run until Ctrl-C.

    The first line on standard output is JSON with url, api_key, pid and studio_url, printed when
    the API is ready. studio_url signs a browser in, once and within ten minutes. Messages for
    people go to standard error.
    """
    # Supervision logs the end of child processes; print it like our own messages.
    logging.basicConfig(format=f"{PROGRAM}: %(message)s")
    settings.ensure_readable()
    folder = DataFolder.at(data)
    _refuse_second_stack(folder)
    if port is not None:
        _refuse_used_port(port)
    try:
        with _sigterm_as_sigint():
            weights_fetch.fetch_missing(folder.part("weights"), _print_progress)
    except KeyboardInterrupt:
        return
    with StopRequest() as stop:
        _print_progress("starting PostgreSQL, Valkey and the object store")
        with _listen_for_live(wanted=live) as video, Stack(folder, stop=stop) as stack:
            code = secrets.token_urlsafe(_CODE_BYTES)
            address = (
                None
                if stop.requested
                else _start_processes(
                    stack, stop, port=port, workers=workers, live=video, code=code
                )
            )
            if address is None:
                return
            _print_addresses(address, code, folder, for_people=not as_json)
            stack.supervise()
            _print_progress("stopping")


@dataclass(frozen=True, slots=True)
class _LiveVideo:
    """Live video: the socket that clients connect to, and the secret shared with the API.

    listening: held by this process, so that clients queue while the worker starts or restarts.
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
def _listen_for_live(*, wanted: bool) -> Iterator[_LiveVideo | None]:
    if not wanted:
        yield None
        return
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield _LiveVideo(listening)


def _start_processes(
    stack: Stack,
    stop: StopRequest,
    *,
    port: int | None,
    workers: int,
    live: _LiveVideo | None,
    code: str,
) -> StackAddress | None:
    """Start API and workers; return the API's address, or None when a stop was requested."""
    _print_progress("preparing the database, starting the API")
    api_key = f"sf_local_{stack.folder.secret('api-key')}"
    port = port or free_port()
    stack.start(
        _prepare_command(api_key, code),
        _api_command(port, {} if live is None else live.environment),
    )
    _print_progress("starting the workers" if workers > 1 else "starting a worker")
    # Started after the database is prepared, in a tier of its own: workers stop before the API,
    # so that clients waiting for a photo still get an answer.
    others = [_sender_command()] if live is None else [_sender_command(), live.worker()]
    stack.start(*(_worker_command(number, workers) for number in range(1, workers + 1)), *others)
    if stop.requested:
        return None
    return stack.announce(url=f"http://{LOOPBACK}:{port}", api_key=api_key)


def _prepare_command(api_key: str, code: str) -> Command:
    # A separate process, because it imports modules that should not stay in memory.
    return Command(
        name="prepare",
        argv=program.command("prepare"),
        env={"SMART_FILTER_LOCAL_KEY": api_key, "SMART_FILTER_LOCAL_CODE": code},
        once=True,
    )


def _api_command(port: int, environment: Mapping[str, str]) -> Command:
    return Command(
        name="api",
        argv=program.command("api", "--host", LOOPBACK, "--port", str(port)),
        env=environment,
        ready=lambda: _is_ready(port),
    )


def _worker_command(number: int, workers: int) -> Command:
    threads = max(_MIN_THREADS, -(-default_threads() // workers))
    return Command(
        name=f"worker-{number}",
        argv=program.command(
            *("worker", "--stages", ",".join(StageName), "--threads", str(threads))
        ),
    )


def _sender_command() -> Command:
    return Command(name="sender", argv=program.command("sender"))


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_RESPONSE_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _print_addresses(
    address: StackAddress, code: str, folder: DataFolder, *, for_people: bool
) -> None:
    line = {
        "url": address.url,
        "api_key": address.api_key,
        "pid": address.pid,
        "studio_url": address.studio_url_for_code(code),
    }
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _print_progress("standard output is closed; continuing without it")
    if for_people:
        click.echo(
            f"\nSmart Filter is up; its data is in {folder.path}. Try it:\n\n"
            f"  {PROGRAM} run photo.jpg\n\n"
            f"  KEY={address.api_key}\n"
            f'  curl -H "Authorization: Bearer $KEY" -F photo=@photo.jpg \\\n'
            f"    {address.url}/v1/jobs\n\n"
            "Dashboard (the link signs a browser in, once):\n\n"
            f"  {address.admin_url_for_code(code)}\n\n"
            "Ctrl-C stops everything.",
            err=True,
        )


def _print_progress(message: str) -> None:
    print_line(message, err=True)


def _refuse_second_stack(folder: DataFolder) -> None:
    stack = running_stack(folder.path)
    if stack is not None:
        raise SetupFailed(
            f"a stack is already running on {folder.path}, at {stack.url} (process {stack.pid}): "
            f"`{PROGRAM} run` uses it; `kill {stack.pid}` stops it"
        )


def _refuse_used_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise SetupFailed(
                f"port {port} is not available ({error.strerror}): choose another with --port"
            ) from error


@contextmanager
def _sigterm_as_sigint() -> Iterator[None]:
    # SIGTERM then also ends the child process pip, as Ctrl-C does.
    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
