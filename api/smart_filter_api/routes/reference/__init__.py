"""Routes about the service itself: health, metrics, models, OpenAPI, problems."""
