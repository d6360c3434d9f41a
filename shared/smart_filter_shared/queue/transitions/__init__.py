"""Every move that a job or a stage can make: nothing else writes their state.

Each function takes an open connection and leaves the commit to its caller. After the commit the
caller rings the doorbell once for each row that was made ready. The states are drawn in
queue/states.py; sql.py holds the SQL and the lock order.

Called by jobs, workers.
Calls artifacts, db.
"""

from smart_filter_shared.queue.transitions.batches import cancel_batch
from smart_filter_shared.queue.transitions.claim import charge, claim, expire, renew
from smart_filter_shared.queue.transitions.complete import complete
from smart_filter_shared.queue.transitions.deadlines import fail_overdue
from smart_filter_shared.queue.transitions.finish import (
    begin_batch_deletion,
    cancel,
    continue_batch_deletion,
    delete,
    fail,
    list_stalled_deletions,
)
from smart_filter_shared.queue.transitions.rerun import rerun
from smart_filter_shared.queue.transitions.retry import redrive, release, reroute, retry
from smart_filter_shared.queue.transitions.submit import submit, submit_batch
from smart_filter_shared.queue.transitions.wake import wake

__all__ = [
    "begin_batch_deletion",
    "cancel",
    "cancel_batch",
    "charge",
    "claim",
    "complete",
    "continue_batch_deletion",
    "delete",
    "expire",
    "fail",
    "fail_overdue",
    "list_stalled_deletions",
    "redrive",
    "release",
    "renew",
    "reroute",
    "rerun",
    "retry",
    "submit",
    "submit_batch",
    "wake",
]
