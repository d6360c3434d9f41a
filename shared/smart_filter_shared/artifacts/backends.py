"""The pair of storage backends: PostgreSQL and the object store."""

from dataclasses import dataclass

from sqlalchemy import Engine

from smart_filter_shared.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Backends:
    """The database engine for rows, and the store for objects."""

    engine: Engine
    store: ObjectStore
