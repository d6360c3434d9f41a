"""The least that could take photos: the peer of `benchmarks.requests`, a process of its own.

One route does one INSERT and one PUT, another one SELECT by the primary key, with the
libraries, the connections and the server that the API has; nothing is checked.

python -m benchmarks.bare PORT
"""

import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO, cast

import anyio
import anyio.to_thread
import uvicorn
from fastapi import FastAPI, UploadFile
from sqlalchemy import text

from smart_filter_api import server
from smart_filter_shared import settings
from smart_filter_shared.db import sessions
from smart_filter_shared.storage.objects import ObjectStore

CONNECTIONS = 10
THREADS = 16

_TABLE = text("""
    CREATE TABLE IF NOT EXISTS bare_jobs (
        id uuid PRIMARY KEY, photo_key text NOT NULL, created_at timestamptz NOT NULL
    )
""")
_INSERT = text("INSERT INTO bare_jobs VALUES (:id, :key, statement_timestamp())")
_SELECT = text("SELECT id, photo_key, created_at FROM bare_jobs WHERE id = :id")


def create() -> FastAPI:
    """Return the application."""
    told = settings.load()
    database = sessions.async_engine(told.database, connections=CONNECTIONS)
    reader = sessions.reader(database)
    store = ObjectStore(told.storage, connections=THREADS)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.threads = anyio.CapacityLimiter(THREADS)
        async with sessions.async_transaction(database) as connection:
            await connection.execute(_TABLE)
        yield
        await database.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/jobs", status_code=202)
    async def submit(photo: UploadFile) -> dict[str, str]:
        job_id = uuid.uuid4()
        key = f"bare/{job_id}"
        content = cast("BinaryIO", photo.file)

        def put() -> None:
            store.put(key, content, length=photo.size or 0, media_type="image/jpeg")

        await anyio.to_thread.run_sync(put, limiter=app.state.threads)
        async with sessions.async_transaction(database) as connection:
            await connection.execute(_INSERT, {"id": job_id, "key": key})
        return {"id": str(job_id), "state": "queued"}

    @app.get("/jobs/{job_id}")
    async def show(job_id: uuid.UUID) -> dict[str, str]:
        async with sessions.async_reading(reader) as connection:
            row = (await connection.execute(_SELECT, {"id": job_id})).one()
        return {"id": str(row.id), "photo": row.photo_key, "created_at": str(row.created_at)}

    return app


if __name__ == "__main__":
    uvicorn.Server(server.config(create(), port=int(sys.argv[1]))).run()
