"""Write jobs that do nothing, or work on them, with PgQueuer.

python -m benchmarks.peers.with_pgqueuer URL prepare JOBS
python -m benchmarks.peers.with_pgqueuer URL work BATCH
"""

import asyncio
import sys

import asyncpg
from pgqueuer import AsyncpgDriver, Job, PgQueuer, Queries


async def _run(url: str, action: str, number: int) -> None:
    driver = AsyncpgDriver(await asyncpg.connect(url))
    if action == "prepare":
        queries = Queries(driver)
        await queries.install()
        await queries.enqueue(["nothing"] * number, [None] * number, [0] * number)
        return
    queue = PgQueuer(driver)

    @queue.entrypoint("nothing")
    async def nothing(_: Job) -> None:
        pass

    await queue.run(batch_size=number)


if __name__ == "__main__":
    _url, _action, _number = sys.argv[1:]
    asyncio.run(_run(_url, _action, int(_number)))
