"""The commands that are one process on the servers: a worker, the API, what prepares both."""

import os

import click

from smart_filter_deploy.cli.endings import needing
from smart_filter_deploy.cli.examples import examples


def default_threads() -> int:
    """Return how many threads a worker has: two at least, so that transfers overlap work."""
    return max(2, os.cpu_count() or 1)


@click.command(
    epilog=examples(
        "smart-filter worker --stages prepare,composite --threads 4",
        "smart-filter worker --stages segmentation --models detectron2",
    )
)
@click.option(
    "--stages",
    required=True,
    metavar="A,B",
    help="The stages to serve: prepare, segmentation, face, smile, composite.",
)
@click.option(
    "--models",
    default="",
    metavar="A,B",
    help="Of a stage that has one of these: only these, loaded before it is ready.",
)
@click.option("--threads", type=click.IntRange(1, 256), help="How many photos at once.")
def worker(stages: str, models: str, threads: int | None) -> None:
    """Serve stages of the pipeline, until told to stop.

    Database, broker and storage are named by SMART_FILTER_DATABASE_URL, _BROKER_URL,
    _STORAGE_URL, _STORAGE_ACCESS_KEY and _STORAGE_SECRET_KEY.
    """
    # The server's packages are not part of a bare install, here and below.
    with needing("worker"):
        from smart_filter_deploy import wiring  # noqa: PLC0415
        from smart_filter_shared import settings  # noqa: PLC0415
        from smart_filter_shared.pipeline import StageName  # noqa: PLC0415

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


@click.command(epilog=examples("smart-filter sender"))
def sender() -> None:
    """Send what webhooks are to be told, until told to stop; any number of these may run.

    Needs the settings of a worker, and SMART_FILTER_SECRETS_KEY.
    """
    with needing("api"):
        from smart_filter_deploy import wiring  # noqa: PLC0415
        from smart_filter_shared import settings  # noqa: PLC0415

        wiring.serve_sender(settings.load())


@click.command(
    "live-worker", epilog=examples("smart-filter live-worker --host 0.0.0.0 --port 8090")
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="0: any."
)
@click.option("--fd", type=click.IntRange(3), hidden=True, help="A socket that listens already.")
@click.option("--threads", type=click.IntRange(1, 256), help="How many models at once.")
def live_worker(host: str, port: int, fd: int | None, threads: int | None) -> None:
    """Serve live video over a WebSocket, until told to stop; any number of these may run.

    Needs SMART_FILTER_LIVE_SECRET, as the API has it, and weights; no other server.
    """
    with needing("live"):
        from smart_filter_deploy import wiring  # noqa: PLC0415
        from smart_filter_shared import settings  # noqa: PLC0415

        wiring.serve_live(
            settings.live(),
            place=(host, port) if fd is None else fd,
            threads=threads or default_threads(),
        )


@click.command(hidden=True)
@click.option("--host", default="127.0.0.1")
@click.option("--port", type=click.IntRange(1, 65535), required=True)
def api(host: str, port: int) -> None:
    """Serve the API, until told to stop."""
    with needing("api"):
        from smart_filter_deploy import wiring  # noqa: PLC0415
        from smart_filter_shared import settings  # noqa: PLC0415

        wiring.serve_api(settings.load(), host=host, port=port)


@click.command(epilog=examples("smart-filter prepare"))
@click.option("--local-key", envvar="SMART_FILTER_LOCAL_KEY", hidden=True)
@click.option("--local-code", envvar="SMART_FILTER_LOCAL_CODE", hidden=True)
def prepare(local_key: str | None, local_code: str | None) -> None:
    """Bring database and bucket to what this version needs: tables, models, the bucket itself.

    Once before anything of this version starts, while the version before goes on. May be repeated;
    of several at once each waits for the others. Needs the settings of a worker.
    """
    # A process of its own, because it needs all that there is, and the memory for it.
    with needing("embedded"):
        from smart_filter_deploy import wiring  # noqa: PLC0415
        from smart_filter_shared import settings  # noqa: PLC0415

        wiring.prepare_servers(settings.load(), local_key=local_key, local_code=local_code)
