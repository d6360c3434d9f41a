"""Serve the baseline of `benchmarks.requests`: the least code that can accept photos.

It runs as its own process. One route does one INSERT and one PUT, the other one SELECT by primary
key, with the API's libraries, connections and server. It validates nothing.

python -m benchmarks.bare PORT
"""

import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import uvicorn
from fastapi import FastAPI, UploadFile
from sqlalchemy import text

from smart_filter_api.http import server
from smart_filter_shared.config import settings
from smart_filter_shared.db import sessions
from smart_filter_shared.storage.opening import open_store

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
    """Return the application with both routes."""
    loaded = settings.load()
    database = sessions.open_async_engine(loaded.database, connections=CONNECTIONS)
    reader = sessions.reader(database)
    store = open_store(loaded.storage, connections=THREADS)

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
        content = photo.file

        def put() -> None:
            store.put(key, content, length=photo.size or 0, media_type="image/jpeg")

        await anyio.to_thread.run_sync(put, limiter=app.state.threads)
        async with sessions.async_transaction(database) as connection:
            await connection.execute(_INSERT, {"id": job_id, "key": key})
        return {"id": str(job_id), "state": "queued"}

    @app.get("/jobs/{job_id}")
    async def show(job_id: uuid.UUID) -> dict[str, str]:
        row = await sessions.async_query(
            reader, lambda opened: opened.execute(_SELECT, {"id": job_id}).one()
        )
        return {"id": str(row.id), "photo": row.photo_key, "created_at": str(row.created_at)}

    return app


if __name__ == "__main__":
    uvicorn.Server(server.build_config(create(), port=int(sys.argv[1]))).run()
