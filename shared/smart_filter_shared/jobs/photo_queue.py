"""The queue of photo jobs: its transitions, with the hooks of photo jobs; the caller commits."""

from functools import partial
from typing import Final

from smart_filter_shared.jobs.hooks import PhotoJobHooks
from smart_filter_shared.queue import transitions
from smart_filter_shared.queue.hooks import JobHooks


class _QueueClient:
    """The transitions that clients make: jobs are submitted, canceled, redriven and deleted."""

    def __init__(self, hooks: JobHooks) -> None:
        self.submit = transitions.submit
        self.submit_batch = partial(transitions.submit_batch, hooks=hooks)
        self.cancel = partial(transitions.cancel, hooks=hooks)
        self.cancel_batch = partial(transitions.cancel_batch, hooks=hooks)
        self.redrive = transitions.redrive
        self.delete = partial(transitions.delete, hooks=hooks)
        self.begin_batch_deletion = transitions.begin_batch_deletion
        self.continue_batch_deletion = partial(transitions.continue_batch_deletion, hooks=hooks)
        self.list_stalled_deletions = transitions.list_stalled_deletions


class _QueueWorker:
    """The transitions of workers and the sweeper: stages are claimed, completed and given up."""

    def __init__(self, hooks: JobHooks) -> None:
        self.claim = transitions.claim
        self.renew = transitions.renew
        self.charge = transitions.charge
        self.complete = partial(transitions.complete, hooks=hooks)
        self.release = partial(transitions.release, hooks=hooks)
        self.retry = partial(transitions.retry, hooks=hooks)
        self.reroute = transitions.reroute
        self.fail = partial(transitions.fail, hooks=hooks)
        self.rerun = transitions.rerun
        self.expire = partial(transitions.expire, hooks=hooks)
        self.wake = transitions.wake
        self.fail_overdue = partial(transitions.fail_overdue, hooks=hooks)


CLIENT: Final = _QueueClient(PhotoJobHooks())
WORKER: Final = _QueueWorker(PhotoJobHooks())
