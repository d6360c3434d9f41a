"""Operating system: GPU, memory, threads and the life of child processes."""
