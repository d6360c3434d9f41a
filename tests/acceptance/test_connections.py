"""How many connections to the database processes hold while they have much to do."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from smart_filter_tests.pooling import held
from smart_filter_tests.running import WORKER, Running
from smart_filter_tests.serving import a_photo

# docs/deploying.md reckons with them.
OF_A_WORKER, OF_AN_API = 3, 4
JOBS, CLIENTS = 32, 16


@pytest.mark.slow
def test_worker_and_api_hold_few_connections_at_work(running_stack: Running) -> None:
    most = {WORKER: 0, "api": 0}

    def submit(_: int) -> str:
        return running_stack.submit(a_photo(), background="color:navy")

    def has_ended(job_ids: list[str]) -> bool:
        with ThreadPoolExecutor(CLIENTS) as clients:
            jobs = clients.map(running_stack.job, job_ids)
            for name in (WORKER, "api"):
                most[name] = max(most[name], held(running_stack, name))
            return all(job["finished_at"] is not None for job in jobs)

    with ThreadPoolExecutor(CLIENTS) as clients:
        submitting = [clients.submit(submit, number) for number in range(JOBS)]
        while not all(one.done() for one in submitting):
            most["api"] = max(most["api"], held(running_stack, "api"))
        job_ids = [one.result() for one in submitting]
    running_stack.until(lambda: has_ended(job_ids), seconds=100)

    assert 1 < most[WORKER] <= OF_A_WORKER
    assert 1 < most["api"] <= OF_AN_API
