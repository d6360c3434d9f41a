"""The stages: pictures and numbers in, pictures and numbers out; none knows the service.

Called by runtime.
Calls shared.
"""
