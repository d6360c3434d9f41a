"""`smart-filter batch`: processes a folder of photos, and resumes where it stopped."""

from pathlib import Path

import click

from smart_filter_deploy.cli.batch import report as batch_report
from smart_filter_deploy.cli.batch.journal import Journal
from smart_filter_deploy.cli.batch.runner import BatchRunner
from smart_filter_deploy.cli.batch.watch import WatchedFolder
from smart_filter_deploy.cli.commands.recipe_options import RecipeOptions, recipe_options
from smart_filter_deploy.cli.server.submit_and_fetch import PhotoRequest
from smart_filter_deploy.cli.terminal.console import EscapingConsole
from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError
from smart_filter_deploy.cli.terminal.signals import exit_on_signals
from smart_filter_deploy.cli.terminal.text import examples

# The picture, and the findings that a report lists.
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
    help="Output folder, also for the journal. Default: <DIR>.smart-filter in this folder.",
)
@recipe_options
@click.option("--recursive", is_flag=True, help="Include subfolders; the output mirrors them.")
@click.option("--watch", is_flag=True, help="Keep running and process new photos.")
@click.option("--retry-failed", is_flag=True, help="Retry photos that failed before.")
@click.option(
    "--report",
    "report_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the outcome of every photo to a .csv or .json file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line per photo.")
@click.pass_context
def batch(
    ctx: click.Context,
    folder: Path,
    output: Path | None,
    *,
    asked: RecipeOptions,
    recursive: bool,
    watch: bool,
    retry_failed: bool,
    report_file: Path | None,
    as_json: bool,
) -> None:
    """Process every photo of a folder; running it again resumes where it stopped.

    A journal in the output folder records finished photos: after any interruption the same
    command does the rest, and nothing twice. Failed photos are skipped until --retry-failed; a
    changed photo or recipe is processed again. The command waits for a server that goes away.
    Ctrl-C stops after the photos in progress; a second Ctrl-C stops at once.

    Chooses the server as `smart-filter run` does.
    """
    place = output or Path(f"{folder.resolve().name}.smart-filter")
    recipe = asked.recipe(outputs=_OUTPUTS)
    _make_output_folder(folder, place, report_file)
    photos = WatchedFolder(folder, place, recursive)
    with Journal.opened(place) as journal, exit_on_signals():
        work = BatchRunner(
            photos,
            journal,
            PhotoRequest(recipe, asked.background_file),
            console=EscapingConsole(stderr=as_json, highlight=False),
            watch=watch,
            retry_failed=retry_failed,
            report_file=report_file,
            as_json=as_json,
        )
        status = work.do()
    ctx.exit(status)


def _make_output_folder(folder: Path, place: Path, report_file: Path | None) -> None:
    """Create the output folder; ends the command when it cannot be written."""
    if place.resolve() == folder.resolve():
        raise click.BadParameter(
            "the output folder is the input folder; name another one", param_hint="-o"
        )
    if report_file is not None and report_file.suffix.lower() not in batch_report.SUFFIXES:
        raise click.BadParameter(
            f"{report_file} is not {' or '.join(batch_report.SUFFIXES)}", param_hint="--report"
        )
    if report_file is not None and not report_file.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {report_file.parent}", param_hint="--report")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot create {place} ({error.strerror})", WRONG_USAGE) from error
