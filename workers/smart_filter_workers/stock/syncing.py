"""Keeps a tenant's backgrounds, or everybody's, in step with a place that holds pictures."""

import importlib
import pkgutil
from dataclasses import dataclass, field
from typing import Final, cast

from smart_filter_shared import stock
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import PictureRefused, Unusable
from smart_filter_shared.ids import Tenant
from smart_filter_shared.servers import Servers
from smart_filter_shared.settings import StorageSettings
from smart_filter_shared.stock import Picture
from smart_filter_workers.stock import keeping, providers
from smart_filter_workers.stock.keeping import Kept, Outcome
from smart_filter_workers.stock.providers.base import Found, Provider, ProviderFile
from smart_filter_workers.stock.words import Called, called

_INTERFACE: Final = "base"


@dataclass(slots=True)
class Synced:
    """What was done, by the presets' names.  refused: what could not be taken, and why, by path."""

    done: dict[Outcome, list[str]] = field(default_factory=lambda: {one: [] for one in Outcome})
    removed: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def provider_of(address: str, storage: StorageSettings) -> Provider:
    """Return who provides the pictures of an address.

    storage: the service's own.  Raises PictureRefused when nobody knows such addresses.
    """
    for module in pkgutil.iter_modules(providers.__path__):
        if module.name == _INTERFACE:
            continue
        # That each module keeps to ProviderFile is what its contract test says.
        file = cast("ProviderFile", importlib.import_module(f"{providers.__name__}.{module.name}"))
        if file.opens(address):
            return file.open_at(address, storage)
    raise PictureRefused(f"{address} is neither a folder nor s3://bucket/prefix")


def sync(
    servers: Servers,
    provider: Provider,
    *,
    tenant: Tenant | None,
    delete: bool = False,
    may_replace: bool = False,
) -> Synced:
    """Take in what is new or has changed; with `delete`, remove what came from there and is gone.

    Whatever cannot be taken is told and does not hold up the rest; what it was before stays.
    may_replace: whether a picture of the name that came from elsewhere may go.
    Raises PictureRefused when the place itself cannot be read, or is empty and its pictures are
    to be removed; TryAgain while servers are away.
    """
    with sessions.transaction(servers.engine) as connection:
        known = {one.picture.name: one.picture for one in stock.owned_by(connection, tenant)}
    synced = Synced()
    paths: dict[str, str] = {}
    is_empty = True
    for found in provider.pictures():
        is_empty = False
        try:
            its = called(found.path, found.told)
            _take_name(paths, its.name, found.path)
            was = known.get(its.name)
            kept = _kept(
                servers, provider, found, its, tenant=tenant, was=was, may_replace=may_replace
            )
        except (PictureRefused, Unusable) as error:
            synced.refused[found.path] = str(error)
        else:
            synced.done[kept.outcome].append(kept.picture.preset.name)
    if delete:
        gone = [
            name
            for name, picture in known.items()
            if picture.origin == provider.origin and name not in paths
        ]
        if gone and is_empty:
            raise PictureRefused(
                f"{provider.origin} holds no picture any more; nothing was removed: should it be "
                "so, use `backgrounds remove`"
            )
        removed = keeping.remove(servers, tenant, gone)
        synced.removed = [one.preset.name for one in removed]
    return synced


def _take_name(paths: dict[str, str], name: str, path: str) -> None:
    if name in paths:
        raise PictureRefused(
            f"{paths[name]} is named {name}, too: rename one, or name it in backgrounds.toml"
        )
    paths[name] = path


def _kept(
    servers: Servers,
    provider: Provider,
    found: Found,
    its: Called,
    *,
    tenant: Tenant | None,
    was: Picture | None,
    may_replace: bool,
) -> Kept:
    if found.length > keeping.MAX_BYTES:
        raise keeping.too_large(found.length)
    if (
        was is not None
        and found.stamp
        and (was.origin, was.stamp) == (provider.origin, found.stamp)
    ):
        return keeping.retold(servers, was, its, origin=provider.origin, stamp=found.stamp)
    return keeping.keep(
        servers,
        found.read(),
        its,
        tenant=tenant,
        origin=provider.origin,
        stamp=found.stamp,
        may_replace=may_replace,
    )
