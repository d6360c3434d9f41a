"""The job queue: states, leases, transitions, fair queueing, events and workers."""
