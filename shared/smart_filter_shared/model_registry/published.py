"""A row of the table `models`: a registered model and its trained weights."""

import hashlib
from dataclasses import dataclass

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.ids import JobId

# Leading digest bits used for sampling.
_BITS = 32


@dataclass(frozen=True, slots=True)
class ShadowWeights:
    """Weights that run in shadow of the live ones; share: of jobs, 0 to 1."""

    digest: str
    share: float

    def follows(self, job_id: JobId) -> bool:
        """Return whether the weights run for a job; every process gets the same answer."""
        drawn = hashlib.sha256(job_id.bytes + self.digest.encode()).hexdigest()
        return int(drawn[: _BITS // 4], 16) < self.share * (1 << _BITS)


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model.

    offered: whether a declared pool of workers runs it, even one scaled to zero.
    fault: why the process that published it last could not run it, with the remedy.
    live: the digest of the trained weights that it runs with; None: its own weights.
    shadow: the weights that run in shadow.
    """

    card: ModelCard
    offered: bool
    fault: str | None = None
    live: str | None = None
    shadow: ShadowWeights | None = None
