"""`smart-filter run`: processes photos and saves the pictures."""

import time
from collections.abc import Sequence
from pathlib import Path

import click

from smart_filter_deploy.cli.commands.recipe_options import (
    Drawing,
    RecipeOptions,
    drawing_options,
    recipe_options,
)
from smart_filter_deploy.cli.server import submit_and_fetch
from smart_filter_deploy.cli.server.connection import open_client_for, server_from_environment
from smart_filter_deploy.cli.server.find import open_server
from smart_filter_deploy.cli.server.submit_and_fetch import PhotoRequest
from smart_filter_deploy.cli.terminal import outputs, report
from smart_filter_deploy.cli.terminal.console import EscapingConsole
from smart_filter_deploy.cli.terminal.exit_codes import ALL_SUCCEEDED, PHOTO_FAILED
from smart_filter_deploy.cli.terminal.outputs import Outcome
from smart_filter_deploy.cli.terminal.photo_files import DASH, PhotoFile
from smart_filter_deploy.cli.terminal.progress import Progress
from smart_filter_deploy.cli.terminal.signals import exit_on_signals
from smart_filter_deploy.cli.terminal.text import describe_defaults, examples, print_json
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_shared.config.paths import data_folder


@click.command(
    epilog=examples(
        "smart-filter run",
        "smart-filter run me.jpg --background preset:studio -o me-in-studio.jpg",
        "smart-filter run *.jpg -o cut-out/ --background transparent --format png --json",
    )
)
@click.argument(
    "photos_given",
    nargs=-1,
    metavar="[PHOTO]...",
    type=PhotoFile(),
)
@click.option(
    "-o",
    "destination",
    metavar="FILE|DIR|-",
    help="Output file. Default: <photo>.smart-filter.<format> in this folder. -: standard output.",
)
@recipe_options
@drawing_options
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Cancel jobs that are not finished after this many seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line per photo.")
def run(
    photos_given: tuple[Path, ...],
    destination: str | None,
    timeout: float | None,
    *,
    asked: RecipeOptions,
    drawn: Drawing,
    as_json: bool,
) -> int:
    """Cut people out of photos, rate their smiles, and replace the background.

    Without PHOTO, uses a sample. Without --json, finds and rates the faces, too, for its report.
    Uses the server in SMART_FILTER_URL (with SMART_FILTER_API_KEY),
    else the local stack of `smart-filter up`, else starts a temporary one.
    """
    drawn.refuse_for_many(photos_given)
    # The printed report shows faces, whatever the background is.
    recipe = asked.recipe(outputs="" if as_json else "image,faces,rating")
    called = {}
    named_format = outputs.format_from_name(destination, recipe)
    if named_format is not None:
        recipe["format"] = named_format
        # Error messages name the option that the user typed.
        called["format"] = f"-o {destination}"
    # With --json, and with -o -, standard output is for programs.
    console = EscapingConsole(stderr=as_json or destination == DASH, highlight=False)
    photos = photos_given or (outputs.sample_photo(),)
    outcomes: list[Outcome | None] = [None] * len(photos)
    printed = 0

    def on_outcome(index: int, outcome: Outcome) -> None:
        nonlocal printed
        outcomes[index] = outcome
        while as_json and printed < len(outcomes) and (ready := outcomes[printed]) is not None:
            print_json(to_document(ready))
            printed += 1

    started = time.monotonic()
    with (
        outputs.open_outputs(photos, destination) as places,
        exit_on_signals(),
        open_server(console) as server,
    ):
        with open_client_for(server, called) as client, Progress(console) as progress:
            submit_and_fetch.process_photos(
                client,
                places,
                PhotoRequest(recipe, asked.background_file, drawn.mask_file, drawn.strokes),
                timeout=timeout,
                progress=progress,
                on_outcome=on_outcome,
            )
            is_own = server_from_environment() is None
            models = (model.document for model in client.models()) if is_own else ()
            told = describe_defaults(models)
        ended = [outcome for outcome in outcomes if outcome is not None]
        if not as_json:
            _print_report(console, ended, time.monotonic() - started)
        if told and DataFolder(data_folder()).is_news(told):
            console.print(f"[dim]{told}[/]", soft_wrap=True)
    failed = any(outcome.failure is not None for outcome in ended)
    return PHOTO_FAILED if failed else ALL_SUCCEEDED


def to_document(outcome: Outcome) -> dict[str, object]:
    """Return the JSON document of an outcome: the API's job, with the path of the picture."""
    line = submit_and_fetch.to_document(outcome.job, outcome.failure)
    image = line.get("image")
    if isinstance(image, dict) and outcome.image is not None:
        line["image"] = {**image, "path": str(outcome.image.absolute())}
    return line


def _print_report(console: EscapingConsole, outcomes: Sequence[Outcome], seconds: float) -> None:
    for outcome in outcomes:
        console.print()
        report.print_outcome(console, outcome)
    if len(outcomes) > 1:
        failed = sum(outcome.failure is not None for outcome in outcomes)
        console.print()
        console.print(
            f"{len(outcomes)} photos in {report.format_seconds(seconds)}"
            + (f", {failed} failed" if failed else "")
        )
