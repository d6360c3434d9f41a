"""Code that the API and the workers share; imports no web framework and no numerics.

Called by api, deploy, training, workers.
Calls wire.
"""
