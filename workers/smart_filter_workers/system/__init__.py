"""Operating system: GPU, memory, threads and the life of child processes.

Called by artifacts, decoder, deploy, learning, live, maintenance, models, runtime, stock, training.
Calls shared.
"""
