"""Download, verify and open weights.

Called by deploy, learning, live, models, networks, stages, training.
Calls shared.
"""
