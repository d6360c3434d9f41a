"""Networks shared by several stages; this package does not depend on the stages.

Called by learning, live, stages, training.
Calls shared, weights.
"""
