"""Code that the API and the workers share; imports no web framework and no numerics.

Called by api, workers, training, deploy.
Calls wire alone.
"""
