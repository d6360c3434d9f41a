"""Commands that run the service, or one of its processes."""
