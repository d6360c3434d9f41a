"""Removes at once what a deleted job has stored, as far as storage plays along."""

import contextlib
from collections.abc import Sequence

import anyio
import anyio.to_thread

from smart_filter_api.deps import Services
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import retention
from smart_filter_shared.jobs.retention import Marked
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore


async def remove(
    services: Services, tenant: Tenant, job_id: JobId, marked: Sequence[Marked]
) -> None:
    """Remove every object of a deleted job; what fails or is late is left to retention.

    Besides the marked artifacts there may be objects that no row ever named: those of a
    worker that died between storing and committing.
    """
    # Shielded: a client that leaves meanwhile does not keep what it has deleted.
    in_time = anyio.move_on_after(services.patience_seconds, shield=True)
    with contextlib.suppress(TryAgain), in_time:
        stored = await anyio.to_thread.run_sync(
            _remove_marked,
            services.storage,
            [artifact.key for artifact in marked],
            keys.job(tenant, job_id),
            abandon_on_cancel=True,
        )
        async with services.transaction() as connection:
            await connection.run_sync(retention.forget, marked)
            # What other jobs use by now, rows name.
            unnamed = await connection.run_sync(retention.unnamed, stored)
        await anyio.to_thread.run_sync(_remove, services.storage, unnamed, abandon_on_cancel=True)


def _remove_marked(storage: ObjectStore, marked: Sequence[str], prefix: str) -> list[str]:
    """Remove objects; return the keys of others that begin so."""
    _remove(storage, marked)
    return [stored.key for stored in storage.stored(f"{prefix}/")]


def _remove(storage: ObjectStore, objects: Sequence[str]) -> None:
    for key in objects:
        storage.remove(key)
