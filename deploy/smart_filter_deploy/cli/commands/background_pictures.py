"""Adds, synchronizes, lists and removes background pictures, and prints the changes."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from smart_filter_deploy.cli.server.backends import open_backends
from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError, print_error
from smart_filter_deploy.cli.terminal.text import escape_unprintable
from smart_filter_shared import stock
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import PictureRefused, UnusablePhoto
from smart_filter_shared.ids import Tenant
from smart_filter_shared.stock import Picture, StoredPicture
from smart_filter_workers.stock import descriptions, ingest, syncing
from smart_filter_workers.stock import files as stored_files
from smart_filter_workers.stock.descriptions import GivenDescription
from smart_filter_workers.stock.ingest import Outcome
from smart_filter_workers.stock.syncing import SyncReport

# Smallest side without a warning; larger photos need the picture enlarged behind them.
_MIN_SIDE_PX = 1080


def parse_words(
    files: Sequence[Path],
    *,
    name: str | None,
    title: str | None,
    tags: str | None,
    moods: str | None,
) -> GivenDescription:
    """Return the description that the options give; ends the command when one is invalid."""
    if len(files) > 1 and (name is not None or title is not None):
        raise CommandError("--name and --title apply to one picture: give one file", WRONG_USAGE)
    listed = None if moods is None else descriptions.split_tags(moods)
    try:
        return GivenDescription(
            name=None if name is None else descriptions.check_name(name),
            title=title,
            tags=None if tags is None else descriptions.split_tags(tags),
            moods=None if listed is None else tuple(descriptions.parse_mood(one) for one in listed),
        )
    except PictureRefused as error:
        raise CommandError(str(error), WRONG_USAGE) from error


def add(
    files: Sequence[Path], given: GivenDescription, *, tenant: str | None, may_replace: bool
) -> SyncReport:
    """Add pictures from files; a refused file is reported and stops no other."""
    done = SyncReport()
    with open_backends() as there:
        for file in files:
            try:
                kept = ingest.store_picture(
                    there.servers,
                    stored_files.read(file),
                    descriptions.describe(file.name, given),
                    tenant=_owner(tenant),
                    may_replace=may_replace,
                )
            except (PictureRefused, UnusablePhoto) as error:
                done.refused[str(file)] = str(error)
                continue
            done.done[kept.outcome].append(kept.picture.preset.name)
            _warn_when_small(kept.picture)
    return done


def sync(address: str, *, tenant: str | None, delete: bool, may_replace: bool) -> SyncReport:
    """Synchronize backgrounds with an address; ends the command when it cannot be read."""
    with open_backends() as there:
        try:
            return syncing.sync_pictures(
                there.servers,
                syncing.find_provider(address, there.storage),
                tenant=_owner(tenant),
                delete=delete,
                may_replace=may_replace,
            )
        except PictureRefused as error:
            raise CommandError(str(error), WRONG_USAGE) from error


def list_pictures(tenant: str | None) -> list[StoredPicture]:
    """Return the pictures that a tenant can use; None: all pictures."""
    with open_backends() as there, sessions.transaction(there.servers.engine) as connection:
        listed = stock.list_all(connection)
    if tenant is None:
        return listed
    return [one for one in listed if one.picture.tenant in {None, tenant}]


def remove(names: Sequence[str], *, tenant: str | None) -> SyncReport:
    """Remove pictures by their names, with or without `site/` or `tenant/`."""
    prefix = "site/" if tenant is None else "tenant/"
    wanted = [name.removeprefix(prefix) for name in names]
    with open_backends() as there:
        gone = ingest.remove_pictures(there.servers, _owner(tenant), wanted)
    removed = {picture.name: picture.preset.name for picture in gone}
    return SyncReport(
        removed=list(removed.values()),
        refused={name: "no picture has this name" for name in wanted if name not in removed},
    )


def print_changes(done: SyncReport, *, as_json: bool) -> None:
    """Print the changes, and on standard error the refused pictures."""
    if as_json:
        document = {
            **{str(outcome): names for outcome, names in done.done.items()},
            "removed": done.removed,
            "refused": [{"path": path, "why": why} for path, why in done.refused.items()],
        }
        click.echo(json.dumps(document))
    else:
        changes = [
            (Outcome.ADDED, done.done[Outcome.ADDED]),
            (Outcome.CHANGED, done.done[Outcome.CHANGED]),
            ("removed", done.removed),
        ]
        for what, names in changes:
            for name in names:
                click.echo(escape_unprintable(f"{what} {name}"))
        if unchanged := len(done.done[Outcome.UNCHANGED]):
            click.echo(f"unchanged: {unchanged}")
    for path, why in done.refused.items():
        print_error(f"{path}: {why}")


def _owner(tenant: str | None) -> Tenant | None:
    return None if tenant is None else Tenant(tenant)


def _warn_when_small(picture: Picture) -> None:
    if min(picture.width, picture.height) < _MIN_SIDE_PX:
        size = f"{picture.width}×{picture.height}"
        print_error(f"{picture.preset.name} is small ({size}): it is enlarged behind larger photos")
