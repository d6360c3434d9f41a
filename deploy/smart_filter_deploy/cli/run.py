"""`smart-filter run`: photos in, pictures out."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import click

from smart_filter_deploy.cli import passage, photos, report
from smart_filter_deploy.cli.connection import client_of
from smart_filter_deploy.cli.console import Console
from smart_filter_deploy.cli.endings import ALL_SUCCEEDED, PHOTO_FAILED
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.outcome import Outcome
from smart_filter_deploy.cli.passage import Wanted
from smart_filter_deploy.cli.progress import Progress
from smart_filter_deploy.cli.recipe_options import Asked, recipe_options
from smart_filter_deploy.cli.server_at_hand import server_at_hand
from smart_filter_deploy.cli.stopping import ended_by_signals


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
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
)
@click.option(
    "-o",
    "destination",
    metavar="FILE|DIR",
    help="Where the picture goes; else <photo>.smart-filter.<format> in this folder.",
)
@recipe_options
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Withdraw what is not finished by then.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each photo.")
@click.pass_context
def run(
    ctx: click.Context,
    photos_given: tuple[Path, ...],
    destination: str | None,
    timeout: float | None,
    *,
    asked: Asked,
    as_json: bool,
) -> None:
    """Cut people out of photos, rate their smiles, put a background behind them.

    Without PHOTO a sample is used. The server is the one that SMART_FILTER_URL names (with
    SMART_FILTER_API_KEY), else the one that `smart-filter up` has up here, else one is
    started for as long as it takes.
    """
    places = photos.places(photos_given or (photos.sample(),), destination)
    named_format = None if asked.image_format else photos.format_of(destination)
    # People want to be told about faces whatever the background is.
    recipe = asked.recipe(
        image_format=named_format, outputs="" if as_json else "image,faces,rating"
    )
    # What is wrong is told of what was written here.
    called = {"format": f"-o {destination}"} if named_format else {}
    # With --json standard output is for the program that reads it.
    console = Console(stderr=as_json, highlight=False)
    outcomes: list[Outcome | None] = [None] * len(places)
    told = 0

    def on_outcome(index: int, outcome: Outcome) -> None:
        nonlocal told
        outcomes[index] = outcome
        while as_json and told < len(outcomes) and (ready := outcomes[told]) is not None:
            click.echo(json.dumps(line_of(ready)))
            told += 1

    started = time.monotonic()
    with ended_by_signals(), server_at_hand(console) as server:
        with client_of(server, called) as client, Progress(console) as progress:
            passage.process(
                client,
                places,
                Wanted(recipe, asked.background_file),
                timeout=timeout,
                progress=progress,
                on_outcome=on_outcome,
            )
        ended = [outcome for outcome in outcomes if outcome is not None]
        if not as_json:
            _report(console, ended, time.monotonic() - started)
    failed = any(outcome.failure is not None for outcome in ended)
    ctx.exit(PHOTO_FAILED if failed else ALL_SUCCEEDED)


def line_of(outcome: Outcome) -> dict[str, object]:
    """Return an outcome for a program: the job as the API has it, and where the picture is."""
    line = passage.line_of(outcome.job, outcome.failure)
    image = line.get("image")
    if isinstance(image, dict) and outcome.image is not None:
        line["image"] = {**image, "path": str(outcome.image.absolute())}
    return line


def _report(console: Console, outcomes: Sequence[Outcome], seconds: float) -> None:
    for outcome in outcomes:
        console.print()
        report.print_outcome(console, outcome)
    if len(outcomes) > 1:
        failed = sum(outcome.failure is not None for outcome in outcomes)
        console.print()
        console.print(
            f"{len(outcomes)} photos in {report.seconds(seconds)}"
            + (f", {failed} failed" if failed else "")
        )
