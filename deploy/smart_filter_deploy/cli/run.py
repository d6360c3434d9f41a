"""`smart-filter run`: photos in, pictures out."""

import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.status import Status
from rich.text import Text

from smart_filter_deploy.cli import batch, own_stack, photos, report
from smart_filter_deploy.cli.batch import Wanted
from smart_filter_deploy.cli.connection import Server, client_of, named_server
from smart_filter_deploy.cli.endings import ALL_SUCCEEDED, PHOTO_FAILED
from smart_filter_deploy.cli.outcome import Outcome
from smart_filter_deploy.cli.progress import Progress

_SIGNAL_STATUS = 128  # plus the signal's number, as shells count


@click.command()
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
@click.option(
    "--background",
    metavar="SPEC",
    help="auto, keep, transparent, color:CSS-COLOUR, blur:0..1, preset:NAME, keywords:WORD,WORD "
    "or url:https://HOST/PATH.",
)
@click.option(
    "--background-file",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    metavar="FILE",
    help="A picture to stand behind the people.",
)
@click.option("--format", "image_format", metavar="FORMAT", help="auto, png, webp, jpg or avif.")
@click.option(
    "--outputs",
    metavar="A,B",
    help="Any of image, cutout, matte, persons, zip, thumbnail, faces, rating, printability, debug;"
    " else image, and what is told to people.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any other field of the recipe, such as edge=best, crop=faces, size=print:10x15 or"
    " quality=95.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Withdraw what is not finished by then.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each photo.")
@click.pass_context
def run(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    photos_given: tuple[Path, ...],
    destination: str | None,
    background: str | None,
    background_file: Path | None,
    image_format: str | None,
    outputs: str | None,
    settings: tuple[str, ...],
    timeout: float | None,
    *,
    as_json: bool,
) -> None:
    """Cut people out of photos, rate their smiles, put a background behind them.

    Without PHOTO a sample is used. The server is the one that SMART_FILTER_URL names (with
    SMART_FILTER_API_KEY), else the one that `smart-filter up` has up here, else one is
    started for as long as it takes.
    """
    places = photos.places(photos_given or (photos.sample(),), destination)
    named_format = None if image_format else photos.format_of(destination)
    recipe = _recipe(background, image_format or named_format, outputs, settings)
    # What is wrong is told of what was written here.
    called = {"format": f"-o {destination}"} if named_format else {}
    if not as_json:
        # People want to be told about faces whatever the background is.
        recipe.setdefault("outputs", ["image,faces,rating"])
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
    with _ended_by_signals(), _server(console) as server:
        with client_of(server, called) as client, Progress(console) as progress:
            batch.process(
                client,
                places,
                Wanted(recipe, background_file),
                timeout=timeout,
                progress=progress,
                on_outcome=on_outcome,
            )
        ended = [outcome for outcome in outcomes if outcome is not None]
        if not as_json:
            _report(console, ended, time.monotonic() - started)
    failed = any(outcome.failure is not None for outcome in ended)
    ctx.exit(PHOTO_FAILED if failed else ALL_SUCCEEDED)


def _recipe(
    background: str | None,
    image_format: str | None,
    outputs: str | None,
    settings: Sequence[str],
) -> dict[str, list[str]]:
    """Return the fields of the recipe; the server judges them."""
    recipe: dict[str, list[str]] = {}
    options = {"background": background, "format": image_format, "outputs": outputs}
    for name, option in options.items():
        if option is not None:
            recipe[name] = [option]
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{setting!r} is not KEY=VALUE", param_hint="--set")
        recipe.setdefault(name, []).append(value)
    return recipe


@contextmanager
def _server(console: Console) -> Iterator[Server]:
    named = named_server()
    if named is not None:
        yield named
        return
    with _status(console) as on_status, own_stack.server(on_status) as server:
        on_status("")
        yield server


@contextmanager
def _status(console: Console) -> Iterator[Callable[[str], None]]:
    """Give a way to show what is waited for: one changing line, or lines in a pipe."""
    status = Status("", console=console)
    last = ""

    def show(message: str) -> None:
        nonlocal last
        if message == last:
            return
        last = message
        if not console.is_terminal or console.is_dumb_terminal:
            if message:
                console.print(message, soft_wrap=True, markup=False)
        elif message:
            status.update(Text(message, style="dim"))
            status.start()
        else:
            status.stop()

    try:
        yield show
    finally:
        status.stop()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block in order, as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        raise SystemExit(_SIGNAL_STATUS + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def line_of(outcome: Outcome) -> dict[str, object]:
    """Return an outcome for a program: the job as the API has it, and where the picture is."""
    line: dict[str, object] = {"id": None, "state": "failed", "image": None, "outputs": {}}
    if outcome.job is not None:
        line = dict(outcome.job.document)
    image = line.get("image")
    if isinstance(image, dict) and outcome.image is not None:
        line["image"] = {**image, "path": str(outcome.image.absolute())}
    failure = outcome.failure
    if failure is not None and not line.get("error"):
        line["error"] = {
            "code": failure.code,
            "title": failure.title,
            "detail": failure.detail,
            "stage": failure.stage,
        }
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
