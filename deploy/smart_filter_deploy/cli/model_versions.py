"""`smart-filter models versions` and what moves them: trained weights, tried, live, taken back."""

import dataclasses
import datetime as dt
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending, needing
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.terminal import tell
from smart_filter_shared.errors import VersionRefused
from smart_filter_shared.places import data_folder

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from smart_filter_shared.cards import TaskName
    from smart_filter_shared.jobs.versions import Version

_json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")
_SHOWN_DIGITS: Final = 12
# What a shadow's figures say of a photo (smart_filter_workers.learning.trying).
_MEANINGS: Final = {
    "iou": "agreement of both mattes",
    "coverage": "difference of what they cover",
    "level": "share of faces with the same level",
    "score": "difference of scores",
    "eyes": "share of eyes with the same answer",
    "turns": "1 where it is turned the same way",
    "faces": "1 where there are as many",
    "seconds": "how long it took",
}


class _Model(click.ParamType["tuple[TaskName, str]"]):
    """A model as TASK/NAME."""

    name = "task/name"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> "tuple[TaskName, str]":
        with needing("worker"):
            from smart_filter_shared.cards import TaskName  # noqa: PLC0415 - not of a bare install

        task, _, name = str(value).partition("/")
        if task not in set(TaskName) or not name:
            tasks = ", ".join(TaskName)
            self.fail(f"is no TASK/NAME such as smile/expression; tasks: {tasks}", param, ctx)
        return TaskName(task), name


@click.command(
    epilog=examples(
        "smart-filter models versions",
        "smart-filter models versions --model smile/expression --json",
    )
)
@click.option("--model", type=_Model(), metavar="TASK/NAME", help="Of one model only.")
@_json_option
def versions(*, model: "tuple[TaskName, str] | None", as_json: bool) -> None:
    """List the trained weights of models, the latest first.

    In the database that SMART_FILTER_DATABASE_URL names, else in that of the stack that
    `smart-filter up` runs on the data folder; so do the commands that move them.
    """
    with needing("worker"):
        from smart_filter_deploy.cli import database  # noqa: PLC0415 - no part of a bare install
        from smart_filter_shared.jobs import versions as table  # noqa: PLC0415

    task, name = model or (None, None)
    with database.transaction() as connection:
        found = table.listed(connection, task=task, model=name)
    if as_json:
        click.echo(json.dumps({"items": [_document(one) for one in found]}))
        return
    if not found:
        click.echo("no weights were registered; `smart-filter models register` does")
    for one in found:
        tell(_line(one))


@click.command(
    epilog=examples(
        "smart-filter models register model.onnx --model smile/expression --metrics m.json",
    )
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", type=_Model(), required=True, metavar="TASK/NAME", help="Whose they are.")
@click.option(
    "--metrics",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="How good they are, and what is live (docs/learning.md).",
)
@click.option("--trained-on", default="", metavar="TEXT", help="On which pictures.")
@click.option("--data-set", type=click.IntRange(1), metavar="N", help="Which version of ours.")
@click.option("--parent", metavar="DIGEST", help="Which weights training began with.")
@_json_option
def register(
    file: Path,
    *,
    model: "tuple[TaskName, str]",
    metrics: Path,
    trained_on: str,
    data_set: int | None,
    parent: str | None,
    as_json: bool,
) -> None:
    """Register a file of weights as a candidate of a model.

    The model is loaded with them and run once; then they lie in storage, for every worker.
    """
    with needing("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli import servers  # noqa: PLC0415
        from smart_filter_workers import catalogue  # noqa: PLC0415
        from smart_filter_workers.learning import registering  # noqa: PLC0415
        from smart_filter_workers.learning.registering import Place, Training  # noqa: PLC0415

    told = _metrics(metrics)
    task, name = model
    training = Training(told, trained_on, dt.datetime.now(dt.UTC), data_set, parent)
    # What is logged on the way is no part of what programs read.
    with servers.reached() as reached, _refusals(), redirect_stdout(sys.stderr):
        found = reached.servers
        place = Place(found.engine, found.store, catalogue.find(), data_folder() / "weights")
        version = registering.register(
            place, file.read_bytes(), task=task, model=name, training=training
        )
    _tell(version, as_json=as_json)
    # What is there stays as it is, with the moment that its own training began.
    if version.trained.trained_at != training.trained_at and not as_json:
        click.echo("it was registered before; its figures stay")


@click.command(
    short_help="Try weights on a share of jobs, beside the live ones.",
    epilog=examples("smart-filter models shadow 3f2a91bc --share 0.2"),
)
@click.argument("digest")
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    help="Of how many jobs; 0: of none any more.",
)
@_json_option
def shadow(digest: str, *, share: float, as_json: bool) -> None:
    """Try weights beside those that run, on a share of jobs; what they say is not shown."""
    with needing("worker"):
        from smart_filter_shared.jobs import versions as table  # noqa: PLC0415

    with _moved(digest, is_run=share > 0) as (connection, whole):
        version = table.shadow(connection, whole, share=share)
    _tell(version, as_json=as_json)


@click.command(
    "compare-shadow",
    short_help="Show how weights on trial agree with the live ones.",
    epilog=examples("smart-filter models compare-shadow 3f2a91bc"),
)
@click.argument("digest")
@_json_option
def compare_shadow(digest: str, *, as_json: bool) -> None:
    """Show how far weights that were tried agree with those that are live."""
    with needing("worker"):
        from smart_filter_deploy.cli import database  # noqa: PLC0415 - no part of a bare install
        from smart_filter_shared.jobs import models, shadows  # noqa: PLC0415
        from smart_filter_shared.jobs import versions as table  # noqa: PLC0415

    with _refusals(), database.transaction() as connection:
        version = table.find(connection, digest)
        place = version.trained.task, version.trained.model
        known = models.published(connection)
        against = next(
            (
                one.live or one.card.digest
                for one in known
                if (one.card.task, one.card.name) == place
            ),
            None,
        )
        said = shadows.said(connection, version.digest, against=against)
    if as_json:
        figures = {name: dataclasses.asdict(one) for name, one in said.figures.items()}
        told = {"digest": version.digest, "against": against, "photos": said.photos}
        click.echo(json.dumps({**told, "errors": said.errors, "figures": figures}))
        return
    tell(_line(version))
    if said.photos == 0:
        click.echo("it was tried on no photo yet, against what is live now")
        return
    compared = said.photos - said.errors
    tell(f"tried on {_photos(said.photos)}; it raised on {said.errors}")
    if compared:
        tell(f"how far it says what the live weights say, on {_photos(compared)}")
        click.echo("(agreement, not how often it is right: mean ± 95 %, least to most)")
    for name, one in said.figures.items():
        meaning = f", {_MEANINGS[name]}" if name in _MEANINGS else ""
        shown = f"{one.mean:.4f} ± {one.half:.4f}, {one.least:.4f} to {one.most:.4f}"
        tell(f"  {name}{meaning}: {shown}")
    if said.error is not None:
        tell(f"  it raised, for one: {said.error}")


@click.command(
    short_help="Let a model run with these weights.",
    epilog=examples("smart-filter models promote 3f2a91bc"),
)
@click.argument("digest")
@click.option("--anyway", is_flag=True, help="Though they are worse, or were never compared.")
@_json_option
def promote(digest: str, *, anyway: bool, as_json: bool) -> None:
    """Let a model run with these weights, in jobs that are submitted from now on."""
    with needing("worker"):
        from smart_filter_shared.jobs import versions as table  # noqa: PLC0415

    with _moved(digest) as (connection, whole):
        version = table.promote(connection, whole, anyway=anyway)
    _tell(version, as_json=as_json)


@click.command(
    short_help="Let a model run with its former weights.",
    epilog=examples("smart-filter models rollback smile/expression"),
)
@click.argument("model", type=_Model(), metavar="TASK/NAME")
@_json_option
def rollback(model: "tuple[TaskName, str]", *, as_json: bool) -> None:
    """Let a model run with what its live weights took the place of."""
    with needing("worker"):
        from smart_filter_deploy.cli import database  # noqa: PLC0415 - no part of a bare install
        from smart_filter_shared.jobs import versions as table  # noqa: PLC0415

    task, name = model
    with _refusals(), database.transaction() as connection:
        retired, now = table.rollback(connection, task, name)
    if as_json:
        click.echo(
            json.dumps({"task": task, "model": name, "retired": retired.digest, "live": now})
        )
        return
    runs = "the weights that it came with" if now is None else now[:_SHOWN_DIGITS]
    tell(f"{task}/{name}: {retired.digest[:_SHOWN_DIGITS]} is retired; it runs with {runs}")


COMMANDS: Final = (versions, register, shadow, compare_shadow, promote, rollback)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except VersionRefused as error:
        raise Ending(str(error), WRONG_USAGE) from error


@contextmanager
def _moved(digest: str, *, is_run: bool = True) -> "Iterator[tuple[Connection, str]]":
    """Open a transaction to move a version in, and give its whole digest.

    is_run: then its file has to be in storage, for workers wait for what they cannot fetch.
    """
    with needing("worker"):
        # The server's packages are not part of a bare install.
        from smart_filter_deploy.cli import servers  # noqa: PLC0415
        from smart_filter_shared.db import sessions  # noqa: PLC0415
        from smart_filter_shared.jobs import versions as table  # noqa: PLC0415
        from smart_filter_workers.learning import registering  # noqa: PLC0415

    with servers.reached() as reached, _refusals():
        engine, store = reached.servers.engine, reached.servers.store
        with sessions.transaction(engine) as connection:
            version = table.find(connection, digest)
        if is_run:
            registering.ensure_stored(store, version)
        with sessions.transaction(engine) as connection:
            yield connection, version.digest


def _metrics(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Ending(f"{path} is no JSON: {error}", WRONG_USAGE) from error
    if not isinstance(told, dict):
        raise Ending(f'{path} is no object such as {{"candidate": {{…}}}}', WRONG_USAGE)
    return told


def _tell(version: "Version", *, as_json: bool) -> None:
    tell(json.dumps(_document(version)) if as_json else _line(version))


def _document(version: "Version") -> dict[str, object]:
    trained = version.trained
    return {
        "task": trained.task,
        "model": trained.model,
        "digest": trained.digest,
        "state": version.state,
        "share": version.share,
        "metrics": trained.metrics,
        "parent": trained.parent,
        "data_set": trained.data_set,
        "trained_on": trained.trained_on,
        "trained_at": trained.trained_at.isoformat(),
        "created_at": version.created_at.isoformat(),
        "moved_at": version.moved_at.isoformat(),
        "deletions": version.deletions,
    }


def _line(version: "Version") -> str:
    trained = version.trained
    share = "" if version.share is None else f" of {version.share:.0%} of jobs"
    on = f", data set {trained.data_set}" if trained.data_set is not None else ""
    figures = trained.metrics.get("candidate")
    shown = figures.items() if isinstance(figures, dict) else ()
    told = ", ".join(f"{name} {_number(value)}" for name, value in shown)
    photos = "1 deletion" if version.deletions == 1 else f"{version.deletions} deletions"
    before = f", trained before {photos}" if version.deletions else ""
    return (
        f"{trained.task}/{trained.model} {trained.digest[:_SHOWN_DIGITS]} {version.state}{share}"
        f"{on}: {told or 'no figures'}{before}"
    )


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count} photos"


def _number(figure: object) -> str:
    """Return what is measured, for people; what was written down before is of any form."""
    number = figure[0] if isinstance(figure, list) and figure else None
    if isinstance(number, bool) or not isinstance(number, int | float):
        return "?"
    try:
        return f"{number:g}"
    except OverflowError:
        return "?"
