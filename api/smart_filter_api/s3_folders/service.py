"""The S3 folders of an API process: events, searches for objects without events, and results.

Each process runs the same loops; rows decide which one takes or writes an object.
"""

import itertools
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio

from smart_filter_api.s3_folders import folder_stores, intake, results, rows
from smart_filter_api.s3_folders.folder_stores import ChangedObject, FolderStores
from smart_filter_api.services.container import Services
from smart_filter_shared.config.values import S3Folder
from smart_filter_shared.errors import (
    DatabaseUnavailable,
    RetryAfter,
    S3FolderMisconfigured,
    StorageMisconfigured,
    TryAgain,
)
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.storage.objects import StoredObject
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger

_log = logger("s3_folders")

# Pictures in memory at a time: photos of at most 40 MB, and results, which can be larger.
_READS: Final = 2
_WRITES: Final = 2
_LOOK_SECONDS: Final = 1.0
# Keys that are compared with the rows in one statement.
_PAGE: Final = 1000


class S3Folders:
    """The S3 folders of the settings."""

    def __init__(self, services: Services, stores: FolderStores) -> None:
        self._services = services
        self._settings = services.settings.s3_folders
        self._stores = stores
        self._reads = anyio.CapacityLimiter(_READS)

    async def take_changed(self, tenant: Tenant, changed: Sequence[ChangedObject]) -> list[JobId]:
        """Make jobs of the objects in folders of a tenant; return the ids of the new ones.

        Raises S3FolderMisconfigured and the errors of `intake.take_object`.
        """
        jobs = [
            await self._take(folder, item.key)
            for item in changed
            for folder in self._settings.folders
            if folder.tenant == tenant and folder_stores.is_inside(folder, item.bucket, item.key)
        ]
        return [job for job in jobs if job is not None]

    async def run(self) -> None:
        """Search and write until canceled.

        Raises the last error when too many unexpected ones follow each other.
        """
        async with anyio.create_task_group() as loops:
            loops.start_soon(self._write_outcomes)
            for folder in self._settings.folders:
                loops.start_soon(self._search, folder)

    async def sweep(self, folder: S3Folder) -> int:
        """Make jobs of the objects of a folder that have none; return how many were made.

        Raises S3FolderMisconfigured, StorageUnavailable, DatabaseUnavailable.
        """
        services = self._services
        await intake.find_caller(services, folder)
        bucket, prefix = folder.source_prefix
        await services.database.transact(rows.reopen_redriven, bucket)
        listing = self._stores[bucket].stored(prefix)
        made = 0
        while page := await services.in_thread(_next_page, listing):
            keys = [stored.key for stored in page]
            before = await services.database.query(rows.find_versions, bucket, keys)
            for stored in page:
                is_new = before.get(stored.key) != folder_stores.version_of(stored)
                if not is_new or not folder_stores.is_inside(folder, bucket, stored.key):
                    continue
                made += await self._try_to_take(folder, stored.key)
        return made

    async def _take(self, folder: S3Folder, key: str) -> JobId | None:
        async with self._reads:
            caller = await intake.find_caller(self._services, folder)
            store = self._stores[folder.source_prefix[0]]
            try:
                return await intake.take_object(self._services, store, folder, caller, key)
            except StorageMisconfigured as error:
                _log.warning("s3_folder_refused", source=folder.source, reason=str(error))
                raise S3FolderMisconfigured(
                    f"the S3 server refuses {folder.source}: its keys, bucket or region are wrong"
                    " (the API's log says which)"
                ) from error

    async def _try_to_take(self, folder: S3Folder, key: str) -> bool:
        """Take an object that a search has found; return whether a job was made.

        An object that fails keeps none behind it waiting; a server that is away does.
        """
        bucket = folder.source_prefix[0]
        try:
            return await self._take_when_admitted(folder, key) is not None
        except (DatabaseUnavailable, S3FolderMisconfigured):
            raise
        except Exception as error:  # noqa: BLE001 - the top of an object: others are taken
            _log.warning(
                "s3_object_not_taken",
                source=f"s3://{bucket}/{key}",
                reason=str(error),
                exc_info=not isinstance(error, TryAgain),
            )
        await self._services.in_thread(self._stores[bucket].check)
        return False

    async def _take_when_admitted(self, folder: S3Folder, key: str) -> JobId | None:
        """Take an object; wait while the tenant's queue is full or a quota is used up."""
        while True:
            try:
                return await self._take(folder, key)
            except RetryAfter as error:
                wait_seconds = min(error.retry_after_seconds, self._settings.sweep_seconds)
                _log.info("s3_sweep_waits", source=folder.source, reason=str(error))
            await anyio.sleep(wait_seconds)

    async def _search(self, folder: S3Folder) -> None:
        every_seconds = self._settings.sweep_seconds
        name = f"s3 {folder.source}"
        sweeps = SupervisedLoop(name, every_seconds=every_seconds, most_failures=None)
        # Processes that start together search at different times.
        await anyio.sleep(random.uniform(0, every_seconds))  # noqa: S311
        while True:
            with sweeps.step():
                if made := await self.sweep(folder):
                    _log.info("s3_objects_found", source=folder.source, jobs=made)
            await anyio.sleep(sweeps.pause_seconds)

    async def _write_outcomes(self) -> None:
        looks = SupervisedLoop("s3 results", every_seconds=_LOOK_SECONDS)
        while True:
            claimed = 0
            with looks.step():
                claimed = await self.write_due()
            if not claimed:
                await anyio.sleep(looks.pause_seconds)

    async def write_due(self) -> int:
        """Write the outcomes that are due, a few at once; return how many were claimed."""
        services = self._services
        claimed = await services.database.transact(rows.claim, most=_WRITES)
        async with anyio.create_task_group() as writes:
            for due in claimed:
                writes.start_soon(results.write_outcome, services, self._stores, due)
        return len(claimed)


@asynccontextmanager
async def open_s3_folders(
    services: Services, stores: FolderStores | None
) -> AsyncIterator[S3Folders | None]:
    """Yield the S3 folders of a process while their loops run; None without stores."""
    if stores is None:
        yield None
        return
    folders = S3Folders(services, stores)
    async with anyio.create_task_group() as loops:
        loops.start_soon(folders.run)
        yield folders
        loops.cancel_scope.cancel()


def _next_page(listing: Iterator[StoredObject]) -> list[StoredObject]:
    return list(itertools.islice(listing, _PAGE))
