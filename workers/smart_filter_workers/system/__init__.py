"""Operating system: GPU, memory, threads and the life of child processes.

Called by training, decoder, runtime, deploy, learning, live, models, artifacts.
Calls shared.
"""
