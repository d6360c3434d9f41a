"""Names that recipes can use: emotions, filters, model cards and their parameters.

Called by workers, recipe, api, deploy, training, model_registry, tenants, eta.
Calls wire.
"""
