"""HTTP mechanics: server configuration, middleware, ETags, strict parsing and latency metrics.

Called by deploy, intake, presenters, reference, removebg, responses, routes, s3_folders, schemas,
studio, submission.
Calls auth, problems, shared.
"""
