"""What `smart-filter backgrounds` does with pictures, and what it tells of them."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from smart_filter_deploy.cli.endings import WRONG_USAGE, Ending, say
from smart_filter_deploy.cli.servers import reached
from smart_filter_deploy.cli.terminal import shown
from smart_filter_shared import stock
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import PictureRefused, Unusable
from smart_filter_shared.ids import Tenant
from smart_filter_shared.stock import Listed, Picture
from smart_filter_workers.stock import files as stored_files
from smart_filter_workers.stock import keeping, syncing, words
from smart_filter_workers.stock.keeping import Outcome
from smart_filter_workers.stock.syncing import Synced
from smart_filter_workers.stock.words import Words

# Behind a photo of more pixels a side it is enlarged.
_SMALL_PX = 1080


def read_words(
    files: Sequence[Path],
    *,
    name: str | None,
    title: str | None,
    tags: str | None,
    moods: str | None,
) -> Words:
    """Return what options tell of files; ends the command when they cannot."""
    if len(files) > 1 and (name is not None or title is not None):
        raise Ending("--name and --title are of one picture: add one file", WRONG_USAGE)
    listed = None if moods is None else words.split_tags(moods)
    try:
        return Words(
            name=None if name is None else words.checked_name(name),
            title=title,
            tags=None if tags is None else words.split_tags(tags),
            moods=None if listed is None else tuple(words.mood_of(one) for one in listed),
        )
    except PictureRefused as error:
        raise Ending(str(error), WRONG_USAGE) from error


def add(files: Sequence[Path], told: Words, *, tenant: str | None, may_replace: bool) -> Synced:
    """Keep the pictures of some files; what cannot be kept is told and holds up no other."""
    done = Synced()
    with reached() as there:
        for file in files:
            try:
                kept = keeping.keep(
                    there.servers,
                    stored_files.read(file),
                    words.called(file.name, told),
                    tenant=_owner(tenant),
                    may_replace=may_replace,
                )
            except (PictureRefused, Unusable) as error:
                done.refused[str(file)] = str(error)
                continue
            done.done[kept.outcome].append(kept.picture.preset.name)
            _tell_when_small(kept.picture)
    return done


def sync(address: str, *, tenant: str | None, delete: bool, may_replace: bool) -> Synced:
    """Keep backgrounds in step with a place; ends the command when it cannot be read."""
    with reached() as there:
        try:
            return syncing.sync(
                there.servers,
                syncing.provider_of(address, there.storage),
                tenant=_owner(tenant),
                delete=delete,
                may_replace=may_replace,
            )
        except PictureRefused as error:
            raise Ending(str(error), WRONG_USAGE) from error


def seen_by(tenant: str | None) -> list[Listed]:
    """Return the pictures that a tenant may use; None: all that are kept."""
    with reached() as there, sessions.transaction(there.servers.engine) as connection:
        listed = stock.everything(connection)
    if tenant is None:
        return listed
    return [one for one in listed if one.picture.tenant in {None, tenant}]


def remove(names: Sequence[str], *, tenant: str | None) -> Synced:
    """Remove pictures by their names, with or without `site/` or `tenant/`."""
    prefix = "site/" if tenant is None else "tenant/"
    wanted = [name.removeprefix(prefix) for name in names]
    with reached() as there:
        gone = keeping.remove(there.servers, _owner(tenant), wanted)
    removed = {picture.name: picture.preset.name for picture in gone}
    return Synced(
        removed=list(removed.values()),
        refused={name: "there is none of this name" for name in wanted if name not in removed},
    )


def tell(done: Synced, *, as_json: bool) -> None:
    """Tell what was done, and on standard error what could not be."""
    if as_json:
        told = {
            **{str(outcome): names for outcome, names in done.done.items()},
            "removed": done.removed,
            "refused": [{"path": path, "why": why} for path, why in done.refused.items()],
        }
        click.echo(json.dumps(told))
    else:
        told_one_by_one = [
            (Outcome.ADDED, done.done[Outcome.ADDED]),
            (Outcome.CHANGED, done.done[Outcome.CHANGED]),
            ("removed", done.removed),
        ]
        for what, names in told_one_by_one:
            for name in names:
                click.echo(shown(f"{what} {name}"))
        if unchanged := len(done.done[Outcome.UNCHANGED]):
            click.echo(f"unchanged: {unchanged}")
    for path, why in done.refused.items():
        say(f"{path}: {why}")


def _owner(tenant: str | None) -> Tenant | None:
    return None if tenant is None else Tenant(tenant)


def _tell_when_small(picture: Picture) -> None:
    if min(picture.width, picture.height) < _SMALL_PX:
        size = f"{picture.width}×{picture.height}"
        say(f"{picture.preset.name} is small ({size}): behind larger photos it is enlarged")
