"""Names that recipes can use: emotions, filters, model cards and their parameters.

Called by api, deploy, eta, model_registry, recipe, tenants, training, workers.
Calls wire.
"""
