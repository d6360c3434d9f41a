"""Default stage times from model cards, for capabilities without measurements."""

from collections.abc import Iterable, Mapping

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.eta.stage_times import StageTime
from smart_filter_shared.ids import Capability

# Time for claiming, loading and storing, in seconds: about that of a light model.
_OVERHEAD_SECONDS = 0.05
# Relative standard deviation of a default: a card's time says little about this machine.
_SPREAD = 1.0


def add_defaults(
    measured: Mapping[Capability, StageTime], cards: Iterable[ModelCard]
) -> dict[Capability, StageTime]:
    """Return the measured stage times, and a default for each other model whose card has a cost.

    Where the task's default model was measured, its stage time is scaled by the ratio of the two
    cards' costs.
    """
    leading = [card for card in cards if card.leads]
    default_cards = {card.task: card for card in leading if card.default}
    defaults: dict[Capability, StageTime] = {}
    for card in leading:
        cost = card.speed.get("cpu_ms")
        if cost is None or card.capability in measured:
            continue
        defaults[card.capability] = StageTime(cost / 1000 + _OVERHEAD_SECONDS, spread=_SPREAD)
        reference = default_cards.get(card.task)
        known = None if reference is None else measured.get(reference.capability)
        if reference is not None and known is not None and reference.speed.get("cpu_ms"):
            scale = cost / reference.speed["cpu_ms"]
            defaults[card.capability] = StageTime(
                known.seconds * scale,
                known.seconds_per_megapixel * scale,
                known.usual_megapixels,
                known.spread,
            )
    return {**defaults, **measured}
