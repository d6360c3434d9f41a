"""Write jobs that do nothing, or work on them, with procrastinate.

python -m benchmarks.peers.with_procrastinate URL prepare JOBS
python -m benchmarks.peers.with_procrastinate URL work BATCH

It fetches one job at a time, whatever BATCH says.
"""

import asyncio
import sys

import procrastinate


async def _run(url: str, action: str, number: int) -> None:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))

    @app.task(name="nothing")
    async def nothing() -> None:
        pass

    async with app.open_async():
        if action == "work":
            await app.run_worker_async(concurrency=1, delete_jobs="never")
            return
        await app.schema_manager.apply_schema_async()
        await nothing.batch_defer_async(*({} for _ in range(number)))


if __name__ == "__main__":
    _url, _action, _number = sys.argv[1:]
    asyncio.run(_run(_url, _action, int(_number)))
