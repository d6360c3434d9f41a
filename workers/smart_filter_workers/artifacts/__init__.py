"""Import photos, load the inputs of stages and store their results.

Called by deploy, learning, runtime.
Calls best_take, decoder, fetcher, images, shared, stages, stock, system.
"""
