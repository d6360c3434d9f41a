"""`smart-filter submit`: submits photos without waiting for results."""

from pathlib import Path

import click

from smart_filter_deploy.cli.commands.recipe_options import (
    Drawing,
    RecipeOptions,
    drawing_options,
    recipe_options,
)
from smart_filter_deploy.cli.server import submit_and_fetch
from smart_filter_deploy.cli.server.connection import open_client
from smart_filter_deploy.cli.server.submit_and_fetch import PhotoRequest
from smart_filter_deploy.cli.terminal.exit_codes import ALL_SUCCEEDED, PHOTO_FAILED, print_error
from smart_filter_deploy.cli.terminal.photo_files import PhotoFile, name_photo
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line


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
    type=PhotoFile(),
)
@recipe_options
@drawing_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line per photo.")
def submit(
    photos: tuple[Path, ...],
    *,
    asked: RecipeOptions,
    drawn: Drawing,
    as_json: bool,
) -> int:
    """Submit photos and print their job ids, without waiting for results.

    Uses the server in SMART_FILTER_URL (with SMART_FILTER_API_KEY), else the local stack of
    `smart-filter up`. Exits with 1 if a photo was rejected.
    """
    drawn.refuse_for_many(photos)
    wanted = PhotoRequest(
        asked.recipe(outputs=""), asked.background_file, drawn.mask_file, drawn.strokes
    )
    refused = False
    with open_client() as client:
        for photo in photos:
            job, failure = submit_and_fetch.submit_photo(client, photo, wanted)
            refused |= failure is not None
            if as_json:
                print_json(submit_and_fetch.to_document(job, failure))
            elif job is not None:
                print_line(f"{job.id}  {name_photo(photo)}")
            elif failure is not None:
                print_error(
                    f"{name_photo(photo)}: {failure.detail or failure.title} ({failure.code})"
                )
    return PHOTO_FAILED if refused else ALL_SUCCEEDED
