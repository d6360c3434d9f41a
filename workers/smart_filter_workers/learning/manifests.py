"""Manifests: what a version of a data set holds, and whose it is, as one object."""

import hashlib
import json
from typing import Any

from sqlalchemy import Engine

from smart_filter_shared.cards import TaskName
from smart_filter_shared.db import sessions
from smart_filter_shared.jobs import data_sets
from smart_filter_shared.jobs.data_items import Item
from smart_filter_shared.jobs.data_sets import DataSet
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore


def write_stale(engine: Engine, store: ObjectStore, *, most: int) -> int:
    """Write manifests that are missing, or that tell of what is deleted; return how many.

    Raises TryAgain while servers are away.
    """
    with sessions.transaction(engine) as connection:
        stale = data_sets.stale(connection, most=most)
    for task, version in stale:
        write(engine, store, task, version)
    return len(stale)


def write(engine: Engine, store: ObjectStore, task: TaskName, version: int) -> None:
    """Write the manifest of a version as it is now, unless another process does.

    No transaction is open while it is stored: slow storage would hold its rows, and the clean-up
    of dead rows of the whole database.
    """
    with sessions.transaction(engine) as connection:
        claimed = data_sets.claim(connection, task, version)
        if claimed is None:
            return
        items = data_sets.items_of(connection, task, version)
    content = json.dumps(document(claimed.data_set, items), indent=1).encode()
    store.put(
        keys.manifest(task, version), content, length=len(content), media_type="application/json"
    )
    with sessions.transaction(engine) as connection:
        data_sets.told(connection, claimed, hashlib.sha256(content).hexdigest())


def document(data_set: DataSet, items: list[Item]) -> dict[str, Any]:
    """Return what a manifest says."""
    return {
        "task": data_set.task,
        "version": data_set.version,
        "parent": data_set.parent,
        "created_at": data_set.created_at.isoformat(),
        "items": {str(part): number for part, number in data_set.items.items()},
        "counts": {str(part): dict(counts) for part, counts in data_set.counts.items()},
        "removed": data_set.removed,
        "holds": [
            {
                "id": str(item.correction_id),
                "job_id": str(item.job_id),
                "tenant": item.tenant,
                "key_id": item.provenance.get("key_id"),
                "consent": True,
                "corrected_at": item.corrected_at.isoformat(),
                "corrects": item.provenance.get("models", {}),
                "digests": item.provenance.get("digests", {}),
                "part": item.part,
                "counts": dict(item.example.counts),
                "files": {
                    name: {"key": file.key, "sha256": file.sha256, "bytes": file.bytes}
                    for name, file in item.example.files.items()
                },
            }
            for item in items
        ],
    }
