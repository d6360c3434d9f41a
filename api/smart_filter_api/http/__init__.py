"""HTTP mechanics: server configuration, middleware, ETags, strict parsing and latency metrics.

Called by routes, responses, studio, intake, presenters,
submission.
Calls shared, auth, problems.
"""
