"""What can be asked of a server: one flow for each method of the clients.

jobs         submit, look at, list, cancel, redrive, derive, delete
batches      many photos in one submission, albums
corrections  what somebody says is right of a job's results
photos       the ways in which a photo is given; uploads straight to the storage
waiting      until jobs have ended
following    what happens to a job, as it happens
outputs      what a job has made, and of what
webhooks     who is told of jobs' ends
tenants      keys, tokens, usage
catalogue    models, backgrounds
live         the right to a connection for live video
"""

from smart_filter_client.operations import (
    batches,
    catalogue,
    corrections,
    following,
    jobs,
    live,
    outputs,
    photos,
    tenants,
    waiting,
    webhooks,
)

__all__ = [
    "batches",
    "catalogue",
    "corrections",
    "following",
    "jobs",
    "live",
    "outputs",
    "photos",
    "tenants",
    "waiting",
    "webhooks",
]
