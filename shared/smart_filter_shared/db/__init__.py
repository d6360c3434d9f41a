"""Tables, sessions and migrations.

Called by workers, deploy, api, queue, operations, queue.transitions, artifacts, feedback.
Calls config.
"""
