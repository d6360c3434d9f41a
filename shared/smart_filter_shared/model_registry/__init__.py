"""Models that workers offer: cards, versions of weights, and the gate of promotion.

Called by api, deploy, jobs, operations, workers.
Calls catalog, db, queue, recipe, wire.
"""
