"""What stages may take that were never measured here: by their models' cards."""

from collections.abc import Iterable, Mapping

from smart_filter_shared.cards import ModelCard
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs.paces import Pace

# Claiming, loading and storing take about as long as a light model does.
_BESIDE_SECONDS = 0.05
_SPREAD = 1.0


def completed(
    measured: Mapping[Capability, Pace], cards: Iterable[ModelCard]
) -> dict[Capability, Pace]:
    """Return the paces that were measured, and a guess for every other model that has a cost.

    Where the default model of the task was measured, this machine is as much faster or slower
    with others as it is with that one.
    """
    leading = [card for card in cards if card.leads]
    usual = {card.task: card for card in leading if card.default}
    guessed: dict[Capability, Pace] = {}
    for card in leading:
        cost = card.speed.get("cpu_ms")
        if cost is None or card.capability in measured:
            continue
        guessed[card.capability] = Pace(cost / 1000 + _BESIDE_SECONDS, spread=_SPREAD)
        beside = usual.get(card.task)
        known = None if beside is None else measured.get(beside.capability)
        if beside is not None and known is not None and beside.speed.get("cpu_ms"):
            scale = cost / beside.speed["cpu_ms"]
            guessed[card.capability] = Pace(
                known.seconds * scale,
                known.seconds_per_megapixel * scale,
                known.usual_megapixels,
                known.spread,
            )
    return {**guessed, **measured}
