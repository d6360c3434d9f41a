"""Adds, lists and removes pictures: in a server's database, or the API key's own over REST."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from smart_filter_client import Client
from smart_filter_client import errors as client_errors
from smart_filter_deploy.cli.server.backends import open_backends
from smart_filter_deploy.cli.server.connection import (
    describe_refusal,
    open_client_for,
    server_from_environment,
)
from smart_filter_deploy.cli.terminal.exit_codes import NO_SERVER, CommandError
from smart_filter_shared import stock
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.ids import Tenant
from smart_filter_shared.presets import PICTURE, BackgroundSource, Preset
from smart_filter_shared.stock import StoredPicture
from smart_filter_shared.stock.descriptions import Description
from smart_filter_wire.catalog import TenantPicture
from smart_filter_wire.words import PictureUse
from smart_filter_workers.stock import ingest
from smart_filter_workers.stock.ingest import Outcome

OWN: Final = f"{BackgroundSource.TENANT}/"
_READY: Final = "ready"
# Refusals of the key, or of every picture for now.
_OF_ALL = (client_errors.Unauthorized, client_errors.Forbidden, client_errors.TryLater)


@dataclass(frozen=True, slots=True)
class AddedPicture:
    """A picture that was added; width, height: in pixels."""

    name: str
    width: int
    height: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ListedPicture:
    """A picture in a list: the columns of its row, and its JSON document.

    size: in pixels, or the state of a picture that is not ready.  refusal: why it was refused.
    """

    name: str
    owner: str
    is_logo: bool
    size: str
    moods: Sequence[str]
    tags: Sequence[str]
    document: Mapping[str, object] = field(repr=False)
    refusal: str | None = None


class DatabasePictures:
    """The pictures of a tenant, or of the operator for None."""

    def __init__(self, servers: Backends, tenant: Tenant | None) -> None:
        self._servers = servers
        self._tenant = tenant
        self.prefix = f"{BackgroundSource.SITE}/" if tenant is None else OWN

    def add(
        self, content: bytes, called: Description, *, is_logo: bool, may_replace: bool
    ) -> AddedPicture:
        """Add a picture.  Raises as `ingest.store_picture` does."""
        stored = ingest.store_picture(
            self._servers,
            content,
            called,
            tenant=self._tenant,
            may_replace=may_replace,
            is_logo=is_logo,
        )
        picture = stored.picture
        return AddedPicture(picture.preset.name, picture.width, picture.height, stored.outcome)

    def list_pictures(self) -> list[ListedPicture]:
        """Return the pictures that the tenant can use; all pictures for None."""
        with sessions.transaction(self._servers.engine) as connection:
            listed = stock.list_all(connection)
        usable = {None, self._tenant}
        return [
            _list_stored(entry)
            for entry in listed
            if self._tenant is None or entry.picture.tenant in usable
        ]

    def remove(self, names: Sequence[str]) -> dict[str, str]:
        """Remove pictures; return the full names of the removed ones by their short names."""
        gone = ingest.remove_pictures(self._servers, self._tenant, names)
        return {picture.name: picture.preset.name for picture in gone}


class RestPictures:
    """The pictures of the API key's tenant, on a server that only REST reaches."""

    prefix = OWN

    def __init__(self, client: Client) -> None:
        self._client = client

    def add(
        self, content: bytes, called: Description, *, is_logo: bool, may_replace: bool
    ) -> AddedPicture:
        """Add a picture and wait until a worker has read it.

        Raises PictureRefused, CommandError while no worker reads it, and errors of the client that
        concern every picture.
        """
        name = f"{OWN}{called.name}"
        before = self._read_pictures().get(name)
        digest = hashlib.sha256(content).hexdigest()
        if before is not None and before.sha256 != digest and not may_replace:
            raise ingest.name_taken_error(name)
        try:
            added = self._client.add_picture(
                called.name, content, logo=is_logo, title=called.title, tags=called.tags
            )
        except _OF_ALL:
            raise
        except client_errors.Refused as error:
            raise PictureRefused(describe_refusal(error)) from error
        except client_errors.NotFinishedInTime as error:
            raise CommandError(
                f"{name} is stored, but no worker has read it within {error.seconds:.0f} s:"
                " `backgrounds list` shows when one has",
                NO_SERVER,
            ) from error
        if added.state != _READY:
            raise PictureRefused(added.error.detail if added.error else added.state)
        outcome = Outcome.CHANGED
        if before is None or before.state != _READY:
            outcome = Outcome.ADDED
        elif _content(before) == _content(added):
            outcome = Outcome.UNCHANGED
        return AddedPicture(name, added.width or 0, added.height or 0, outcome)

    def list_pictures(self) -> list[ListedPicture]:
        """Return the tenant's own pictures, those too that are pending or refused."""
        presets = {preset.name: preset for preset in self._client.backgrounds()}
        listed = []
        for picture in self._read_pictures().values():
            preset = presets.get(picture.name)
            moods = () if preset is None else preset.moods
            is_logo = picture.use == PictureUse.LOGO
            refusal = None if picture.error is None else picture.error.detail
            size = f"{picture.width}×{picture.height}" if picture.state == _READY else picture.state
            document = {
                "name": picture.name,
                "source": str(BackgroundSource.TENANT),
                "family": PICTURE,
                "title": picture.title,
                "tags": list(picture.tags),
                "moods": list(moods),
                "palette": [] if preset is None else list(preset.palette),
                "brightness": None if preset is None else preset.brightness,
                "logo": is_logo,
                "width": picture.width,
                "height": picture.height,
                "sha256": picture.sha256,
                "state": picture.state,
                "error": refusal,
            }
            listed.append(
                ListedPicture(
                    picture.name,
                    "your tenant",
                    is_logo,
                    size,
                    moods,
                    picture.tags,
                    document,
                    refusal,
                )
            )
        return listed

    def remove(self, names: Sequence[str]) -> dict[str, str]:
        """Remove pictures; return the full names of the removed ones by their short names."""
        pictures = self._read_pictures()
        removed = {name: f"{OWN}{name}" for name in names if f"{OWN}{name}" in pictures}
        for name in removed:
            self._client.delete_picture(name)
        return removed

    def _read_pictures(self) -> dict[str, TenantPicture]:
        return {picture.name: picture for picture in self._client.own_pictures()}


@contextmanager
def open_pictures(tenant: Tenant | None) -> Iterator[DatabasePictures | RestPictures]:
    """Give the pictures of a tenant, or without one the operator's, from a server's database.

    Without a tenant and a database, and with SMART_FILTER_URL and a key: the key's own, over REST.
    """
    server = server_from_environment()
    is_rest = server is not None and server.api_key and tenant is None
    if server is not None and is_rest and not os.environ.get("SMART_FILTER_DATABASE_URL"):
        with open_client_for(server) as client:
            yield RestPictures(client)
    else:
        with open_backends() as there:
            yield DatabasePictures(there, tenant)


def document_of(preset: Preset) -> dict[str, object]:
    """Return the JSON document of a design, or the first part of a picture's."""
    return {
        "name": preset.name,
        "source": str(preset.source),
        "family": preset.family,
        "title": preset.title,
        "tags": list(preset.tags),
        "moods": list(preset.moods),
        "palette": list(preset.palette),
        "brightness": preset.brightness,
    }


def _content(picture: TenantPicture) -> tuple[object, ...]:
    return picture.sha256, picture.title, picture.tags, picture.use


def _list_stored(entry: StoredPicture) -> ListedPicture:
    picture = entry.picture
    return ListedPicture(
        picture.preset.name,
        picture.tenant or "all tenants",
        picture.is_logo,
        f"{picture.width}×{picture.height}",
        picture.moods,
        picture.tags,
        {
            **document_of(picture.preset),
            "tenant": picture.tenant,
            "logo": picture.is_logo,
            "width": picture.width,
            "height": picture.height,
            "sha256": picture.digest,
            "origin": picture.origin or None,
            "created_at": entry.created_at.isoformat(),
        },
    )
