"""Keep the backgrounds of a tenant or of the operator in step with a place that holds pictures."""

from dataclasses import dataclass, field

from smart_filter_shared import stock
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import PictureRefused, UnusablePhoto
from smart_filter_shared.ids import Tenant
from smart_filter_shared.stock import Picture
from smart_filter_shared.stock.descriptions import Description, describe
from smart_filter_workers.stock import ingest
from smart_filter_workers.stock.ingest import Outcome, StoredPicture
from smart_filter_workers.stock.providers import FoundPicture, Provider


@dataclass(slots=True)
class SyncReport:
    """The outcome of a sync, by preset name.  refused: the reason for each refused path."""

    done: dict[Outcome, list[str]] = field(
        default_factory=lambda: {outcome: [] for outcome in Outcome}
    )
    removed: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def sync_pictures(
    servers: Backends,
    provider: Provider,
    *,
    tenant: Tenant | None,
    delete: bool = False,
    may_replace: bool = False,
) -> SyncReport:
    """Store new and changed pictures; with `delete`, remove pictures that are gone from the place.

    A refused picture is reported and does not stop the others; its earlier version stays.
    may_replace: whether a picture of the same name from elsewhere may be replaced.
    Raises PictureRefused when the place itself cannot be read, or is empty and its pictures are
    to be removed; TryAgain while servers are away.
    """
    with sessions.transaction(servers.engine) as connection:
        owned = {
            entry.picture.name: entry.picture for entry in stock.list_owned(connection, tenant)
        }
    synced = SyncReport()
    paths: dict[str, str] = {}
    is_empty = True
    for arrived in provider.pictures():
        is_empty = False
        try:
            its = describe(arrived.path, arrived.given)
            _take_name(paths, its.name, arrived.path)
            was = owned.get(its.name)
            kept = _store_found(
                servers, provider, arrived, its, tenant=tenant, was=was, may_replace=may_replace
            )
        except (PictureRefused, UnusablePhoto) as error:
            synced.refused[arrived.path] = str(error)
        else:
            synced.done[kept.outcome].append(kept.picture.preset.name)
    if delete:
        gone = [
            name
            for name, picture in owned.items()
            if picture.origin == provider.origin and name not in paths
        ]
        if gone and is_empty:
            raise PictureRefused(
                f"{provider.origin} holds no picture any more; nothing was removed: to remove its"
                " pictures, use `backgrounds remove`"
            )
        removed = ingest.remove_pictures(servers, tenant, gone)
        synced.removed = [entry.preset.name for entry in removed]
    return synced


def _take_name(paths: dict[str, str], name: str, path: str) -> None:
    if name in paths:
        raise PictureRefused(
            f"{paths[name]} is named {name}, too: rename one, or name it in backgrounds.toml"
        )
    paths[name] = path


def _store_found(
    servers: Backends,
    provider: Provider,
    picture: FoundPicture,
    its: Description,
    *,
    tenant: Tenant | None,
    was: Picture | None,
    may_replace: bool,
) -> StoredPicture:
    if picture.length > stock.MAX_BYTES:
        raise ingest.too_large_error(picture.length)
    if (
        was is not None
        and picture.stamp
        and (was.origin, was.stamp) == (provider.origin, picture.stamp)
    ):
        return ingest.update_description(
            servers, was, its, origin=provider.origin, stamp=picture.stamp
        )
    return ingest.store_picture(
        servers,
        picture.read(),
        its,
        tenant=tenant,
        origin=provider.origin,
        stamp=picture.stamp,
        may_replace=may_replace,
    )
