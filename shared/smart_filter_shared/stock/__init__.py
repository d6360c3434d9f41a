"""The stock: backgrounds that are pictures, the operator's for all tenants and tenants' own.

A row of the table `backgrounds` describes a picture; its bytes are an object under a write-once
key. Objects are stored before their rows and removed after them; the garbage collector removes
objects without a row. Pictures that tenants add over REST come through incoming.py.

Called by api, deploy, jobs, workers.
Calls db, presets, security, storage.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields

from sqlalchemy import Connection, RowMapping, text

from smart_filter_shared.db.rows import read_row
from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.ids import Tenant
from smart_filter_shared.presets import PICTURE, BackgroundSource, Mood, Preset
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_shared.storage.keys import THUMBNAIL_SUFFIX

# Pattern of a name after `site/` or `tenant/`: without slash and plus, which join names.
NAME_PATTERN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MAX_NAME_CHARACTERS = 64
# Bytes of one picture: the same limit as for an upload.
MAX_BYTES = MAX_PHOTO_BYTES

_SHARED_TENANT = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A background that is a picture.

    tenant: its owner; None for the operator's, which every tenant may use.
    name: without `site/` or `tenant/`.
    tags, moods, palette, brightness, impression: like a preset's.
    key: storage key of its bytes.  digest: lower-case hex SHA-256 of the bytes.
    width, height: in pixels, upright.  length: in bytes.
    origin: the folder or bucket that it is synced from; "" when it was added by hand.
    stamp: change stamp there, which shows a change without reading the file; "" for none.
    is_logo: whether recipes can name it as their logo instead of as a background.
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
    length: int
    origin: str = ""
    stamp: str = ""
    is_logo: bool = False

    @property
    def preset(self) -> Preset:
        """The picture as a preset, which recipes can name and workers can choose."""
        source = BackgroundSource.SITE if self.tenant is None else BackgroundSource.TENANT
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
class StoredPicture:
    """A picture and its creation time."""

    picture: Picture
    created_at: dt.datetime


_COLUMNS = ", ".join(field.name for field in fields(Picture))
_VALUES = ", ".join(f":{field.name}" for field in fields(Picture))
_INSERT = f"""
    INSERT INTO backgrounds ({_COLUMNS}, created_at) VALUES ({_VALUES}, statement_timestamp())
    ON CONFLICT
"""  # noqa: S608 - names of our own
_ADD = text(f"{_INSERT} DO NOTHING")
_ADD_OR_REPLACE = text(f"""
    {_INSERT} (tenant, name) DO UPDATE SET ({_COLUMNS}) = ({_VALUES})
    WHERE backgrounds.is_logo = excluded.is_logo
""")
_CHANGE = text(f"""
    UPDATE backgrounds SET ({_COLUMNS}) = ({_VALUES})
    WHERE tenant = :was_tenant AND name = :was_name AND key = :was_key
""")  # noqa: S608 - names of our own
_REMOVE = text("DELETE FROM backgrounds WHERE tenant = :owner AND name = ANY(:names) RETURNING *")


def presets_of(pictures: Iterable[Picture]) -> list[Preset]:
    """Return the pictures that recipes can name as backgrounds."""
    return [picture.preset for picture in pictures if not picture.is_logo]


def logos_of(pictures: Iterable[Picture]) -> list[str]:
    """Return the names of the pictures that recipes can name as their logo."""
    return [picture.preset.name for picture in pictures if picture.is_logo]


def list_usable(connection: Connection, tenant: Tenant) -> list[Picture]:
    """Return the pictures that a tenant may use: the operator's, then its own, by name."""
    owners = [_SHARED_TENANT, tenant]
    stored = _read_pictures(connection, "tenant = ANY(:owners)", owners=owners)
    return [entry.picture for entry in stored]


def list_all(connection: Connection) -> list[StoredPicture]:
    """Return all pictures: the operator's first, then each tenant's, by name."""
    return _read_pictures(connection, "true")


def list_owned(connection: Connection, tenant: Tenant | None) -> list[StoredPicture]:
    """Return a tenant's own pictures, or the operator's, by name."""
    return _read_pictures(connection, "tenant = :owner", owner=_owner(tenant))


def find(connection: Connection, tenant: Tenant | None, name: str) -> Picture | None:
    """Return the picture of this owner and name, or None."""
    stored = find_stored(connection, tenant, name)
    return None if stored is None else stored.picture


def find_stored(connection: Connection, tenant: Tenant | None, name: str) -> StoredPicture | None:
    """Return the picture of this owner and name with its creation time, or None."""
    condition = "tenant = :owner AND name = :name"
    entries = _read_pictures(connection, condition, owner=_owner(tenant), name=name)
    return entries[0] if entries else None


def add(connection: Connection, picture: Picture) -> bool:
    """Insert a picture; return False, without a change, when its owner has one of that name."""
    return connection.execute(_ADD, _values(picture)).rowcount > 0


def change(connection: Connection, picture: Picture, *, was: Picture) -> bool:
    """Update a picture's row; return False when another process changed it first.

    was: the row when the change was decided.
    """
    before = {"was_tenant": _owner(was.tenant), "was_name": was.name, "was_key": was.key}
    return connection.execute(_CHANGE, {**_values(picture), **before}).rowcount > 0


def add_or_replace(connection: Connection, picture: Picture) -> bool:
    """Insert a picture, or replace one of its name; return False when that one has another use."""
    return connection.execute(_ADD_OR_REPLACE, _values(picture)).rowcount > 0


def check_use(was: Picture | None, *, is_logo: bool) -> None:
    """Raise PictureRefused when a picture would replace a logo by a background, or vice versa."""
    if was is not None and was.is_logo != is_logo:
        raise PictureRefused(
            f"{was.preset.name} is a {'logo' if was.is_logo else 'background'}: choose another name"
        )


def remove(connection: Connection, tenant: Tenant | None, names: Collection[str]) -> list[Picture]:
    """Delete pictures by name; return the deleted ones."""
    deleted = connection.execute(_REMOVE, {"owner": _owner(tenant), "names": list(names)})
    return [_picture(row) for row in deleted.mappings()]


def unreferenced(connection: Connection, keys: Collection[str]) -> list[str]:
    """Return the keys that no picture's row names; a thumbnail counts with its picture."""
    rows = connection.execute(
        text("""
            SELECT stored.key
            FROM unnest(CAST(:keys AS text[]), CAST(:named AS text[])) AS stored (key, named)
            WHERE NOT EXISTS (SELECT FROM backgrounds WHERE backgrounds.key = stored.named)
                AND NOT EXISTS (
                    SELECT FROM incoming_pictures
                    WHERE incoming_pictures.key = stored.named AND code IS NULL
                )
        """),
        {"keys": list(keys), "named": [key.removesuffix(THUMBNAIL_SUFFIX) for key in keys]},
    )
    return [row.key for row in rows]


def _owner(tenant: Tenant | None) -> str:
    return _SHARED_TENANT if tenant is None else tenant


def _read_pictures(connection: Connection, condition: str, **values: object) -> list[StoredPicture]:
    query = text(f"SELECT * FROM backgrounds WHERE {condition} ORDER BY tenant, name")  # noqa: S608 - of this module
    rows = connection.execute(query, values).mappings().all()
    return [StoredPicture(_picture(row), row["created_at"]) for row in rows]


def _values(picture: Picture) -> dict[str, object]:
    values = asdict(picture)
    lists = {name: [str(word) for word in values[name]] for name in ("tags", "moods", "palette")}
    return {**values, **lists, "tenant": _owner(picture.tenant)}


def _picture(row: RowMapping) -> Picture:
    tenant = None if row["tenant"] == _SHARED_TENANT else row["tenant"]
    return read_row(Picture, row, tenant=tenant, moods=_moods(row["moods"]))


def _moods(words: Sequence[str]) -> tuple[Mood, ...]:
    """Return the moods that this version knows; another version may have written others."""
    return tuple(Mood(word) for word in words if word in set(Mood))
