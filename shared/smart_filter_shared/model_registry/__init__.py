"""Models that workers offer: cards, versions of weights, and the gate of promotion.

Called by api, workers, deploy, jobs, operations.
Calls catalog, recipe, db, queue, wire.
"""
