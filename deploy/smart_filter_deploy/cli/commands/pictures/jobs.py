"""`smart-filter jobs`: lists, shows, downloads, corrects, cancels, redrives and deletes jobs."""

import dataclasses
import datetime as dt
import functools
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

import click
from rich.text import Text

from smart_filter_client import (
    Client,
    FaceChanges,
    FaceLabel,
    Job,
    JobState,
    OutputName,
)
from smart_filter_client.errors import Refused
from smart_filter_client.operations.outputs import clean_file_name
from smart_filter_deploy.cli.commands import completion_values
from smart_filter_deploy.cli.commands.options import json_option
from smart_filter_deploy.cli.commands.recipe_options import Drawing, drawing_options
from smart_filter_deploy.cli.server.connection import (
    choose_server,
    open_client,
    open_client_for,
    to_command_error,
)
from smart_filter_deploy.cli.server.program import typed_command
from smart_filter_deploy.cli.terminal.console import EscapingConsole, print_columns
from smart_filter_deploy.cli.terminal.exit_codes import (
    ALL_SUCCEEDED,
    PHOTO_FAILED,
    CommandError,
    print_error,
)
from smart_filter_deploy.cli.terminal.outputs import (
    OUTPUT_MARK,
    OutputPaths,
    plan_outputs,
)
from smart_filter_deploy.cli.terminal.report import STATE_STYLES, print_findings, print_stages
from smart_filter_deploy.cli.terminal.text import examples, print_json, print_line
from smart_filter_wire.formats import free_name
from smart_filter_wire.words import SmileLevel

_SMILES: Final = ("none", "mild", "moderate", "huge")
_EYES: Final = {"open": True, "closed": False}
_BOX_SIDES: Final = 4
# Outputs that `jobs show --json` shows; few who download pictures want their files.
_JSON_OUTPUTS: Final = frozenset({"faces", "rating", "printability"})

_yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
_job_argument = click.argument(
    "job_id", metavar="ID", shell_complete=completion_values.complete_job_ids
)
_optional_job_argument = click.argument(
    "job_id", metavar="[ID]", required=False, shell_complete=completion_values.complete_job_ids
)


@click.group(
    epilog=examples(
        "smart-filter jobs list --state failed",
        "smart-filter jobs show ID",
        "smart-filter jobs download ID -o beach.jpg",
    )
)
def jobs() -> None:
    """List, show, download, correct, cancel, redrive and delete jobs."""


@jobs.command(
    "list",
    epilog=examples(
        "smart-filter jobs list",
        "smart-filter jobs list --state failed --limit 100 --json | jq -r '.items[].id'",
    ),
)
@click.option(
    "--state",
    type=click.Choice(["queued", "running", "succeeded", "failed", "canceled"]),
    help="Only jobs in this state.",
)
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Maximum number of jobs."
)
@json_option
def list_(state: JobState | None, limit: int, *, as_json: bool) -> None:
    """List jobs, newest first."""
    with open_client() as client:
        listed = list(client.jobs(state=state, limit=limit, summary=not as_json))
    if as_json:
        print_json({"items": [job.document for job in listed], "next_cursor": None})
    elif not listed:
        click.echo("no jobs")
    else:
        columns = ("id", "state", "created", "photo", "background", "score", "error")
        print_columns(columns, map(_table_row, listed))


@jobs.command(
    epilog=examples(
        "smart-filter jobs show 01a1fba3-730f-74cd-b1d0-00331008d017",
        "smart-filter jobs show ID --json | jq .rating.points",
    )
)
@_job_argument
@json_option
def show(job_id: str, *, as_json: bool) -> None:
    """Show one job."""
    with open_client() as client:
        job = client.job(job_id)
    _print(job, as_json=as_json)


@jobs.command(
    epilog=examples(
        "smart-filter jobs download ID",
        "smart-filter jobs download ID -o beach.jpg",
        "smart-filter jobs download ID ID ID -o results/",
        "smart-filter jobs download ID --output cutout --output matte -o results/",
    )
)
@click.argument(
    "job_ids",
    nargs=-1,
    required=True,
    metavar="ID...",
    shell_complete=completion_values.complete_job_ids,
)
@click.option(
    "--output",
    "names",
    multiple=True,
    metavar="NAME",
    help="Which output; repeatable. Default: all pictures.",
)
@click.option(
    "-o",
    "destination",
    metavar="FILE|DIR",
    help="The picture's file, or a folder (DIR/ creates it). Default: here, named as the recipe's"
    " `filename` says, else after the photo, with a number where a file has that name.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line per job.")
def download(
    job_ids: tuple[str, ...],
    names: tuple[str, ...],
    destination: str | None,
    *,
    force: bool,
    as_json: bool,
) -> int:
    """Save the pictures of jobs that have succeeded; files that exist are not replaced.

    For jobs outside batches, `{n}` in the recipe's `filename` is their place among the ids.
    """
    places = plan_outputs([Path(job_id) for job_id in job_ids], destination)
    status = ALL_SUCCEEDED
    written: set[Path] = set()
    with open_client() as client:
        for number, (job_id, place) in enumerate(zip(job_ids, places, strict=True), 1):
            try:
                job = client.job(job_id)
                wanted = _choose_outputs(job, names)
                saving = _Download(
                    job=job,
                    place=_name_by_photo(job, place, written, replaces=force),
                    number=number,
                    written=written,
                    replaces=force,
                )
                saved = {name: saving.save(client, name) for name in wanted}
            except (CommandError, Refused) as error:
                if len(job_ids) == 1:
                    raise
                ended = to_command_error(error) if isinstance(error, Refused) else error
                print_error(f"{job_id}: {ended.message}")
                status = ended.status
                continue
            if as_json:
                files = {name: str(path) for name, path in saved.items()}
                print_json({"id": job.id, "files": files})
                continue
            for path in saved.values():
                print_line(str(path))
    return status


def _read_boxes(
    _context: click.Context, _option: click.Parameter, texts: Sequence[str]
) -> list[list[float]]:
    boxes = []
    for text in texts:
        try:
            box = [float(side) for side in text.split(",")]
        except ValueError:
            box = []
        if len(box) != _BOX_SIDES or not all(map(math.isfinite, box)):
            raise click.BadParameter(f"{text!r} is not X,Y,WIDTH,HEIGHT in pixels of the photo")
        boxes.append(box)
    return boxes


def _read_labels(
    _context: click.Context, _option: click.Parameter, texts: Sequence[str]
) -> list[FaceLabel]:
    return [_read_label(text) for text in texts]


def _read_label(text: str) -> FaceLabel:
    number, _, rest = text.partition(":")
    values = dict(part.partition("=")[::2] for part in rest.split(","))
    is_right = number.isdecimal() and all(
        value in (_SMILES if key == "smile" else _EYES) for key, value in values.items()
    )
    if not is_right or not values.keys() <= {"smile", "left-eye", "right-eye"}:
        raise click.BadParameter(
            f"{text!r} is not FACE:KEY=VALUE, such as 1:smile=huge,left-eye=closed; smiles are"
            f" {', '.join(_SMILES)}, and left-eye and right-eye are open or closed"
        )
    return FaceLabel(
        int(number),
        cast("SmileLevel | None", values.get("smile")),
        _EYES.get(values.get("left-eye", "")),
        _EYES.get(values.get("right-eye", "")),
    )


@jobs.command(
    epilog=examples(
        "smart-filter jobs correct ID --remove-face 2 --add-face 310,120,80,96",
        "smart-filter jobs correct ID --restore-faces",
        "smart-filter jobs correct ID --label 1:smile=huge,left-eye=open",
        "smart-filter jobs correct ID --mask mask.png --json | jq -r .id",
    )
)
@_job_argument
@click.option(
    "--remove-face",
    "removed",
    type=click.IntRange(1),
    multiple=True,
    metavar="NUMBER",
    help="Do not count a face, 1 the first of `faces`; repeatable.",
)
@click.option(
    "--add-face",
    "added",
    multiple=True,
    callback=_read_boxes,
    metavar="X,Y,WIDTH,HEIGHT",
    help="Count a missed face, by its box in the photo's pixels; repeatable.",
)
@click.option("--restore-faces", "restores", is_flag=True, help="Count the faces that were found.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    callback=_read_labels,
    metavar="FACE:KEY=VALUE,…",
    help="Right smile (none, mild, moderate, huge), left-eye and right-eye (open, closed) of a"
    " face; repeatable.",
)
@drawing_options
@json_option
def correct(
    job_id: str,
    removed: tuple[int, ...],
    added: list[list[float]],
    labels: list[FaceLabel],
    *,
    restores: bool,
    drawn: Drawing,
    as_json: bool,
) -> int:
    """Correct faces, smiles or the outline of a finished job, and make its picture again.

    The picture is a new job, which is printed when it has ended. One kind of correction at a time:
    correct the new job for another one.
    """
    given = {
        "faces": removed or added,
        "restore": restores,
        "label": labels,
        "mask": drawn.mask_file,
        "strokes": drawn.strokes,
    }
    if sum(map(bool, given.values())) != 1:
        raise click.UsageError(
            "give one kind of correction: --remove-face and --add-face, --restore-faces, --label,"
            " --mask or --strokes"
        )

    changes = labels or FaceChanges([*removed] or None, added or None, restores or None)
    called = {f"faces.remove.{at}": f"--remove-face {face}" for at, face in enumerate(removed)}
    called |= {f"faces.add.{at}": f"--add-face {box}" for at, box in enumerate(added)}
    with open_client_for(choose_server(), called) as client:
        if drawn.mask_file is not None or drawn.strokes:
            correction = client.correct_matte(job_id, mask=drawn.mask_file, strokes=drawn.strokes)
        else:
            correction = client.correct_faces(job_id, changes)
        job = client.wait(client.derive(job_id, correction_id=correction.id).id)
    _print(job, as_json=as_json)
    return ALL_SUCCEEDED if job.succeeded else PHOTO_FAILED


@jobs.command(
    epilog=examples(
        "smart-filter jobs delete ID",
        "smart-filter jobs delete ID --yes",
    )
)
@_job_argument
@_yes_option
def delete(job_id: str, *, yes: bool) -> None:
    """Delete a job with its photo and results; an unfinished job is canceled first.

    On a terminal it asks for confirmation.
    """
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete job {job_id}, its photo and its results?", abort=True, err=True)
    with open_client() as client:
        client.delete(job_id)
    print_line(f"deleted job {job_id}")


@jobs.command(
    short_help="Cancel a job, or all unfinished jobs of a tenant.",
    epilog=examples(
        "smart-filter jobs cancel ID",
        "smart-filter jobs cancel --tenant acme",
    ),
)
@_optional_job_argument
@click.option("--tenant", metavar="NAME", help="Cancel all unfinished jobs of this tenant.")
@_yes_option
@json_option
def cancel(job_id: str | None, tenant: str | None, *, yes: bool, as_json: bool) -> None:
    """Cancel a job, or all unfinished jobs of a tenant.

    A single job is canceled over the API. --tenant works on the database in
    SMART_FILTER_DATABASE_URL, else on that of the local stack of `smart-filter up`; on a terminal
    it prints the number of jobs and asks for confirmation.
    """
    _move("cancel", job_id, tenant, asks=not yes, as_json=as_json)


@jobs.command(
    short_help="Retry a failed job, or all failed jobs of a tenant.",
    epilog=examples(
        "smart-filter jobs redrive ID",
        "smart-filter jobs redrive --tenant acme",
    ),
)
@_optional_job_argument
@click.option("--tenant", metavar="NAME", help="Retry all failed jobs of this tenant.")
@_yes_option
@json_option
def redrive(job_id: str | None, tenant: str | None, *, yes: bool, as_json: bool) -> None:
    """Retry a failed job from its last successful stages with fresh attempts, or all of a tenant.

    Uses the same servers, and asks for confirmation, as `cancel` does.
    """
    _move("redrive", job_id, tenant, asks=not yes, as_json=as_json)


def _move(
    move: Literal["cancel", "redrive"],
    job_id: str | None,
    tenant: str | None,
    *,
    asks: bool,
    as_json: bool,
) -> None:
    """Cancel or redrive a job or a tenant's; ends the command unless one of both is given."""
    if job_id is not None and tenant is not None:
        raise click.UsageError("give ID or --tenant, not both")
    if tenant is not None:
        # A bare install has only jobs of the API.
        from smart_filter_deploy.cli.commands.operating import tenants  # noqa: PLC0415

        tenants.move_jobs(tenant, move, asks=asks, as_json=as_json)
        return
    if job_id is None:
        raise click.UsageError("give a job ID, or --tenant NAME for all jobs of a tenant")
    with open_client() as client:
        job = client.cancel(job_id) if move == "cancel" else client.redrive(job_id)
    _print(job, as_json=as_json)


def _choose_outputs(job: Job, names: Sequence[str]) -> list[OutputName]:
    """Return the names of the outputs to save; end the command when one does not exist."""
    if not job.succeeded:
        reason = "" if job.error is None else f" ({job.error.code})"
        raise CommandError(f"job {job.id} has no outputs: it is {job.state}{reason}", PHOTO_FAILED)
    missing = [name for name in names if name not in job.outputs]
    if missing:
        raise CommandError(
            f"job {job.id} has no output {', '.join(missing)}; it has {', '.join(job.outputs)}"
        )
    pictures = [name for name in job.outputs if name not in _JSON_OUTPUTS]
    return [name for name in job.outputs if name in names] or pictures or list(job.outputs)


def _name_by_photo(
    job: Job, place: OutputPaths, written: set[Path], *, replaces: bool
) -> OutputPaths:
    """Return a place whose stem is the photo's, numbered where files of that stem exist.

    written: the files of this call, which no job replaces.
    """
    first = Path(clean_file_name(job.photo_name or "").lstrip("-. ")).stem or job.id
    files = written if replaces else place.folder.iterdir()
    taken = {
        stem.lower()
        for file in files
        for stem in (
            file.name.partition(f".{OUTPUT_MARK}.")[0],
            *(file.stem.removesuffix(f"-{output}") for output in job.outputs),
        )
    }
    stem = free_name(first, "", lambda stem: stem.lower() in taken)
    return dataclasses.replace(place, stem=stem)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Download:
    """Saves the outputs of one job.

    number: of the job in this call.  written: the files of this call.
    replaces: whether other files are replaced.
    """

    job: Job
    place: OutputPaths
    number: int
    written: set[Path]
    replaces: bool

    def save(self, client: Client, name: OutputName) -> Path:
        """Download an output; return its file.  Raises CommandError."""
        pattern = str(self.job.recipe.get("filename") or "")
        is_counted = "{n}" in pattern and self.job.batch_id is None
        filename = pattern.replace("{n}", str(self.number)) if is_counted else ""
        choose = functools.partial(self._choose_file, name)
        try:
            file = client.download(self.job.id, name, choose, filename=filename)
        except OSError as error:
            raise CommandError(f"the result cannot be written: {error}", PHOTO_FAILED) from error
        self.written.add(file)
        return file

    def _choose_file(self, name: OutputName, media_type: str, file_name: str) -> Path:
        """Return the file of an output; raises CommandError when it must not be replaced."""
        job, place = self.job, self.place
        if job.recipe.get("filename") and file_name and not (name == "image" and place.exact):
            file = place.folder / file_name
        elif name == "image" and job.image is not None:
            file = place.image(job.image.format)
        else:
            file = place.other(name, media_type)
        if file in self.written:
            raise CommandError(f"{file} is another job's: save this one with -o", PHOTO_FAILED)
        if file.is_file() and not self.replaces:
            raise CommandError(
                f"{file} exists already: name another with -o, or use --force", PHOTO_FAILED
            )
        return file


def _print(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(dict(job.document))
        return
    console = EscapingConsole(highlight=False)
    console.print(
        Text("  ").join(
            [
                Text(job.id, style="bold"),
                _state(job),
                Text(_format_created(job), style="dim"),
                Text(job.photo_name or ""),
            ]
        )
    )
    print_stages(console, job)
    print_findings(console, job)
    if job.outputs:
        console.print(
            Text(
                f"  outputs     {', '.join(job.outputs)}: {typed_command()} jobs download {job.id}"
            ),
            soft_wrap=True,
        )


def _table_row(job: Job) -> tuple[Text | str, ...]:
    return (
        job.id,
        _state(job),
        _format_created(job),
        job.photo_name or "",
        job.background.name or job.background.kind,
        "" if job.rating is None else str(job.rating.points),
        "" if job.error is None else job.error.code,
    )


def _state(job: Job) -> Text:
    return Text(job.state, style=STATE_STYLES.get(job.state, ""))


def _format_created(job: Job) -> str:
    """Return the local creation time: the time of day for today's jobs, else the date."""
    local = job.created_at.astimezone()
    is_today = local.date() == dt.datetime.now(local.tzinfo).date()
    return f"{local:%H:%M:%S}" if is_today else f"{local:%Y-%m-%d}"
