"""Authenticate and authorize requests: API keys, sessions, CSRF, CORS and rate limits."""
