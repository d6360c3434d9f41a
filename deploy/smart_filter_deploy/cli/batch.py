"""`smart-filter batch`: a folder of photos through, taken up again where it was left."""

from pathlib import Path

import click

from smart_filter_deploy.cli import batch_report
from smart_filter_deploy.cli.batch_work import Work
from smart_filter_deploy.cli.console import Console
from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.journal import Journal
from smart_filter_deploy.cli.passage import Wanted
from smart_filter_deploy.cli.photo_folder import PhotoFolder
from smart_filter_deploy.cli.recipe_options import Asked, recipe_options
from smart_filter_deploy.cli.stopping import ended_by_signals

# Beside the picture what a report tells.
_OUTPUTS = "image,faces,rating,printability"


@click.command(
    epilog=examples(
        "smart-filter batch holiday/ --background preset:studio",
        "smart-filter batch holiday/ -o cut-out/ --background transparent --report holiday.csv",
        "smart-filter batch inbox/ --watch          # until Ctrl-C",
        "smart-filter batch holiday/ --retry-failed",
    )
)
@click.argument(
    "folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option(
    "-o",
    "output",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the pictures and the journal go; else <DIR>.smart-filter in this folder.",
)
@recipe_options
@click.option("--recursive", is_flag=True, help="Folders in it too; the output has the same ones.")
@click.option("--watch", is_flag=True, help="Stay, and take what comes into the folder.")
@click.option("--retry-failed", is_flag=True, help="Try those again that failed before.")
@click.option(
    "--report",
    "report_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what became of every photo, as .csv or .json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each photo.")
@click.pass_context
def batch(
    ctx: click.Context,
    folder: Path,
    output: Path | None,
    *,
    asked: Asked,
    recursive: bool,
    watch: bool,
    retry_failed: bool,
    report_file: Path | None,
    as_json: bool,
) -> None:
    """Take every photo of a folder through, and go on where it was left when begun again.

    A journal beside the pictures tells what is done: however this ends, the same command does
    the rest and nothing twice. Photos that failed are listed and left alone until
    --retry-failed; a photo or a recipe that has changed is done anew. A server that goes away
    is waited for. Ctrl-C ends it once what was begun is done; pressed again, at once.

    The server is chosen as by `smart-filter run`.
    """
    place = output or Path(f"{folder.resolve().name}.smart-filter")
    recipe = asked.recipe(outputs=_OUTPUTS)
    _prepare(folder, place, report_file)
    photos = PhotoFolder(folder, place, recursive)
    with Journal.opened(place) as journal, ended_by_signals():
        work = Work(
            photos,
            journal,
            Wanted(recipe, asked.background_file),
            console=Console(stderr=as_json, highlight=False),
            watch=watch,
            retry_failed=retry_failed,
            report_file=report_file,
            as_json=as_json,
        )
        status = work.do()
    ctx.exit(status)


def _prepare(folder: Path, place: Path, report_file: Path | None) -> None:
    """Make the folder for the pictures; end the command where nothing can be written."""
    if place.resolve() == folder.resolve():
        raise click.BadParameter(
            "the pictures would lie among the photos; name another folder", param_hint="-o"
        )
    if report_file is not None and report_file.suffix.lower() not in batch_report.ENDINGS:
        raise click.BadParameter(
            f"{report_file} is neither {' nor '.join(batch_report.ENDINGS)}", param_hint="--report"
        )
    if report_file is not None and not report_file.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {report_file.parent}", param_hint="--report")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Ending(f"cannot make {place} ({error.strerror})", WRONG_USAGE) from error
