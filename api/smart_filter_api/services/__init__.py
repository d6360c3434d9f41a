"""The state of one API process: connections, caches, the ETA estimator and background loops.

Called by routes, submission, responses, removebg, s3_folders.
Calls shared, auth, schemas, intake, presenters, problems, wire.
"""
