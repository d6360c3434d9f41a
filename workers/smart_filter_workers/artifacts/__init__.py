"""Import photos, load the inputs of stages and store their results.

Called by runtime, learning, deploy.
Calls shared, images, decoder, fetcher, stages.prepare, stock, system.
"""
