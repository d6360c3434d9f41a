"""The operations of the clients: one function for each method.

jobs      submit, read, list, cancel, redrive, derive, delete, correct
batches   many photos in one submission, albums
choices   many photos by a query, and actions on all of them
photos    photos as files, bytes or URLs; presigned uploads
polling   wait until jobs have ended; submit, wait and fetch in one call
events    the events of a job, as they happen
outputs   the outputs and the photo of a job, as files
webhooks  the endpoints that are notified when jobs end
tenants   keys, tokens (of live video, too), usage, settings
catalog   models, backgrounds, filters, saved recipes, your own pictures
"""

from smart_filter_client.operations import (
    batches,
    catalog,
    choices,
    events,
    jobs,
    outputs,
    photos,
    polling,
    tenants,
    webhooks,
)

__all__ = [
    "batches",
    "catalog",
    "choices",
    "events",
    "jobs",
    "outputs",
    "photos",
    "polling",
    "tenants",
    "webhooks",
]
