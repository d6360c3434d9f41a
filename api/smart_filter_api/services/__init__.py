"""The state of one API process: connections, caches, the ETA estimator and background loops.

Called by removebg, responses, routes, s3_folders, submission.
Calls auth, intake, presenters, problems, schemas, shared, wire.
"""
