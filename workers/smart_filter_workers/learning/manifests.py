"""Write manifests: the contents of a data set version and their owners, as one object."""

import hashlib
import json
from typing import Any

from sqlalchemy import Engine

from smart_filter_shared.db import sessions
from smart_filter_shared.feedback import datasets
from smart_filter_shared.feedback.datasets import Dataset
from smart_filter_shared.feedback.examples import TrainingExample
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore


def write_stale(engine: Engine, store: ObjectStore, *, most: int) -> int:
    """Write manifests that are missing, or that list deleted examples; return how many.

    Raises TryAgain while servers are away.
    """
    with sessions.transaction(engine) as connection:
        stale = datasets.list_stale(connection, most=most)
    for task, version in stale:
        write(engine, store, task, version)
    return len(stale)


def write(engine: Engine, store: ObjectStore, task: TaskName, version: int) -> None:
    """Write the current manifest of a version, unless another process does.

    No transaction is open during the upload: slow storage would hold the rows, and it would
    delay the vacuum of the whole database.
    """
    with sessions.transaction(engine) as connection:
        claimed = datasets.claim_manifest(connection, task, version)
        if claimed is None:
            return
        items = datasets.list_examples(connection, task, version)
    content = json.dumps(build_document(claimed.data_set, items), indent=1).encode()
    store.put(
        keys.manifest(task, version), content, length=len(content), media_type="application/json"
    )
    with sessions.transaction(engine) as connection:
        datasets.record_manifest(connection, claimed, hashlib.sha256(content).hexdigest())


def describe_version(data_set: Dataset) -> dict[str, Any]:
    """Return the document of a version, without its examples."""
    return {
        "task": data_set.task,
        "version": data_set.version,
        "parent": data_set.parent,
        "created_at": data_set.created_at.isoformat(),
        "items": {str(part): number for part, number in data_set.items.items()},
        "counts": {str(part): dict(counts) for part, counts in data_set.counts.items()},
        "removed": data_set.removed,
    }


def build_document(data_set: Dataset, items: list[TrainingExample]) -> dict[str, Any]:
    """Return the document of a manifest."""
    return {
        **describe_version(data_set),
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
