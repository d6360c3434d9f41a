"""`smart-filter compare`: cuts out one photo with several models, on one sheet."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.status import Status
from rich.table import Table
from rich.text import Text

from smart_filter_deploy.cli import local_models
from smart_filter_deploy.cli.commands.options import EXISTING_FILE, FILE, json_option
from smart_filter_deploy.cli.terminal.console import EscapingConsole, print_table
from smart_filter_deploy.cli.terminal.exit_codes import (
    ALL_SUCCEEDED,
    PHOTO_FAILED,
    CommandError,
)
from smart_filter_deploy.cli.terminal.text import examples, print_json
from smart_filter_shared.config.paths import data_folder
from smart_filter_training.evaluation import contact_sheet, model_comparison
from smart_filter_training.evaluation.model_comparison import CutOutResult, FailedModel
from smart_filter_workers import images

_FORMATS = (".png", ".jpg", ".jpeg")
_QUALITY = 92


@click.command(
    epilog=examples(
        "smart-filter compare me.jpg",
        "smart-filter compare me.jpg --models people,grabcut -o sheet.png",
        "smart-filter compare me.jpg --models classical --set classical.blur=7",
    )
)
@click.argument("photo", type=EXISTING_FILE)
@click.option(
    "--models",
    metavar="A,B",
    help="Models to compare. Default: all segmentation models that can run here.",
)
@click.option(
    "-o",
    "destination",
    type=FILE,
    metavar="FILE",
    help="Output file, .png or .jpg. Default: <photo>.compare.png in this folder.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="MODEL.PARAMETER=VALUE",
    help="Set a model parameter; can be repeated.",
)
@json_option
def compare(
    photo: Path,
    models: str | None,
    destination: Path | None,
    settings: tuple[str, ...],
    *,
    as_json: bool,
) -> int:
    """Cut out one photo with several models and put cutouts and mattes on one sheet.

    Runs locally, without a server. Exits with 1 if a model found nothing.
    """
    path = Path(f"{photo.stem}.compare.png") if destination is None else destination
    if path.suffix.lower() not in _FORMATS:
        raise CommandError(f"{path}: expected {' or '.join(_FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise CommandError(f"{path.parent} is not a folder")
    folder = data_folder() / "weights"
    task = "segmentation"
    names = local_models.list_runnable(task, folder) if models is None else []
    names = names or local_models.parse_models(task, models or local_models.AUTO)
    weights = local_models.fetch_weights(task, names, folder)
    given = local_models.parse_parameters(task, names, settings, weights)
    research = local_models.load_catalog().research
    quiet = EscapingConsole(stderr=True)
    with Status("loading", console=quiet) as status:
        compared = model_comparison.compare_models(
            photo, given, weights=weights, research=research, tell=status.update
        )
    drawn = contact_sheet.draw(compared, title=photo.name)
    is_png = path.suffix.lower() == ".png"
    encoded = images.encode_png(drawn) if is_png else images.encode_jpeg(drawn, quality=_QUALITY)
    path.write_bytes(encoded.content)
    if as_json:
        models_compared = [_document(cut) for cut in compared.cuts]
        print_json({"photo": str(photo), "sheet": str(path.absolute()), "models": models_compared})
    else:
        _print(compared.cuts)
        click.echo(path)
    failed = any(isinstance(cut, FailedModel) for cut in compared.cuts)
    return PHOTO_FAILED if failed else ALL_SUCCEEDED


def _document(cut: CutOutResult | FailedModel) -> dict[str, object]:
    """Return the JSON document of a model's result; error is null on success."""
    if isinstance(cut, FailedModel):
        return {"name": cut.name, "error": cut.why}
    return {
        "name": cut.name,
        "people_share": round(cut.coverage, 4),
        "persons": cut.persons,
        "ms": round(cut.ms, 1),
        "cpu_ms": round(cut.cpu_ms, 1),
        "error": None,
    }


def _print(cuts: Sequence[CutOutResult | FailedModel]) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    for cut in cuts:
        if isinstance(cut, FailedModel):
            table.add_row(Text(cut.name, style="bold red"), Text(cut.why, style="red"))
        else:
            table.add_row(Text(cut.name, style="bold"), Text(contact_sheet.describe_cut_out(cut)))
    print_table(EscapingConsole(highlight=False), table)
