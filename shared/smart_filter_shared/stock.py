"""The stock: backgrounds that are pictures, the operator's for everybody and tenants' own.

A row of the table `backgrounds` says what a picture is called, means and looks like; its bytes
lie in storage under a key of their own, which is written once. Objects are stored before their
rows and removed after them; those that no row names are removed with other stray ones.
"""

import datetime as dt
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from smart_filter_shared.db import tables
from smart_filter_shared.ids import Tenant
from smart_filter_shared.presets import PICTURE, Mood, Preset, Source
from smart_filter_shared.storage.keys import THUMBNAIL

# What a name may be after `site/` or `tenant/`: no slash and no plus, which join names.
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MAX_NAME_CHARACTERS = 64

_NOBODY = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A background that is a picture.

    tenant: whose it is; None for the operator's, which everybody may use.
    name: without `site/` or `tenant/`.
    tags, moods, palette, brightness, impression: as a preset's.
    key: where its bytes lie.  digest: lower-case hex SHA-256 of them.
    width, height: in pixels, upright.
    origin: the folder or bucket that it is kept in step with; "" when it was added by hand.
    stamp: what tells there, without reading it, whether it has changed; "" when nothing does.
    """

    tenant: Tenant | None
    name: str
    title: str
    tags: tuple[str, ...]
    moods: tuple[Mood, ...]
    palette: tuple[str, ...]
    brightness: float
    impression: str
    key: str
    digest: str
    width: int
    height: int
    origin: str = ""
    stamp: str = ""

    @property
    def preset(self) -> Preset:
        """What a recipe may ask for, and what is known to choose by."""
        source = Source.SITE if self.tenant is None else Source.TENANT
        return Preset(
            name=f"{source}/{self.name}",
            title=self.title,
            family=PICTURE,
            tags=self.tags,
            moods=self.moods,
            palette=self.palette,
            brightness=self.brightness,
            impression=self.impression,
        )


@dataclass(frozen=True, slots=True)
class Listed:
    """A picture, and since when it is there."""

    picture: Picture
    created_at: dt.datetime


def seen_by(connection: Connection, tenant: Tenant) -> list[Picture]:
    """Return the pictures that a tenant may use: everybody's, then its own, by name."""
    table = tables.backgrounds
    query = select(table).where(table.c.tenant.in_([_NOBODY, tenant]))
    return [one.picture for one in _listed(connection, query)]


def everything(connection: Connection) -> list[Listed]:
    """Return all pictures: everybody's first, then each tenant's, by name."""
    return _listed(connection, select(tables.backgrounds))


def owned_by(connection: Connection, tenant: Tenant | None) -> list[Listed]:
    """Return a tenant's own pictures, or the operator's, by name."""
    table = tables.backgrounds
    return _listed(connection, select(table).where(table.c.tenant == _owner(tenant)))


def find(connection: Connection, tenant: Tenant | None, name: str) -> Picture | None:
    """Return the picture of this owner and name, or None."""
    found = _listed(connection, select(tables.backgrounds).where(_is(tenant, name)))
    return found[0].picture if found else None


def add(connection: Connection, picture: Picture) -> bool:
    """Write a new picture down; False, and nothing written, when its owner has one of its name."""
    row = insert(tables.backgrounds).values(
        **_values(picture), created_at=func.statement_timestamp()
    )
    added = connection.execute(row.on_conflict_do_nothing().returning(tables.backgrounds.c.name))
    return added.one_or_none() is not None


def change(connection: Connection, picture: Picture, *, was: Picture) -> bool:
    """Write down what has changed; False when somebody has moved first.

    was: what stood there when the change was decided.
    """
    table = tables.backgrounds
    changed = connection.execute(
        table.update()
        .where(_is(was.tenant, was.name), table.c.key == was.key)
        .values(**_values(picture))
        .returning(table.c.name)
    )
    return changed.one_or_none() is not None


def remove(connection: Connection, tenant: Tenant | None, names: Collection[str]) -> list[Picture]:
    """Forget pictures by their names; return those that there were."""
    table = tables.backgrounds
    gone = connection.execute(
        delete(table)
        .where(table.c.tenant == _owner(tenant), table.c.name.in_(names))
        .returning(table)
    )
    return [_picture(row) for row in gone.mappings()]


def unnamed(connection: Connection, keys: Collection[str]) -> list[str]:
    """Return those of the keys that no picture's row names; a thumbnail goes with its picture."""
    rows = connection.execute(
        text("""
            SELECT stored.key
            FROM unnest(CAST(:keys AS text[]), CAST(:named AS text[])) AS stored (key, named)
            WHERE NOT EXISTS (SELECT FROM backgrounds WHERE backgrounds.key = stored.named)
        """),
        {"keys": list(keys), "named": [key.removesuffix(THUMBNAIL) for key in keys]},
    )
    return [row.key for row in rows]


def _is(tenant: Tenant | None, name: str) -> ColumnElement[bool]:
    table = tables.backgrounds
    return (table.c.tenant == _owner(tenant)) & (table.c.name == name)


def _owner(tenant: Tenant | None) -> str:
    return _NOBODY if tenant is None else tenant


# The driver's rows have any columns.
def _listed(connection: Connection, query: Select[tuple[object, ...]]) -> list[Listed]:
    table = tables.backgrounds
    rows = connection.execute(query.order_by(table.c.tenant, table.c.name)).mappings().all()
    return [Listed(_picture(row), row["created_at"]) for row in rows]


def _values(picture: Picture) -> dict[str, object]:
    return {
        "tenant": _owner(picture.tenant),
        "name": picture.name,
        "title": picture.title,
        "tags": list(picture.tags),
        "moods": [str(mood) for mood in picture.moods],
        "palette": list(picture.palette),
        "brightness": picture.brightness,
        "impression": picture.impression,
        "key": picture.key,
        "digest": picture.digest,
        "width": picture.width,
        "height": picture.height,
        "origin": picture.origin,
        "stamp": picture.stamp,
    }


def _picture(row: RowMapping) -> Picture:
    return Picture(
        tenant=Tenant(row["tenant"]) if row["tenant"] != _NOBODY else None,
        name=row["name"],
        title=row["title"],
        tags=tuple(row["tags"]),
        moods=_moods(row["moods"]),
        palette=tuple(row["palette"]),
        brightness=row["brightness"],
        impression=row["impression"],
        key=row["key"],
        digest=row["digest"],
        width=row["width"],
        height=row["height"],
        origin=row["origin"],
        stamp=row["stamp"],
    )


def _moods(words: Sequence[str]) -> tuple[Mood, ...]:
    """Return the moods that this version knows; another one may have written others."""
    return tuple(Mood(word) for word in words if word in set(Mood))
