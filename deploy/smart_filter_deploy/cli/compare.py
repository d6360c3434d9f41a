"""`smart-filter compare`: one photo, cut out by several models, on one sheet."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.status import Status
from rich.table import Table
from rich.text import Text

from smart_filter_deploy.cli.console import Console
from smart_filter_deploy.cli.endings import (
    ALL_SUCCEEDED,
    PHOTO_FAILED,
    WRONG_USAGE,
    Ending,
    needing,
)
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.report import print_table
from smart_filter_shared.errors import FolderUnreadable
from smart_filter_shared.places import data_folder

if TYPE_CHECKING:
    from smart_filter_workers.evaluation.contact import Cut, Fault

_FORMATS = (".png", ".jpg", ".jpeg")
_QUALITY = 92


@click.command(
    epilog=examples(
        "smart-filter compare me.jpg",
        "smart-filter compare me.jpg --models people,grabcut -o sheet.png",
        "smart-filter compare me.jpg --models classical --set classical.blur=7",
    )
)
@click.argument("photo", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--models", metavar="A,B", help="Which models; else all of segmentation that can run here."
)
@click.option(
    "-o",
    "destination",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Where the sheet goes, .png or .jpg; else <photo>.compare.png in this folder.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="MODEL.PARAMETER=VALUE",
    help="A parameter of a model, instead of its default; as often as needed.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def compare(
    ctx: click.Context,
    photo: Path,
    models: str | None,
    destination: Path | None,
    settings: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Cut out one photo by several models: cut-outs and mattes side by side on one sheet.

    Runs here and without a server. Status 1 when a model made nothing.
    """
    with needing("worker"):
        # The workers' packages are not part of a bare install.
        from smart_filter_deploy.cli import local_models  # noqa: PLC0415
        from smart_filter_workers import images  # noqa: PLC0415
        from smart_filter_workers.evaluation import contact, sheet  # noqa: PLC0415
        from smart_filter_workers.evaluation.contact import Fault  # noqa: PLC0415

    path = Path(f"{photo.stem}.compare.png") if destination is None else destination
    if path.suffix.lower() not in _FORMATS:
        raise Ending(f"{path}: a sheet is {' or '.join(_FORMATS)}", WRONG_USAGE)
    if not path.absolute().parent.is_dir():
        raise Ending(f"{path.parent} is no folder", WRONG_USAGE)
    folder = data_folder() / "weights"
    task = "segmentation"
    names = local_models.runnable(task, folder) if models is None else []
    names = names or local_models.named(task, models or local_models.AUTO)
    weights = local_models.weights_of(task, names, folder)
    given = local_models.with_parameters(task, names, settings, weights)
    research = local_models.known().research
    quiet = Console(stderr=True)
    try:
        with Status("loading", console=quiet) as status:
            compared = contact.compare(
                photo, given, weights=weights, research=research, tell=status.update
            )
    except FolderUnreadable as error:
        raise Ending(str(error), WRONG_USAGE) from error
    drawn = sheet.draw(compared, title=photo.name)
    is_png = path.suffix.lower() == ".png"
    encoded = images.encode_png(drawn) if is_png else images.encode_jpeg(drawn, quality=_QUALITY)
    path.write_bytes(encoded.content)
    if as_json:
        models_told = [_document(cut) for cut in compared.cuts]
        told = {"photo": str(photo), "sheet": str(path.absolute()), "models": models_told}
        click.echo(json.dumps(told))
    else:
        _print(compared.cuts)
        click.echo(path)
    failed = any(isinstance(cut, Fault) for cut in compared.cuts)
    ctx.exit(PHOTO_FAILED if failed else ALL_SUCCEEDED)


def _document(cut: "Cut | Fault") -> dict[str, object]:
    """Return what a model made for a program; why it made nothing is null where it did."""
    from smart_filter_workers.evaluation.contact import Fault  # noqa: PLC0415 - as above

    if isinstance(cut, Fault):
        return {"name": cut.name, "error": cut.why}
    return {
        "name": cut.name,
        "people_share": round(cut.coverage, 4),
        "persons": cut.persons,
        "ms": round(cut.ms, 1),
        "cpu_ms": round(cut.cpu_ms, 1),
        "error": None,
    }


def _print(cuts: "Sequence[Cut | Fault]") -> None:
    from smart_filter_workers.evaluation import sheet  # noqa: PLC0415 - as above
    from smart_filter_workers.evaluation.contact import Fault  # noqa: PLC0415

    table = Table.grid(padding=(0, 2, 0, 0))
    for cut in cuts:
        failed = isinstance(cut, Fault)
        note = Text(cut.why, style="red") if isinstance(cut, Fault) else Text(sheet.told(cut))
        table.add_row(Text(cut.name, style="bold red" if failed else "bold"), note)
    print_table(Console(highlight=False), table)
