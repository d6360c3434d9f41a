"""Training: makes the weights that the stages run, and makes better ones from corrections."""
