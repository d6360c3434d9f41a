"""Every move that a job or a stage can make: nothing else writes their state.

Each function takes an open connection and leaves the commit to its caller; whoever made
rows ready rings the doorbell once for each, after the commit. The states are drawn in
states.py; the SQL and the lock order stand in statements.py.
"""

from smart_filter_shared.jobs.transitions.batches import cancel_batch
from smart_filter_shared.jobs.transitions.completing import complete
from smart_filter_shared.jobs.transitions.deleting import (
    begin_to_delete,
    go_on_deleting,
    left_over,
)
from smart_filter_shared.jobs.transitions.ending import cancel, delete, fail
from smart_filter_shared.jobs.transitions.lapsing import lapse
from smart_filter_shared.jobs.transitions.leasing import charge, claim, expire, renew
from smart_filter_shared.jobs.transitions.reopening import reopen
from smart_filter_shared.jobs.transitions.returning import redrive, release, reroute, retry
from smart_filter_shared.jobs.transitions.submitting import submit, submit_batch
from smart_filter_shared.jobs.transitions.waking import wake

__all__ = [
    "begin_to_delete",
    "cancel",
    "cancel_batch",
    "charge",
    "claim",
    "complete",
    "delete",
    "expire",
    "fail",
    "go_on_deleting",
    "lapse",
    "left_over",
    "redrive",
    "release",
    "renew",
    "reopen",
    "reroute",
    "retry",
    "submit",
    "submit_batch",
    "wake",
]
