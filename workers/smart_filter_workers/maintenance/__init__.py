"""Periodic work of every worker: the sweeper and the garbage collector.

Called by process.
Calls shared, learning, runtime, stock, system.
"""
