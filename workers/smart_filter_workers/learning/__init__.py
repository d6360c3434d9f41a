"""The loop from corrections to better models: collect, build data sets, register.

Called by deploy, maintenance, training.
Calls artifacts, decoder, fetcher, images, models, networks, shared, stages, stock, system, weights.
"""
