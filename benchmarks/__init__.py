"""Measure the service's speed and memory, and compare them with its goals.

    make bench                                            all parts, in about six minutes
    PYTHONPATH=tests .venv/bin/python -m benchmarks.latency    one part

start       time from the command to the first accepted job
latency     one photo from end to end, and the share of queue and storage
throughput  eight clients, compared with the same stages called in one process
memory      memory of the API, of a worker that serves all stages, and of `up`
broker      submissions while the broker accepts bytes and never answers

`make bench` does not run these, which compare the service in paired rounds (`benchmarks.paired`):

photo_cpu   processor time of a photo, next to a bare function (`benchmarks.bare_cut_out`)
repeated    the same for a photo that is sent again, next to a new one
in_a_program  a call next to rembg's
peers       a cut-out next to Mosec, LitServe, FastAPI, BentoML, Ray Serve and rembg's server

Every submission has different bytes, except in `repeated`, so no result comes from a cache.
Absolute times depend on the machine and its other load; ratios of paired rounds depend on the
service alone.
"""
