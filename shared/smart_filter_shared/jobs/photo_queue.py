"""The queue of photo jobs: its two faces, with the hooks of photo jobs."""

from typing import Final

from smart_filter_shared.jobs.hooks import PhotoJobHooks
from smart_filter_shared.queue.client import QueueClient
from smart_filter_shared.queue.worker import QueueWorker

CLIENT: Final = QueueClient(PhotoJobHooks())
WORKER: Final = QueueWorker(PhotoJobHooks())
