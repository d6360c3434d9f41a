"""Networks that find faces, or look at one.

Called by learning, live, stages, training.
Calls networks.runtimes, shared.
"""
