"""Live video: the contract between the API, which admits clients, and the live workers.

tokens       tokens that open one connection each
backgrounds  backgrounds that live video allows

Called by workers, api.
Calls recipe.
"""
