"""`smart-filter live`: a camera or a video in, a video with another background out."""

import json
from pathlib import Path

import click

from smart_filter_deploy.cli import completing
from smart_filter_deploy.cli.console import Console
from smart_filter_deploy.cli.endings import (
    ALL_SUCCEEDED,
    INTERRUPTED,
    PHOTO_FAILED,
    WRONG_USAGE,
    Ending,
    needing,
)
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.stopping import Stop
from smart_filter_deploy.cli.terminal import tell

_ENDINGS = (".webm", ".mp4")


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
    type=click.Path(dir_okay=False, path_type=Path),
    help="The video, .webm (VP8) or .mp4 (MPEG-4); else <source>.smart-filter.webm in this folder.",
)
@click.option(
    "--background",
    metavar="SPEC",
    shell_complete=completing.backgrounds,
    help="auto, keep, color:CSS-COLOUR, blur:0..1, preset:NAME or keywords:WORD,WORD.",
)
@click.option(
    "--shutter",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Whenever everybody smiles with open eyes, make a picture of the best frame there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.pass_context
def live(
    ctx: click.Context,
    source: str,
    output: Path | None,
    *,
    background: str | None,
    shutter: Path | None,
    as_json: bool,
) -> None:
    """Replace the background of a video, or of a camera until Ctrl-C.

    SOURCE is a video file, of which every frame is taken, or a camera: its number or
    /dev/videoN, of which the newest frame is, while the video runs as time does. What is larger
    than 1280 × 720 pixels is shrunk. The sound is not kept. With --shutter frames become
    pictures at full quality, as by `smart-filter run`.

    The server is the one that SMART_FILTER_URL names (with SMART_FILTER_API_KEY), else the one
    that `smart-filter up` has up here, with its live worker; none is started.
    """
    path = output or Path(f"{Path(source).stem}.smart-filter.webm")
    _check(source, path)
    with needing("live"):
        # OpenCV and the WebSocket are not part of a bare install.
        from smart_filter_deploy.cli import filming  # noqa: PLC0415

    if shutter is not None:
        try:
            shutter.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Ending(f"cannot make {shutter} ({error.strerror})", WRONG_USAGE) from error
    stop = Stop()
    filmed = filming.film(
        source,
        path,
        background=background,
        shutter=shutter,
        stop=stop,
        console=Console(stderr=as_json, highlight=False),
    )
    if as_json:
        click.echo(json.dumps(filmed.as_json()))
    else:
        for line in filmed.lines():
            tell(line)
    if stop.requested and not filmed.of_camera:
        ctx.exit(INTERRUPTED)
    ctx.exit(PHOTO_FAILED if filmed.has_failed else ALL_SUCCEEDED)


def _check(source: str, path: Path) -> None:
    """End the command where the video could not be written."""
    if path.suffix.lower() not in _ENDINGS:
        raise click.BadParameter(f"{path} is neither {' nor '.join(_ENDINGS)}", param_hint="-o")
    if not path.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}", param_hint="-o")
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise click.BadParameter("the video itself would be overwritten", param_hint="-o")
