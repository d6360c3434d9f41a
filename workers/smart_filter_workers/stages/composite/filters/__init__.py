"""Filters: extras based on faces and smiles, drawn on the finished picture on request.

Called by modules above.
Calls shared, wire.
"""
