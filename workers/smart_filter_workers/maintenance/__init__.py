"""Periodic work of every worker: the sweeper and the garbage collector."""
