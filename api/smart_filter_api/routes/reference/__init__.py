"""Routes about the service itself: health, metrics, models, OpenAPI, problems.

Called by routes.
Calls shared, problems, services, http, wire, presenters, submission.
"""
