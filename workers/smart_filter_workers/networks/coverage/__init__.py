"""Networks that give the coverage of people, or of things that stand out.

Called by live, stages, training.
Calls networks.runtimes, shared, weights.
"""
