"""`smart-filter cut`: cuts people out in this process, without servers."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import click

import smart_filter
from smart_filter_client.models import write_file
from smart_filter_deploy.cli import local_models
from smart_filter_deploy.cli.commands.recipe_options import RecipeOptions
from smart_filter_deploy.cli.terminal import outputs
from smart_filter_deploy.cli.terminal.exit_codes import ALL_SUCCEEDED, PHOTO_FAILED, print_error
from smart_filter_deploy.cli.terminal.photo_files import PhotoFile, name_photo
from smart_filter_deploy.cli.terminal.report import document_rows
from smart_filter_deploy.cli.terminal.text import examples, print_line
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.errors import DocumentRefused, InvalidRecipe, NotAvailable, UnusablePhoto
from smart_filter_wire.printability import DocumentReport


@click.command(
    epilog=examples(
        "smart-filter cut me.jpg -o me.png",
        "smart-filter cut *.jpg -o cut-out/ --set edge=best",
        "smart-filter cut me.jpg --document uk -o uk.jpg",
        "curl -s https://example.org/me.jpg | smart-filter cut - -o - > me.png",
    )
)
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...", type=PhotoFile())
@click.option(
    "-o",
    "destination",
    metavar="FILE|DIR|-",
    help="Output file. Default: <photo>.smart-filter.png, with --document .jpg, in this folder."
    " -: standard output.",
)
@click.option(
    "--document",
    metavar="NAME",
    help="A passport, visa or badge, such as uk: its photo, with checks on standard error.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A recipe field, such as edge=best, persons=main, crop=faces or size=1080x1350.",
)
def cut(
    photos: tuple[Path, ...],
    destination: str | None,
    *,
    document: str | None,
    settings: tuple[str, ...],
) -> int:
    """Cut people out of photos in this process; no server is asked or started.

    The pictures are those of `smart-filter run --background transparent`.
    """
    settings += () if document is None else (f"document={document}",)
    asked = RecipeOptions({}, settings=settings).recipe(outputs="")
    named_format = outputs.format_from_name(destination, asked)
    fields = {name: ",".join(cast("list[str]", values)) for name, values in asked.items()}
    if named_format is not None:
        fields["format"] = named_format
    failed = False
    try:
        smart_filter.check_fields(fields)
    except (InvalidRecipe, NotAvailable) as error:
        raise click.UsageError(str(error)) from error
    with outputs.open_outputs(photos, destination) as places:
        local_models.fetch_missing(data_folder() / "weights")
        for place in places:
            try:
                with _without_native_output():
                    made = smart_filter.cut_out(place.photo, **fields)
            except NotAvailable as error:  # weights that only `models pull` fetches
                raise click.UsageError(str(error)) from error
            except UnusablePhoto as error:
                print_error(f"{name_photo(place.photo)}: {error}")
                if isinstance(error, DocumentRefused):
                    _print_report(error.report)
                failed = True
                continue
            path = place.image(made.media_type.removeprefix("image/").replace("jpeg", "jpg"))
            write_file(path, made.content)
            if made.sheet is not None and made.sheet != made.content:
                write_file(place.other("sheet", "image/jpeg"), made.sheet)
            _print_report(made.document_report)
            if not made.people:
                print_error(
                    f"{name_photo(place.photo)}: no person was found: the photo is kept as it is"
                )
            if place.exact is None or len(places) > 1:
                print_line(str(path))
    return PHOTO_FAILED if failed else ALL_SUCCEEDED


def _print_report(report: DocumentReport | None) -> None:
    for label, words in document_rows(report):
        print_line(f"{label:10}{words}", err=True)


@contextmanager
def _without_native_output() -> Iterator[None]:
    """Drop what libraries print on standard error: LiteRT names a delegate."""
    if sys.stderr is None:
        yield
        return
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
