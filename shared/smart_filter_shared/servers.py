"""The servers that hold everything: rows in one, objects in the other."""

from dataclasses import dataclass

from sqlalchemy import Engine

from smart_filter_shared.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Servers:
    """Where rows and objects lie."""

    engine: Engine
    store: ObjectStore
