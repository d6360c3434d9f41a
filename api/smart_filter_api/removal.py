"""Removes at once what a deleted job has stored, as far as storage plays along."""

import contextlib
from collections.abc import Sequence

import anyio
import anyio.to_thread

from smart_filter_api.deps import Services
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.jobs import retention
from smart_filter_shared.jobs.retention import Marked
from smart_filter_shared.storage.objects import ObjectStore

# What whoever deletes a job waits for at most; what is left then, retention removes.
_PATIENCE_SECONDS = 5.0


async def remove(services: Services, marked: Sequence[Marked]) -> None:
    """Remove marked artifacts; what fails stays marked, so that retention tries again."""
    # Shielded: a client that leaves meanwhile does not keep what it has deleted.
    with contextlib.suppress(TryAgain), anyio.move_on_after(_PATIENCE_SECONDS, shield=True):
        await anyio.to_thread.run_sync(
            _remove_objects, services.storage, marked, abandon_on_cancel=True
        )
        async with services.transaction() as connection:
            await connection.run_sync(retention.forget, marked)


def _remove_objects(storage: ObjectStore, marked: Sequence[Marked]) -> None:
    for artifact in marked:
        storage.remove(artifact.key)
