"""Printability: how well the finished picture prints, as measurements and verdicts."""
