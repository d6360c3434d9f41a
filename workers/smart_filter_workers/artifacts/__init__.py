"""Import photos, load the inputs of stages and store their results."""
