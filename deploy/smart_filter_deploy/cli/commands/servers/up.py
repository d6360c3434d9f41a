"""`smart-filter up`: runs the whole service on this machine.

The process supervises for as long as the service runs, so what needs large libraries happens in
child processes that end: `preflight`, `prepare` and the test certificate.
"""

import datetime as dt
import http.client
import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from smart_filter_deploy import tls_files
from smart_filter_deploy.cli.commands.options import default_threads
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.cli.terminal.exit_codes import ALL_SUCCEEDED, PROGRAM
from smart_filter_deploy.cli.terminal.signals import handle_signals
from smart_filter_deploy.cli.terminal.text import describe_defaults, examples, print_line
from smart_filter_deploy.embedded.addresses import (
    LOOPBACK,
    StackAddress,
    accepts_connections,
    claim_port,
    find_fault,
    free_port,
    http_status,
)
from smart_filter_deploy.embedded.child_processes import Command, StopRequest
from smart_filter_deploy.embedded.folder import DataFolder, running_stack
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_deploy.process_secrets import Process
from smart_filter_deploy.tls_files import TlsFiles
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.security import outbound_rules
from smart_filter_shared.telemetry.streams import replace_standard_streams

_CODE_BYTES = 24
_SECRET_BYTES = 32
# Loading all models takes seconds; a slow disk or a busy machine takes longer.
_WARM_SECONDS = 300.0
# Pause between two questions to the API, which reads the workers from the database.
_ASK_SECONDS = 0.2
_ASK_TIMEOUT_SECONDS = 1.0
# A stop that is requested meanwhile waits for it.
_MODELS_TIMEOUT_SECONDS = 5.0
_HTTPS_PORT = 443


@click.command(
    epilog=examples(
        "smart-filter up",
        "smart-filter up --port 8000 --workers 2 --data /srv/smart-filter",
        "smart-filter up --public-only",
        "smart-filter up --tls-certificate tls/server.pem --tls-key tls/server.key",
    )
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data folder. Default: SMART_FILTER_DATA, else the platform's data folder.",
)
@click.option(
    "--port", type=click.IntRange(1, 65534), help="Port of the API. Default: a free port."
)
@click.option(
    "--operators-port",
    type=click.IntRange(1, 65535),
    help="Port of the dashboard, metrics and readiness. Default: the one after --port if free.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Number of worker processes, of about 1 GB each; one for each core gives the most photos.",
)
@click.option(
    "--broker/--no-broker",
    default=True,
    help="Run Valkey; without it photos start up to a second later. Default: on.",
)
@click.option("--live/--no-live", default=True, help="Run live video. Default: on.")
@click.option(
    "--public-only",
    is_flag=True,
    help="Refuse webhooks, photos and backgrounds at URLs of this machine, as other servers do.",
)
@click.option(
    "--tls-certificate",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Serve https too, with this certificate (PEM).",
)
@click.option("--tls-key", type=click.Path(path_type=Path), metavar="FILE", help="Its key (PEM).")
@click.option(
    "--tls-host",
    metavar="ADDRESS",
    help=f"IPv4 address of https. Default: {LOOPBACK}; 0.0.0.0: every one, and --public-only.",
)
@click.option(
    "--tls-port",
    type=click.IntRange(1, 65535),
    help=f"Port of https. Default: {_HTTPS_PORT}.",
)
@click.option("--json", "as_json", is_flag=True, help="Print only JSON.")
def up(
    *,
    data: Path | None,
    port: int | None,
    operators_port: int | None,
    workers: int,
    tls_certificate: Path | None,
    tls_key: Path | None,
    tls_host: str | None,
    tls_port: int | None,
    broker: bool,
    live: bool,
    public_only: bool,
    as_json: bool,
) -> None:
    """Start the servers, the API and workers; run until Ctrl-C.

    The first line on standard output is JSON with url, operators_url, api_key, pid and studio_url,
    printed when the API answers and a worker has loaded its models. studio_url signs a browser in,
    once and within ten minutes. Messages for people go to standard error.

    URLs of webhooks, photos and backgrounds may lead to this machine, unless
    SMART_FILTER_OUTBOUND_ALLOW or --public-only says otherwise.
    """
    # A terminal that is closed, or a full disk, must not end the service.
    replace_standard_streams("stderr")
    # Supervision logs the end of child processes; print it like our own messages.
    logging.basicConfig(format=f"{PROGRAM}: %(message)s")
    files = tls_files.find(tls_certificate, tls_key, now=dt.datetime.now(dt.UTC))
    if files is None and (tls_host or tls_port):
        raise click.UsageError(
            "--tls-host and --tls-port are of https: add --tls-certificate and --tls-key"
        )
    https = None if files is None else _Https(files, tls_host or LOOPBACK, tls_port or _HTTPS_PORT)
    # Clients on other machines must not reach this machine's own servers through it.
    opens = https is not None and https.host != LOOPBACK
    outbound = _choose_outbound(public_only=public_only, opens=opens)
    _refuse_second_stack(data)
    ports = _choose_ports(port, operators_port)
    if https is not None:
        https.refuse_used_port()
    try:
        live_settings = _run_preflight(data)
    except KeyboardInterrupt:
        return
    folder = DataFolder.at(data)
    with StopRequest() as stop:
        _print_progress(f"starting PostgreSQL{' and Valkey' if broker else ''}")
        with (
            _listen_for_live(live_settings, wanted=live) as video,
            Stack(folder, stop=stop, broker=broker) as stack,
        ):
            stop.check()
            code = secrets.token_urlsafe(_CODE_BYTES)
            address = _start_processes(
                stack,
                stop,
                ports=ports,
                workers=workers,
                live=video,
                code=code,
                outbound=outbound,
                https=https,
            )
            if not as_json:
                _print_defaults(ports, address, folder)
            _print_addresses(address, code, folder, for_people=not as_json)
            stack.supervise()
            _print_progress("stopping")


@dataclass(frozen=True, slots=True)
class _Https:
    """A second API process, which serves https at its own address and port."""

    files: TlsFiles
    host: str
    port: int

    def refuse_used_port(self) -> None:
        """Raise SetupFailed when a server cannot listen there."""
        fault = find_fault(self.port, self.host)
        if fault is not None:
            raise SetupFailed(
                f"https cannot be served on {self.host}:{self.port} ({fault}): stop the server"
                " that uses it, run as a user who may, or choose others with --tls-host and"
                " --tls-port"
            )

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    def command(self, environment: Mapping[str, str]) -> Command:
        options = (
            *("--host", self.host, "--port", str(self.port)),
            *("--tls-certificate", str(self.files.certificate)),
            *("--tls-key", str(self.files.key)),
        )
        return Command(
            name="api-https",
            argv=program.command("api", *options),
            env=environment,
            process=Process.API,
            ready=lambda: accepts_connections(self.host, self.port),
        )


@dataclass(frozen=True, slots=True)
class _Ports:
    """Ports of the API: for clients, and for operators."""

    public: int
    operators: int


@dataclass(frozen=True, slots=True)
class _LiveVideo:
    """Live video: the socket that clients connect to, and the secret shared with the API.

    listening: held by this process, so that clients queue while the worker starts or restarts. It
        starts with the first client.
    settings: the operator's variables that a live worker reads.
    """

    listening: socket.socket
    settings: Mapping[str, str] = field(repr=False)
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(_SECRET_BYTES), repr=False)

    @property
    def environment(self) -> dict[str, str]:
        host, port = self.listening.getsockname()
        return {
            "SMART_FILTER_LIVE_URL": f"ws://{host}:{port}",
            "SMART_FILTER_LIVE_SECRET": self.secret,
        }

    def worker(self) -> Command:
        return Command(
            name="live",
            argv=program.command("live-worker", "--fd", str(self.listening.fileno())),
            env={**self.settings, **self.environment},
            uses_servers=False,
            serves=self.listening,
        )


class _WorkerPoll:
    """Asks the API which workers have loaded their models, with a pause between two questions."""

    def __init__(self, operators_port: int, api_key: str) -> None:
        self._port, self._api_key = operators_port, api_key
        self._ask_at = 0.0
        self._warm: frozenset[int] = frozenset()

    def is_warm(self, pid: int | None) -> bool:
        """Return whether the worker of this process id had loaded its models when last asked."""
        if pid not in self._warm and time.monotonic() >= self._ask_at:
            self._warm = frozenset(self._read_warm())
            self._ask_at = time.monotonic() + _ASK_SECONDS
        return pid in self._warm

    def _read_warm(self) -> Iterator[int]:
        path = "/v1/operator/standing"
        shown = _ask_api(self._port, path, self._api_key, timeout_seconds=_ASK_TIMEOUT_SECONDS)
        yield from (
            worker["pid"] for worker in shown.get("workers", ()) if worker["state"] != "starting"
        )


def _ask_api(
    port: int, path: str, api_key: str, *, timeout_seconds: float
) -> dict[str, Any]:  # JSON; callers read the fields that they need
    """Return the API's answer to a GET; an empty one when it is busy or fails."""
    # Not by the client, whose HTTP library would hold 10 MB in this process.
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_seconds)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {api_key}"})
        answer = connection.getresponse()
        return json.load(answer) if answer.status == http.client.OK else {}
    except (OSError, http.client.HTTPException):
        return {}
    finally:
        connection.close()


def _choose_outbound(*, public_only: bool, opens: bool) -> dict[str, str]:
    """Return the environment that opens this machine to its own clients, unless it is public only.

    opens: whether other machines have access to the API.
    Ends the command when both the option and the operator's setting are given.
    """
    given = os.environ.get(outbound_rules.SETTING)
    if public_only and given:
        raise click.UsageError(
            f"--public-only contradicts {outbound_rules.SETTING}={given}; leave one of them out"
        )
    if public_only or opens or given:
        return {}
    return {outbound_rules.SETTING: ",".join(outbound_rules.LOOPBACK_TARGETS)}


@contextmanager
def _listen_for_live(settings: Mapping[str, str], *, wanted: bool) -> Iterator[_LiveVideo | None]:
    if not wanted:
        yield None
        return
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield _LiveVideo(listening, settings)


def _start_processes(
    stack: Stack,
    stop: StopRequest,
    *,
    ports: _Ports,
    workers: int,
    live: _LiveVideo | None,
    code: str,
    outbound: Mapping[str, str],
    https: _Https | None,
) -> StackAddress:
    """Start API and workers; return the API's address once a worker has loaded its models."""
    subject = "the workers" if workers > 1 else "a worker"
    _print_progress(f"preparing the database, starting the API and {subject}")
    api_key = f"sf_local_{stack.folder.secret('api-key')}"
    # A separate process, because it imports modules that should not stay in memory. The others wait
    # for the schema.
    prepare = Command(
        name="prepare",
        argv=program.command("prepare"),
        env={"SMART_FILTER_LOCAL_KEY": api_key, "SMART_FILTER_LOCAL_CODE": code},
        once=True,
        process=Process.PREPARE,
    )
    environment = {**outbound, **({} if live is None else live.environment)}
    api = Command(
        name="api",
        argv=program.command(
            *("api", "--host", LOOPBACK, "--port", str(ports.public)),
            *("--operators-host", LOOPBACK, "--operators-port", str(ports.operators)),
        ),
        env=environment,
        process=Process.API,
        ready=lambda: http_status(ports.operators, "/readyz") == http.client.OK,
    )
    also = () if https is None else (https.command(environment),)
    threads = -(-default_threads() // workers)
    worker = program.command("worker", "--stages", ",".join(StageName), "--threads", str(threads))
    names = [f"worker-{number}" for number in range(1, workers + 1)]
    poll = _WorkerPoll(ports.operators, api_key)
    serving = [
        Command(
            name=name,
            argv=worker,
            env=outbound,
            process=Process.COMPOSITE_WORKER,
            ready=lambda: any(poll.is_warm(stack.pid(other)) for other in names),
            ready_seconds=_WARM_SECONDS,
        )
        for name in names
    ]
    # Workers stop before the API, so that clients waiting for a photo still get an answer.
    stack.start_tiers([prepare, api, *also], serving)
    if https is not None:
        _print_progress(f"https is served on {https.host}:{https.port}")
    url = f"http://{LOOPBACK}:{ports.public}"
    # For the signed links in webhooks; the API takes the host of each request.
    public = {"SMART_FILTER_PUBLIC_URL": os.environ.get("SMART_FILTER_PUBLIC_URL") or url}
    sender = Command(
        name="sender",
        argv=program.command("sender"),
        env={**outbound, **public},
        process=Process.SENDER,
    )
    # Only now: with these on the same two cores, workers took half as long again to start.
    stack.start(sender, *([] if live is None else [live.worker()]), join=True)
    stop.check()
    https_url = None if https is None else https.url
    return stack.announce(
        url=url,
        operators_url=f"http://{LOOPBACK}:{ports.operators}",
        api_key=api_key,
        https_url=https_url,
    )


def _print_addresses(
    address: StackAddress, code: str, folder: DataFolder, *, for_people: bool
) -> None:
    line = {
        "url": address.url,
        "operators_url": address.operators_url,
        "api_key": address.api_key,
        "pid": address.pid,
        "studio_url": address.studio_url_for_code(code),
    }
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except OSError as error:
        _print_progress(f"standard output takes nothing ({error}); continuing without it")
    if for_people:
        click.echo(
            f"\nSmart Filter is up; its data is in {folder.path}. Try it:\n\n"
            f"  {program.typed_command()} run photo.jpg\n\n"
            f"  KEY={address.api_key}\n"
            f'  curl -H "Authorization: Bearer $KEY" -F photo=@photo.jpg \\\n'
            f"    {address.url}/v1/jobs\n\n"
            "Studio, in a browser (the link signs it in, once within ten minutes):\n\n"
            f"  {address.studio_url_for_code(code)}\n\n"
            f"Dashboard, in the same browser: {address.operators_url}/admin\n\n"
            "Ctrl-C stops everything.",
            err=True,
        )


def _print_defaults(ports: _Ports, address: StackAddress, folder: DataFolder) -> None:
    """Tell once what is on by default; not if the API does not answer: it may be restarted next."""
    answer = _ask_api(
        ports.public, "/v1/models", address.api_key, timeout_seconds=_MODELS_TIMEOUT_SECONDS
    )
    told = describe_defaults(answer.get("items", ()))
    if told and folder.is_news(told):
        _print_progress(told)


def _print_progress(message: str) -> None:
    print_line(message, err=True)


def _run_preflight(data: Path | None) -> dict[str, str]:
    """Run `preflight` in a child process; return the variables that it prints.

    Ends the command, with the child's exit status, when it finds a fault.
    """
    options = () if data is None else ("--data", str(data))
    process = subprocess.Popen(  # noqa: S603 - we start ourselves
        program.tied_command("preflight", *options),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        process_group=0,  # Ctrl-C reaches only us, and we stop the child
    )
    with process, handle_signals((signal.SIGTERM,), signal.default_int_handler):
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            # Relayed, as a caller in the same process may have replaced standard error.
            for line in process.stderr:
                _print_progress(line.rstrip())
            printed = process.stdout.read()
            status = process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
    if status != ALL_SUCCEEDED:
        raise click.exceptions.Exit(status)
    variables: dict[str, str] = json.loads(printed)
    return variables


def _refuse_second_stack(data: Path | None) -> None:
    folder = data or data_folder()
    stack = running_stack(folder)
    if stack is not None:
        raise SetupFailed(
            f"a stack is already running on {folder}, at {stack.url} (process {stack.pid}): "
            f"`{PROGRAM} run` uses it; `kill {stack.pid}` stops it"
        )


def _choose_ports(port: int | None, operators_port: int | None) -> _Ports:
    """Return the ports of the API.  Raises SetupFailed when a chosen one is not available."""
    if operators_port is not None and operators_port == port:
        raise click.UsageError("--operators-port must differ from --port")
    if port is not None:
        _refuse_used_port(port, "--port")
    if operators_port is not None:
        _refuse_used_port(operators_port, "--operators-port")
    elif port is not None and find_fault(port + 1) is None and claim_port(port + 1):
        operators_port = port + 1
    return _Ports(port or free_port(), operators_port or free_port())


def _refuse_used_port(port: int, option: str) -> None:
    # A server that starts at the same time has bound nothing yet.
    fault = find_fault(port) or (None if claim_port(port) else "another server starts with it")
    if fault is not None:
        raise SetupFailed(f"port {port} is not available ({fault}): choose another with {option}")
