"""`smart-filter up`: everything on this machine, with one command."""

from pathlib import Path

import click

from smart_filter_deploy.cli.endings import needing
from smart_filter_deploy.cli.examples import examples


@click.command(
    epilog=examples(
        "smart-filter up",
        "smart-filter up --port 8000 --workers 2 --data /srv/smart-filter",
    )
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder that keeps everything; else SMART_FILTER_DATA, else the usual place.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="The API's port; else a free one.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="How many worker processes.",
)
@click.option("--live/--no-live", default=True, help="Whether there is live video; by default.")
@click.option("--json", "as_json", is_flag=True, help="Leave out what is meant for people.")
def up(data: Path | None, port: int | None, workers: int, *, live: bool, as_json: bool) -> None:
    """Start the servers, the API and workers, and stay until Ctrl-C.

    The first line on standard output is JSON with url, api_key, pid and studio_url, written
    once the API is ready; studio_url signs a browser in, once and within ten minutes. What
    people want to know goes to standard error.
    """
    with needing("embedded"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli import embedded_stack  # noqa: PLC0415

        embedded_stack.serve(data, port=port, workers=workers, live=live, for_people=not as_json)
