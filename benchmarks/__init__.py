"""How fast the service is, how much memory it takes, and whether that is what was promised.

    make bench                                            all of it, in about six minutes
    PYTHONPATH=tests .venv/bin/python -m benchmarks.latency    one of them

start       from the command to the first accepted job
latency     one photo from end to end, and what queue and storage add to it
throughput  eight clients, against the same stages called in one process
memory      of the API, of a worker that serves all stages, of `up`
broker      submitting while the broker swallows everything

Every submission has other bytes than those before. Absolute times tell of the machine and of
who else is at work on it; ratios of paired rounds tell of the service.
"""
