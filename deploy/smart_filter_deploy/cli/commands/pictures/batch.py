"""`smart-filter batch`: processes a folder of photos, and resumes where it stopped."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Literal

import click

from smart_filter_deploy.cli.batch import report as batch_report
from smart_filter_deploy.cli.batch.album import MAX_PHOTOS, TAKE
from smart_filter_deploy.cli.batch.journal import Journal
from smart_filter_deploy.cli.batch.runner import BatchRunner
from smart_filter_deploy.cli.batch.watch import HotFolder, WatchedFolder
from smart_filter_deploy.cli.commands.options import EXISTING_FOLDER, FILE, FOLDER
from smart_filter_deploy.cli.commands.recipe_options import RecipeOptions, recipe_options
from smart_filter_deploy.cli.server.submit_and_fetch import PhotoRequest
from smart_filter_deploy.cli.terminal.console import EscapingConsole
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_deploy.cli.terminal.signals import exit_on_signals
from smart_filter_deploy.cli.terminal.text import examples
from smart_filter_shared.extras import install_hint

# The picture, and the findings that a report lists.
_OUTPUTS = "image,faces,rating,printability"
# Of a list of paths, which is parsed in memory: a million of ordinary length.
_MAX_LIST_BYTES = 64_000_000


def _read_best(
    _context: click.Context, _option: click.Parameter, text: str | None
) -> int | Literal["take"] | None:
    if text is None or text == TAKE:
        return None if text is None else TAKE
    if text.isdecimal() and 1 <= int(text) <= MAX_PHOTOS:
        return int(text)
    raise click.BadParameter(f"{text!r} is neither a number from 1 to {MAX_PHOTOS} nor {TAKE}")


@click.command(
    epilog=examples(
        "smart-filter batch holiday/ --background preset:studio",
        "smart-filter batch holiday/ -o cut-out/ --background transparent --report holiday.csv",
        "smart-filter batch holiday/ --recipe our-brand,instagram-portrait",
        "smart-filter batch holiday/ --best 3 --report best.html",
        "smart-filter batch holiday/ --masks my-masks/",
        "find holiday/ -newer last -print0 | smart-filter batch holiday/ --list - -0",
        "smart-filter batch burst/ --best take --background keep",
        "smart-filter batch inbox/ --watch          # until Ctrl-C",
        "smart-filter batch holiday/ --retry-failed",
    )
)
@click.argument("folder", metavar="DIR", type=EXISTING_FOLDER)
@click.option(
    "-o",
    "output",
    metavar="DIR",
    type=FOLDER,
    help="Output folder, also for the journal. Default: <DIR>.smart-filter in this folder.",
)
@recipe_options
@click.option(
    "--best",
    callback=_read_best,
    metavar="N|take",
    help="Rank all photos of the folder, compose the best N, and print why. take: compose one"
    " picture of 2 to 12 photos of the same people, with the best face of each.",
)
@click.option(
    "--masks",
    metavar="DIR",
    type=EXISTING_FOLDER,
    help="Folder of masks and strokes: those of me.jpg are me.png, a gray PNG of its size, white"
    " where people are, or me.json. Other photos are cut out as usual.",
)
@click.option(
    "--list",
    "list_file",
    type=click.File("rb"),
    metavar="FILE|-",
    help="Process only the photos of DIR that this file or standard input names, one path per"
    " line.",
)
@click.option("-0", "--null", "ends_in_nul", is_flag=True, help="Paths of --list end in NUL.")
@click.option("--recursive", is_flag=True, help="Include subfolders; the output mirrors them.")
@click.option(
    "--watch", is_flag=True, help="Keep running; move each photo to done/ or failed/ in DIR."
)
@click.option("--retry-failed", is_flag=True, help="Retry photos that failed before.")
@click.option(
    "--report",
    "report_file",
    metavar="FILE",
    type=FILE,
    help="Write the outcome of every photo to a .csv, .json or .html file, .html with thumbnails.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line per photo.")
def batch(
    folder: Path,
    output: Path | None,
    *,
    asked: RecipeOptions,
    best: int | Literal["take"] | None,
    masks: Path | None,
    list_file: BinaryIO | None,
    ends_in_nul: bool,
    recursive: bool,
    watch: bool,
    retry_failed: bool,
    report_file: Path | None,
    as_json: bool,
) -> int:
    """Process every photo of a folder; running it again resumes where it stopped.

    A journal in the output folder records finished photos: after any interruption the same
    command does the rest, and nothing twice. Failed photos are skipped until --retry-failed; a
    changed photo or recipe is processed again. The command waits for a server that goes away.
    Ctrl-C stops after the photos in progress; a second Ctrl-C stops at once. By default it also
    finds and rates the faces, for the report.

    With --watch each photo moves to done/ or failed/ in DIR when it has ended; one that is moved
    back from failed/ is tried again.

    Chooses the server as `smart-filter run` does.
    """
    if best is not None and watch:
        raise click.UsageError("--best ranks a whole folder, and --watch never ends: leave one out")
    if best is not None and asked.background_file is not None:
        raise click.UsageError(
            "--best takes no --background-file: add the picture with `smart-filter backgrounds"
            " add`, and name it with --background preset:…"
        )
    if masks is not None and (best is not None or watch):
        raise click.UsageError("--masks goes with neither --best nor --watch: leave one out")
    if masks is not None and masks.resolve() == folder.resolve():
        raise click.BadParameter("keep masks in a folder without photos", param_hint="--masks")
    if list_file is not None and (watch or recursive):
        raise click.UsageError("--list names the photos: leave --watch and --recursive out")
    listed = None if list_file is None else _read_list(list_file, folder, ends_in_nul=ends_in_nul)
    place = output or Path(f"{folder.resolve().name}.smart-filter")
    recipe = asked.recipe(outputs=_OUTPUTS)
    hot_folder = HotFolder(folder) if watch else None
    moved_to = () if hot_folder is None else hot_folder.folders
    without = (place, *moved_to, *([masks] if masks else []))
    photos = WatchedFolder(folder, without, recursive, listed=listed)
    with contextlib.ExitStack() as opened:
        opened.enter_context(_remove_new_if_empty((place, *moved_to)))
        _make_output_folder(folder, place, report_file)
        if hot_folder is not None:
            hot_folder.prepare()
        journal = opened.enter_context(Journal.opened(place))
        opened.enter_context(exit_on_signals())
        work = BatchRunner(
            photos,
            journal,
            PhotoRequest(recipe, asked.background_file, drawings=masks, best=best),
            outputs=_OUTPUTS,
            console=EscapingConsole(stderr=as_json, highlight=False),
            hot_folder=hot_folder,
            retry_failed=retry_failed,
            report_file=report_file,
            as_json=as_json,
        )
        return work.do()


def _read_list(file: BinaryIO, folder: Path, *, ends_in_nul: bool) -> list[Path]:
    """Return the listed files, each once, as paths below the folder."""
    content = file.read(_MAX_LIST_BYTES + 1)
    if len(content) > _MAX_LIST_BYTES:
        raise click.BadParameter(
            f"it has more than {_MAX_LIST_BYTES:,} bytes: split it", param_hint="--list"
        )
    if b"\0" in content and not ends_in_nul:
        raise click.BadParameter("its paths end in NUL: add -0", param_hint="--list")
    root = Path(os.path.normpath(folder.absolute()))
    files: dict[Path, None] = {}
    for line in filter(None, content.split(b"\0") if ends_in_nul else content.splitlines()):
        path = Path(os.path.normpath(Path.cwd() / os.fsdecode(line)))
        if not path.is_relative_to(root):
            raise click.BadParameter(f"{path} is not below {folder}", param_hint="--list")
        files[folder / path.relative_to(root)] = None
    return list(files)


@contextlib.contextmanager
def _remove_new_if_empty(folders: Sequence[Path]) -> Iterator[None]:
    """Remove these folders afterward where they are new and empty: a start was refused."""
    paths = {path for folder in folders for path in (folder, *folder.parents)}
    missing = [path for path in paths if not path.exists()]
    try:
        yield
    finally:
        for path in sorted(missing, reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()


def _make_output_folder(folder: Path, place: Path, report_file: Path | None) -> None:
    """Create the output folder; ends the command when it cannot be written."""
    if place.resolve() == folder.resolve():
        raise click.BadParameter(
            "the output folder is the input folder; name another one", param_hint="-o"
        )
    if report_file is not None and report_file.suffix.lower() not in batch_report.SUFFIXES:
        raise click.BadParameter(
            f"{report_file} ends in none of {', '.join(batch_report.SUFFIXES)}",
            param_hint="--report",
        )
    if report_file is not None and report_file.suffix.lower() == ".html" and not find_spec("PIL"):
        raise CommandError(f"an HTML report needs Pillow: {install_hint()}")
    if report_file is not None and not report_file.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {report_file.parent}", param_hint="--report")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot create {place} ({error.strerror})") from error
