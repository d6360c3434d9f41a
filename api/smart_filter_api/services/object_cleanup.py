"""Remove the objects of a deleted job at once, as far as the storage is available."""

import contextlib
from collections.abc import Sequence

import anyio
import anyio.to_thread

from smart_filter_api.services.container import Services
from smart_filter_shared.artifacts import retention
from smart_filter_shared.artifacts.retention import MarkedArtifact
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore


async def remove_job_objects(
    services: Services, tenant: Tenant, job_id: JobId, marked: Sequence[MarkedArtifact]
) -> None:
    """Remove every object of a deleted job; retention removes the rest after errors or time-outs.

    Besides the marked artifacts it removes objects that no row names, which a worker left when it
    died between storing and committing.
    """
    # Shielded: the removal continues when the client disconnects.
    in_time = anyio.move_on_after(services.database.patience_seconds, shield=True)
    with contextlib.suppress(TryAgain), in_time:
        stored = await anyio.to_thread.run_sync(
            _remove_marked,
            services.storage,
            [artifact.key for artifact in marked],
            keys.job_prefix(tenant, job_id),
            abandon_on_cancel=True,
        )
        async with services.database.transaction() as connection:
            await connection.run_sync(retention.delete_rows, marked)
            # Keep objects that other jobs use: rows reference them.
            unnamed = await connection.run_sync(retention.unreferenced, stored)
        await anyio.to_thread.run_sync(
            _remove_all, services.storage, unnamed, abandon_on_cancel=True
        )


def _remove_marked(storage: ObjectStore, marked: Sequence[str], prefix: str) -> list[str]:
    """Remove objects; return the keys of the other objects with this prefix."""
    _remove_all(storage, marked)
    return [stored.key for stored in storage.stored(f"{prefix}/")]


def _remove_all(storage: ObjectStore, objects: Sequence[str]) -> None:
    for key in objects:
        storage.remove(key)
