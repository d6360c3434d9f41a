"""HTTP mechanics: server configuration, middleware, ETags, strict parsing and latency metrics.

Called by routes, responses, routes.access, studio, routes.reference, intake, presenters,
submission.
Calls shared, auth, problems.
"""
