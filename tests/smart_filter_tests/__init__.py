"""Builders for tests: real servers, jobs in any state, models that misbehave."""
