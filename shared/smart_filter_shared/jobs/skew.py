"""Workers and API of different versions: who may do what, capability by capability.

Recipes are validated against the cards in the table `models`; whoever has another card of the
same model would make other pictures of them, and claims nothing of its capability.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

from sqlalchemy import Connection, text

from smart_filter_shared.cards import ModelCard
from smart_filter_shared.ids import Capability


@dataclass(frozen=True, slots=True)
class OwnCards:
    """Cards as the parallel arrays that statements take."""

    tasks: list[str]
    names: list[str]
    fingerprints: list[str]


ANY_CARDS = OwnCards([], [], [])


def own_cards(capability: Capability, known: Iterable[ModelCard]) -> OwnCards:
    """Return those cards that decide what comes of a capability, light models' beside it."""
    return own_arrays(
        card
        for card in known
        if card.capability == capability or capability.startswith(f"{card.capability}.")
    )


def own_arrays(cards: Iterable[ModelCard]) -> OwnCards:
    """Return cards as the arrays that statements take."""
    listed = list(cards)
    return OwnCards(
        [str(card.task) for card in listed],
        [card.name for card in listed],
        [card.fingerprint for card in listed],
    )


def own_release() -> tuple[int, ...]:
    """Return the version of this code as numbers, which compare as versions do."""
    return tuple(int(part) for part in re.findall(r"[0-9]+", version("smart-filter"))[:3])


def go_back_to_own_release(connection: Connection) -> None:
    """Let cards of this version replace those that a later one published, as after a roll-back."""
    connection.execute(
        text("UPDATE models SET release = :own WHERE release > CAST(:own AS integer[])"),
        {"own": list(own_release())},
    )


def differing(connection: Connection, own: Sequence[ModelCard]) -> dict[Capability, str]:
    """Return which capabilities are served by other cards than one's own, and what to do."""
    rows = connection.execute(
        text("""
            SELECT task, name, models.card ->> 'version' AS version
            FROM models JOIN unnest(
                CAST(:tasks AS text[]), CAST(:names AS text[]), CAST(:fingerprints AS text[])
            ) AS own (task, name, fingerprint) USING (task, name)
            WHERE models.fingerprint <> own.fingerprint
            ORDER BY task, name
        """),
        asdict(own_arrays(own)),
    )
    found: dict[Capability, str] = {}
    for row in rows:
        card = next(one for one in own if (one.task, one.name) == (row.task, row.name))
        why = (
            f"{card.task} {card.name} is of version {card.version} here, and jobs are accepted for"
            f" {row.version} with other parameters or weights: have workers and API of one version"
        )
        for capability in {one.capability for one in own if one.stage == card.stage}:
            if not card.leads or capability == card.capability:
                found.setdefault(capability, why)
    return found
