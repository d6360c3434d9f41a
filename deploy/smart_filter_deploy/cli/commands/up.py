"""`smart-filter up`: runs the whole service on this machine."""

from pathlib import Path

import click

from smart_filter_deploy.cli.terminal.examples import examples
from smart_filter_deploy.cli.terminal.exit_codes import require_extra


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
    with require_extra("embedded"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli.commands import up_services  # noqa: PLC0415

        up_services.run_services(
            data, port=port, workers=workers, live=live, for_people=not as_json
        )
