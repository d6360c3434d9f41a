"""Periodic work of every worker: the sweeper and the garbage collector.

Called by modules above.
Calls learning, runtime, shared, stock, system.
"""
