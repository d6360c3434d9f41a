"""`smart-filter live`: replaces the background of a camera or video."""

from pathlib import Path

import click

from smart_filter_deploy.cli.commands import completion_values
from smart_filter_deploy.cli.commands.options import FILE, FOLDER
from smart_filter_deploy.cli.live import film
from smart_filter_deploy.cli.terminal.console import EscapingConsole
from smart_filter_deploy.cli.terminal.exit_codes import (
    ALL_SUCCEEDED,
    INTERRUPTED,
    PHOTO_FAILED,
    CommandError,
)
from smart_filter_deploy.cli.terminal.signals import StopFlag
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line

_VIDEO_SUFFIXES = (".webm", ".mp4")


@click.command(
    epilog=examples(
        "smart-filter live party.mp4 --background preset:studio",
        "smart-filter live 0 -o me.webm --background blur:0.6     # a camera, until Ctrl-C",
        "smart-filter live /dev/video0 --shutter smiles/ --json",
    )
)
@click.argument("source", metavar="SOURCE")
@click.option(
    "-o",
    "output",
    metavar="FILE",
    type=FILE,
    help="Output video, .webm (VP8) or .mp4 (MPEG-4). Default: <source>.smart-filter.webm here.",
)
@click.option(
    "--background",
    metavar="SPEC",
    shell_complete=completion_values.complete_backgrounds,
    help="auto, keep, color:CSS-COLOR, blur:0..1, preset:NAME or keywords:WORD,WORD.",
)
@click.option(
    "--shutter",
    metavar="DIR",
    type=FOLDER,
    help="When all people smile with open eyes, save a picture of the best frame.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def live(
    source: str,
    output: Path | None,
    *,
    background: str | None,
    shutter: Path | None,
    as_json: bool,
) -> int:
    """Replace the background of a video, or of a camera until Ctrl-C.

    SOURCE is a video file or a camera (its number, or /dev/videoN). Every frame of a file is
    processed; from a camera, the newest frame. Frames are scaled down to 1280 × 720 pixels. Sound
    is dropped. With --shutter, the best frames become pictures at full quality, as from
    `smart-filter run`.

    Uses the server in SMART_FILTER_URL (with SMART_FILTER_API_KEY), else the local stack of
    `smart-filter up` with its live worker.
    """
    path = output or Path(f"{Path(source).stem}.smart-filter.webm")
    _validate_output(source, path)
    if shutter is not None:
        try:
            shutter.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"cannot create {shutter} ({error.strerror})") from error
    stop = StopFlag()
    filmed = film.film_video(
        source,
        path,
        background=background,
        shutter=shutter,
        stop=stop,
        console=EscapingConsole(stderr=as_json, highlight=False),
    )
    if as_json:
        print_json(filmed.as_json())
    else:
        for line in filmed.lines():
            print_line(line)
    if stop.requested and not filmed.of_camera:
        return INTERRUPTED
    return PHOTO_FAILED if filmed.has_failed else ALL_SUCCEEDED


def _validate_output(source: str, path: Path) -> None:
    """End the command when the output video cannot be written."""
    if path.suffix.lower() not in _VIDEO_SUFFIXES:
        raise click.BadParameter(f"{path} is not {' or '.join(_VIDEO_SUFFIXES)}", param_hint="-o")
    if not path.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}", param_hint="-o")
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise click.BadParameter("the input video would be overwritten", param_hint="-o")
