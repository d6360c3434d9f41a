"""A model as it stands in the table of models."""

from dataclasses import dataclass

from smart_filter_shared.cards import ModelCard


@dataclass(frozen=True, slots=True)
class Published:
    """A model that is known.

    offered: whether a declared pool of workers runs it, be it scaled to zero.
    fault: why the last process that published it could not run it, with the remedy.
    """

    card: ModelCard
    offered: bool
    fault: str | None = None
