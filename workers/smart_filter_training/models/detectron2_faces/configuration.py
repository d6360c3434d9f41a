"""What can be set of a run: the same for every detector."""

from smart_filter_training.detectors.configuration import Configuration

__all__ = ["Configuration"]
