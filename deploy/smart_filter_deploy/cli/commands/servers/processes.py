"""Commands that run one server process: worker, sender, live worker, API, prepare."""

import datetime as dt
import os
from pathlib import Path

import click

from smart_filter_deploy import tls_files, wiring
from smart_filter_deploy.cli.commands.options import default_threads
from smart_filter_deploy.cli.terminal.text import examples
from smart_filter_shared.config import settings
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.telemetry import logs


class _ServerCommand(click.Command):
    """A command that runs outside of the working folder, where libraries look for code to load."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command in the root folder."""
        os.chdir("/")
        return super().invoke(ctx)


def _make_absolute(_ctx: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
    """Return a path that means the same in the root folder."""
    return None if path is None else path.absolute()


@click.command(
    cls=_ServerCommand,
    epilog=examples(
        "smart-filter worker --stages prepare,composite --threads 4",
        "smart-filter worker --stages segmentation --models detectron2",
    ),
)
@click.option(
    "--stages",
    required=True,
    metavar="A,B",
    help="Stages to serve: prepare, segmentation, face, smile, composite.",
)
@click.option(
    "--models",
    default="",
    metavar="A,B",
    help="Serve only these models of their stages; they are loaded before the worker is ready.",
)
@click.option("--threads", type=click.IntRange(1, 256), help="Number of photos processed at once.")
def worker(stages: str, models: str, threads: int | None) -> None:
    """Run a worker that serves stages of the pipeline.

    Requires SMART_FILTER_DATABASE_URL, SMART_FILTER_BROKER_URL, SMART_FILTER_STORAGE_URL,
    SMART_FILTER_STORAGE_ACCESS_KEY and SMART_FILTER_STORAGE_SECRET_KEY.
    """
    names = [name.strip() for name in stages.split(",")]
    unknown = sorted(set(names) - set(StageName))
    if unknown:
        raise click.BadParameter(
            f"{', '.join(unknown)}: there are {', '.join(StageName)}", param_hint="--stages"
        )
    wiring.serve_worker(
        settings.load(),
        stages=tuple(StageName(name) for name in dict.fromkeys(names)),
        models=[name.strip() for name in models.split(",") if name.strip()],
        threads=threads or default_threads(),
    )


@click.command(cls=_ServerCommand, epilog=examples("smart-filter sender"))
def sender() -> None:
    """Run a webhook sender; any number can run.

    Requires SMART_FILTER_DATABASE_URL, SMART_FILTER_BROKER_URL, SMART_FILTER_STORAGE_URL and
    SMART_FILTER_SECRETS_KEY.
    """
    wiring.serve_sender(settings.load(uses_storage=False))


_operators_host_option = click.option(
    "--operators-host",
    default="127.0.0.1",
    show_default=True,
    help="The address of --operators-port.",
)


@click.command(
    "live-worker",
    cls=_ServerCommand,
    epilog=examples("smart-filter live-worker --host 0.0.0.0 --port 8090"),
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8090,
    show_default=True,
    help="Port; 0 picks a free one.",
)
@click.option(
    "--operators-port",
    type=click.IntRange(1, 65535),
    help="Port of /readyz and /metrics. Default: no port serves them.",
)
@_operators_host_option
@click.option(
    "--fd", type=click.IntRange(3), hidden=True, help="File descriptor of a listening socket."
)
@click.option("--threads", type=click.IntRange(1, 256), help="Number of models run at once.")
def live_worker(
    *,
    host: str,
    port: int,
    operators_host: str,
    operators_port: int | None,
    fd: int | None,
    threads: int | None,
) -> None:
    """Run a live video worker (WebSocket); any number can run.

    Requires SMART_FILTER_LIVE_SECRET, with the API's value, and weights. Needs no other server.
    """
    wiring.serve_live(
        settings.load_live(),
        place=(host, port) if fd is None else fd,
        operators_place=_operators_place(operators_host, operators_port, port),
        threads=threads or default_threads(),
    )


@click.command(cls=_ServerCommand, hidden=True)
@click.option("--host", default="127.0.0.1")
@click.option("--port", type=click.IntRange(1, 65535), required=True)
@click.option("--operators-port", type=click.IntRange(1, 65535))
@_operators_host_option
@click.option("--tls-certificate", type=click.Path(path_type=Path), callback=_make_absolute)
@click.option("--tls-key", type=click.Path(path_type=Path), callback=_make_absolute)
def api(
    *,
    host: str,
    port: int,
    operators_host: str,
    operators_port: int | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
) -> None:
    """Run the API."""
    tls = tls_files.find(tls_certificate, tls_key, now=dt.datetime.now(dt.UTC))
    operators_place = _operators_place(operators_host, operators_port, port)
    wiring.serve_api(settings.load(), place=(host, port), operators_place=operators_place, tls=tls)


@click.command(cls=_ServerCommand, epilog=examples("smart-filter prepare"))
@click.option("--local-key", envvar="SMART_FILTER_LOCAL_KEY", hidden=True)
@click.option("--local-code", envvar="SMART_FILTER_LOCAL_CODE", hidden=True)
def prepare(local_key: str | None, local_code: str | None) -> None:
    """Migrate the database, register models and create the bucket for this version.

    Run it once before any process of this version starts; the previous version can keep running.
    Safe to repeat; concurrent runs wait for each other. Waits up to a minute for servers that are
    starting. Requires the settings of a worker.
    """
    logs.configure("prepare")
    wiring.prepare_servers(settings.load(), local_key=local_key, local_code=local_code)


def _operators_place(
    host: str, operators_port: int | None, public_port: int
) -> tuple[str, int] | None:
    """Return where the operators' port is; None without one.  Raises UsageError."""
    if operators_port is None:
        return None
    if operators_port == public_port:
        raise click.UsageError("--operators-port must differ from --port")
    return host, operators_port
