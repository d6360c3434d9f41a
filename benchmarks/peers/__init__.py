"""Measure small servers made with other frameworks, next to the bare function and our service.

    .venv/bin/python -m benchmarks.peers              all of them, in about a quarter of an hour
    .venv/bin/python -m benchmarks.peers mosec ray    some of them

All servers but those with IS-Net do what `benchmarks.bare_cut_out` does, with its code and
weights; each lives in its own environment below `build/peers`, made from the pinned files in
`requirements/` (`pip freeze` of an environment with the framework and what the bare function
imports).
Their settings are the fast ones of their documentation:

mosec     a worker process for each core, raw bytes in and out; no batches, because the networks
          take one picture at a time and decoding and encoding cost most
litserve  a worker process and an API process for each core, ZeroMQ between them (`fast_queue`)
fastapi   uvicorn with a process for each core, uvloop, httptools, no access log; the function runs
          in a thread
celery    a worker process for each core, photos and results in Redis, acknowledged when they have
          ended, one photo fetched at a time; a FastAPI route waits for the result
bentoml   a worker process for each core, no access log
ray       Ray Serve with RAY_SERVE_ENABLE_HA_PROXY and RAY_SERVE_THROUGHPUT_OPTIMIZED (2.55 and
          later), a replica for each core, no access log, no dashboard
rembg     its own server with IS-Net, whose weights it would download from GitHub: it gets the file
          of our model `isnet`, which is the same network
ours      `smart-filter up` with the job `benchmarks.photo_cpu.CUT_OUT`; ours-isnet and ours-best
          with two jobs that use the weights of rembg's server

Each server is compared with the bare function in paired rounds (`benchmarks.paired`), alone on the
machine but for that machine's other load. It gets no figures when an answer fails, when the alpha
of its picture differs from the bare function's, or when the pairs differ by more than 25 %.
Then one, eight and 64 clients send photos, and the busiest process is killed under eight.
"""
