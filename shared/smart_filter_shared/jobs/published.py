"""A model as it stands in the table of models."""

import hashlib
from dataclasses import dataclass

from smart_filter_shared.cards import ModelCard
from smart_filter_shared.ids import JobId

# Of a digest, as many bits as a share can be told by.
_BITS = 32


@dataclass(frozen=True, slots=True)
class Shadow:
    """Weights that run beside those that count; share: of so many jobs, 0 to 1."""

    digest: str
    share: float

    def follows(self, job_id: JobId) -> bool:
        """Whether it runs for a job; the same for whoever asks."""
        drawn = hashlib.sha256(job_id.bytes + self.digest.encode()).hexdigest()
        return int(drawn[: _BITS // 4], 16) < self.share * (1 << _BITS)


@dataclass(frozen=True, slots=True)
class Published:
    """A model that is known.

    offered: whether a declared pool of workers runs it, be it scaled to zero.
    fault: why the last process that published it could not run it, with the remedy.
    live: the digest of the trained weights that it runs with; None: with its own.
    shadow: those that are tried beside them.
    """

    card: ModelCard
    offered: bool
    fault: str | None = None
    live: str | None = None
    shadow: Shadow | None = None
