"""What a worker serves: its capabilities, less those whose model cannot be loaded."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from smart_filter_shared.cards import ModelCard, Offer
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import models, skew
from smart_filter_shared.jobs.skew import OwnCards
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.devices import GPU
from smart_filter_workers.loaded import LoadedModels

_RENEW_SECONDS: Final = 24 * 3600.0
_log = logger("worker")


class Serving:
    """Which capabilities a process claims from, and which it should but cannot; safe for threads.

    wanted: what it was started for, of which it serves nothing until it is opened.
    faults: what is known to be wrong with some of them.
    cards: what this process knows of its models.  offered: those of them that it has just published
    as models that it can run.  clock: monotonic seconds.
    """

    def __init__(
        self,
        wanted: Iterable[Capability],
        faults: Mapping[Capability, str],
        cards: Iterable[ModelCard] = (),
        *,
        offered: Iterable[ModelCard] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wanted = tuple(sorted(set(wanted)))
        self._failed = dict(faults)
        self._cards = tuple(cards)
        self._offered = tuple(offered)
        self._clock = clock
        self._offered_at = clock()
        self._own = {one: skew.own_cards(one, self._cards) for one in self.wanted}
        self._skewed: dict[Capability, str] = {}
        self._resting = False
        self._lock = threading.Lock()
        self._is_open = False
        for capability, why in faults.items():
            _log.error("setup failed", capability=capability, reason=why)

    @property
    def is_open(self) -> bool:
        """Whether its models are loaded, as far as they can be."""
        with self._lock:
            return self._is_open

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What it serves now: nothing while it rests, nor what others have other cards of."""
        able = self.able
        with self._lock:
            return () if self._resting else tuple(one for one in able if one not in self._skewed)

    @property
    def able(self) -> tuple[Capability, ...]:
        """What its models are loaded for, whether it serves that now or not."""
        with self._lock:
            if not self._is_open:
                return ()
            return tuple(one for one in self.wanted if one not in self._failed)

    @property
    def serves_all(self) -> bool:
        """Whether it serves now all that it is able to."""
        return self.capabilities == self.able

    @property
    def resting(self) -> bool:
        """Whether an operator wants it to claim no more."""
        with self._lock:
            return self._resting

    def rest(self, *, resting: bool) -> bool:
        """Claim no more, or claim again; return whether that changes anything."""
        with self._lock:
            changed = resting != self._resting
            self._resting = resting
        return changed

    @property
    def failed(self) -> dict[Capability, str]:
        """What it cannot serve, and why."""
        with self._lock:
            skewed = {one: why for one, why in self._skewed.items() if one in self.wanted}
            return {**skewed, **self._failed}

    def fail(self, capability: Capability, why: str) -> None:
        """Serve a capability no longer, until the process starts again."""
        with self._lock:
            self._failed.setdefault(capability, why)
        _log.error("setup failed", capability=capability, reason=why)

    def cards_of(self, capability: Capability) -> OwnCards:
        """Return the cards by which this process runs a capability."""
        return self._own[capability]

    def compare(self, connection: Connection) -> None:
        """Serve only what is published with the cards that this process has, as long as it is."""
        skewed = skew.differing(connection, self._cards)
        with self._lock:
            new = {one: why for one, why in skewed.items() if one not in self._skewed}
            self._skewed = skewed
        for capability, why in new.items():
            if capability in self.wanted:
                _log.error("another version is served", capability=capability, reason=why)

    def renew(self, connection: Connection) -> None:
        """Say once a day that its models are offered still; who only starts could be forgotten."""
        now = self._clock()
        if now - self._offered_at < _RENEW_SECONDS:
            return
        able = self.able
        models.renew(
            connection,
            [
                card
                for card in self._offered
                # A light model goes with every family of its stage.
                if card.capability in able
                or (not card.leads and any(one.startswith(f"{card.stage}.") for one in able))
            ],
        )
        self._offered_at = now

    def open(self) -> None:
        """Serve what has not failed."""
        with self._lock:
            self._is_open = True


@dataclass(frozen=True, slots=True)
class Setup:
    """What a process is to serve, before its models are loaded.

    needed: the models that are loaded before it serves, and what cannot be served without.
    """

    serving: Serving
    needed: Sequence[tuple[ModelCard, Sequence[Capability]]]

    def load(self, loaded: LoadedModels) -> None:
        """Load what is needed at once; what cannot be loaded is not served."""
        for card, affected in self.needed:
            try:
                loaded.model(card.task, card.name)
            except ModelNotLoaded as error:
                for capability in affected:
                    self.serving.fail(capability, str(error))
        self.serving.open()


def plan(
    offers: Iterable[Offer],
    *,
    stages: Collection[StageName],
    models: Collection[str] = (),
    gpu_fault: str | None = None,
) -> Setup:
    """Return what is to be served, and what that needs at once.

    models: the leading models to serve, of those stages that have one of these names; of
    other stages all that this machine can run.  Those that are named are loaded at once, else
    the default ones; the others at their first use.
    gpu_fault: why there is no GPU where one is demanded; models that can use one fail of it.
    Raises SetupFailed when no model has one of the names.
    """
    leading, beside = _parted(offers, stages)
    unknown = sorted(set(models) - {offer.card.name for offer in leading})
    if unknown:
        names = ", ".join(sorted({offer.card.name for offer in leading}))
        raise SetupFailed(
            f"no model of these stages is named {', '.join(unknown)}; there are {names}"
        )
    narrowed = {offer.card.stage for offer in leading if offer.card.name in models}
    leading = [
        offer for offer in leading if offer.card.name in models or offer.card.stage not in narrowed
    ]
    # A model that is not there for want of a package or of weights is only missed by name or
    # by default: a worker without detectron2 is in order.
    missed = [offer for offer in leading if offer.card.default or offer.card.name in models]
    faults = {offer.card.capability: offer.fault for offer in missed if offer.fault is not None}
    wanted = {offer.card.capability for offer in leading if offer.fault is None} | set(faults)
    if gpu_fault is not None:
        slow = {offer.card.capability for offer in leading if GPU in offer.card.devices}
        faults |= dict.fromkeys(slow & wanted, f"it needs a GPU: {gpu_fault}")
    needed = [
        (offer.card, [offer.card.capability])
        for offer in missed
        if offer.card.capability not in faults
    ] + [
        (offer.card, [one for one in sorted(wanted) if one.startswith(f"{offer.card.stage}.")])
        for offer in beside
        if offer.card.default
    ]
    cards = [offer.card for offer in (*leading, *beside)]
    offered = [offer.card for offer in (*leading, *beside) if offer.fault is None]
    return Setup(Serving(wanted, faults, cards, offered=offered), needed)


def _parted(
    offers: Iterable[Offer], stages: Collection[StageName]
) -> tuple[list[Offer], list[Offer]]:
    """Return the offers of leading models of some stages, and those of the light ones beside."""
    here = [offer for offer in offers if offer.card.stage in stages]
    return (
        [offer for offer in here if offer.card.leads],
        [offer for offer in here if not offer.card.leads],
    )
