"""The interface that clients of remove.bg v1.0 speak, over the same queue as everything else."""
