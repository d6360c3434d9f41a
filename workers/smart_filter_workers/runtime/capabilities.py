"""The capabilities that a worker serves: wanted, and their models have loaded."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from smart_filter_shared.catalog.model_card import ModelCard, Offer
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_shared.ids import Capability
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import VersionGuard
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.system.resources import GPU

_RENEW_SECONDS: Final = 24 * 3600.0
_log = logger("worker")


class ServedCapabilities:
    """The capabilities that a process claims from, and the failed ones; safe for threads.

    wanted: the capabilities that the process is meant to serve; it serves none before `open`.
    faults: the reasons why some of them cannot be served.
    cards: the cards of this process's models.  offered: the cards that this process has just
    published as models that it can run.  clock: monotonic seconds.
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
        self._guards = {
            capability: published_models.select_cards(capability, self._cards)
            for capability in self.wanted
        }
        self._skewed: dict[Capability, str] = {}
        self._resting = False
        self._lock = threading.Lock()
        self._is_open = False
        for capability, why in faults.items():
            _log.error("capability_setup_failed", capability=capability, reason=why)

    @property
    def is_open(self) -> bool:
        """Whether all models have been loaded or have failed."""
        with self._lock:
            return self._is_open

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """The capabilities served now: none at rest, none whose published card differs."""
        able = self.able
        with self._lock:
            return (
                ()
                if self._resting
                else tuple(capability for capability in able if capability not in self._skewed)
            )

    @property
    def able(self) -> tuple[Capability, ...]:
        """The capabilities whose models are loaded, whether they are served now or not."""
        with self._lock:
            if not self._is_open:
                return ()
            return tuple(capability for capability in self.wanted if capability not in self._failed)

    @property
    def resting(self) -> bool:
        """Whether an operator has told this worker to claim no more."""
        with self._lock:
            return self._resting

    def set_drained(self, *, resting: bool) -> bool:
        """Stop claiming, or claim again; return whether that is a change."""
        with self._lock:
            changed = resting != self._resting
            self._resting = resting
        return changed

    @property
    def failed(self) -> dict[Capability, str]:
        """The capabilities that it cannot serve, each with the reason."""
        with self._lock:
            skewed = {
                capability: why
                for capability, why in self._skewed.items()
                if capability in self.wanted
            }
            return {**skewed, **self._failed}

    def fail(self, capability: Capability, why: str) -> None:
        """Stop serving a capability until the process starts again, or new weights arrive."""
        with self._lock:
            self._failed.setdefault(capability, why)
        _log.error("capability_setup_failed", capability=capability, reason=why)

    def cards_of(self, capability: Capability) -> VersionGuard:
        """Return the cards with which this process runs a capability."""
        return self._guards[capability]

    def compare(self, connection: Connection) -> None:
        """Find capabilities whose published cards differ from ours; these are not served."""
        skewed = published_models.find_skew(connection, self._cards)
        with self._lock:
            new = {
                capability: why
                for capability, why in skewed.items()
                if capability not in self._skewed
            }
            self._skewed = skewed
        for capability, why in new.items():
            if capability in self.wanted:
                _log.error("model_version_conflict", capability=capability, reason=why)

    def renew(self, connection: Connection) -> None:
        """Renew the offers of the loaded models once a day; without renewal they turn stale."""
        now = self._clock()
        if now - self._offered_at < _RENEW_SECONDS:
            return
        able = self.able
        published_models.renew(
            connection,
            [
                card
                for card in self._offered
                # A light model belongs to every family of its stage.
                if card.capability in able
                or (
                    not card.leads
                    and any(capability.startswith(f"{card.stage}.") for capability in able)
                )
            ],
        )
        self._offered_at = now

    def open(self) -> None:
        """Start to serve the capabilities that have not failed."""
        with self._lock:
            self._is_open = True

    def extend(self, planned: "ServedCapabilities") -> None:
        """Serve the capabilities of a plan with more models, which are loaded."""
        with self._lock:
            self.wanted, self._failed = planned.wanted, planned._failed  # noqa: SLF001 - this class
            self._cards, self._offered = planned._cards, planned._offered  # noqa: SLF001 - as above
            self._guards = planned._guards  # noqa: SLF001 - as above


@dataclass(frozen=True, slots=True)
class CapabilitySetup:
    """The capabilities of a process before its models are loaded.

    needed: the models to load before it serves, each with the capabilities that depend on it.
    """

    serving: ServedCapabilities
    needed: Sequence[tuple[ModelCard, Sequence[Capability]]]

    def load(self, loaded: ModelCache) -> None:
        """Load the needed models; a capability whose model does not load is not served."""
        for card, affected in self.needed:
            try:
                loaded.model(card.task, card.name)
            except ModelNotLoaded as error:
                for capability in affected:
                    self.serving.fail(capability, str(error))
        self.serving.open()


def plan_capabilities(
    offers: Iterable[Offer],
    *,
    stages: Collection[StageName],
    models: Collection[str] = (),
    gpu_fault: str | None = None,
) -> CapabilitySetup:
    """Return the capabilities to serve, and the models that they need at once.

    models: names of leading models. A stage that has a model of one of these names serves only
    the families of those models; any other stage serves all models that this machine can run.
    Named models, or else the default ones, are loaded at once; the others at their first use. A
    model that is turned off is left out if another one of its family is not.
    gpu_fault: why a demanded GPU is missing; the models that can use a GPU fail for this reason.
    Raises SetupFailed when no model has one of the names.
    """
    leading, light = _split_offers(offers, stages)
    unknown = sorted(set(models) - {offer.card.name for offer in leading})
    if unknown:
        names = ", ".join(sorted({offer.card.name for offer in leading}))
        raise SetupFailed(
            f"no model of these stages is named {', '.join(unknown)}; there are {names}"
        )
    narrowed = {offer.card.stage for offer in leading if offer.card.name in models}
    chosen = {offer.card.capability for offer in leading if offer.card.name in models}
    leading = [
        offer
        for offer in leading
        if offer.card.capability in chosen or offer.card.stage not in narrowed
    ]
    allowed = {offer.card.capability for offer in leading if not offer.withdrawn}
    leading = [
        offer for offer in leading if not offer.withdrawn or offer.card.capability not in allowed
    ]
    # A model that lacks a package or its weights is a fault only if it is named or the default:
    # a worker without detectron2 is in order.
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
        (
            offer.card,
            [
                capability
                for capability in sorted(wanted)
                if capability.startswith(f"{offer.card.stage}.")
            ],
        )
        for offer in light
        if offer.card.default
    ]
    cards = [offer.card for offer in (*leading, *light)]
    offered = [offer.card for offer in (*leading, *light) if offer.fault is None]
    return CapabilitySetup(ServedCapabilities(wanted, faults, cards, offered=offered), needed)


def _split_offers(
    offers: Iterable[Offer], stages: Collection[StageName]
) -> tuple[list[Offer], list[Offer]]:
    """Return the offers of the leading models of some stages, and of their light models."""
    here = [offer for offer in offers if offer.card.stage in stages]
    return (
        [offer for offer in here if offer.card.leads],
        [offer for offer in here if not offer.card.leads],
    )
