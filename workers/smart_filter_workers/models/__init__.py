"""Find, load and cache models, and admit weights of operators.

Called by deploy, learning, live, runtime, training.
Calls networks, shared, stages, system, weights.
"""
