"""The loop from corrections to better models: collect, build data sets, register.

Called by deploy, maintenance, training.
Calls shared, networks.faces, models, networks, artifacts, images, stages.composite, system.
"""
