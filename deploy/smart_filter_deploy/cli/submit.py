"""`smart-filter submit`: photos in; the pictures are somebody else's to fetch."""

import json
from pathlib import Path

import click

from smart_filter_deploy.cli import passage
from smart_filter_deploy.cli.connection import connected
from smart_filter_deploy.cli.endings import ALL_SUCCEEDED, PHOTO_FAILED, say
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.passage import Wanted
from smart_filter_deploy.cli.recipe_options import Asked, recipe_options
from smart_filter_deploy.cli.terminal import tell


@click.command(
    epilog=examples(
        "smart-filter submit me.jpg you.jpg --background keywords:beach",
        "smart-filter submit me.jpg --json | jq -r .id",
        "smart-filter jobs show ID",
    )
)
@click.argument(
    "photos",
    nargs=-1,
    required=True,
    metavar="PHOTO...",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
)
@recipe_options
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each photo.")
@click.pass_context
def submit(ctx: click.Context, photos: tuple[Path, ...], *, asked: Asked, as_json: bool) -> None:
    """Send photos and tell their jobs' ids, without waiting for the pictures.

    The server is the one that SMART_FILTER_URL names (with SMART_FILTER_API_KEY), else the one
    that `smart-filter up` has up here; none is started. Status 1 when a photo was refused.
    """
    wanted = Wanted(asked.recipe(outputs=""), asked.background_file)
    refused = False
    with connected() as client:
        for photo in photos:
            job, failure = passage.submit(client, photo, wanted)
            refused = refused or failure is not None
            if as_json:
                click.echo(json.dumps(passage.line_of(job, failure)))
            elif job is not None:
                tell(f"{job.id}  {photo}")
            elif failure is not None:
                say(f"{photo}: {failure.detail or failure.title} ({failure.code})")
    ctx.exit(PHOTO_FAILED if refused else ALL_SUCCEEDED)
