"""Weights, model cards, measurements and versions for the models commands."""
