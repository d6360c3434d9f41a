"""Rows of jobs and stages in memory, and how transitions change them: see model.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from smart_filter_shared.ids import JobId, LeaseToken, Tenant
from smart_filter_shared.pipeline import StageName

GIVE_UP_SECONDS = 3600.0

Key = tuple[JobId, StageName]
Lockable = JobId | Key | Tenant


@dataclass(frozen=True, slots=True)
class StageModel:
    """A stage's row.

    late: its lease has run out.  needs: those that its job runs.  made: its artifact's key.
    """

    state: str
    needs: tuple[StageName, ...]
    open_needs: int
    not_before: float | None = None
    attempt: int = 0
    releases: int = 0
    patience_since: float | None = None
    token: LeaseToken | None = None
    late: bool = False
    rerouted: bool = False
    made: str | None = None

    def with_token(self, token: LeaseToken) -> "StageModel":
        """Return it as a claim leaves it."""
        return replace(
            self,
            state="running",
            attempt=self.attempt + 1,
            token=token,
            not_before=None,
            late=False,
        )

    def idle(self, state: str, not_before: float | None) -> "StageModel":
        """Return it without its lease."""
        return replace(self, state=state, not_before=not_before, token=None, late=False)

    @property
    def is_impatient(self) -> bool:
        """Whether it has waited for infrastructure for too long."""
        return self.patience_since is not None and self.patience_since <= -GIVE_UP_SECONDS


@dataclass(frozen=True, slots=True)
class JobModel:
    """A job's row.  artifacts: how many objects its rows name.  late: past its deadline."""

    model: str
    artifacts: int = 1
    outcome: str | None = None
    reopened: int = 0
    late: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What a transition answers and what becomes of rows; None: the row is deleted.

    locked: jobs, stages and tenants that it holds until its end.
    """

    answer: object = None
    jobs: Mapping[JobId, JobModel | None] = field(default_factory=dict)
    stages: Mapping[Key, StageModel | None] = field(default_factory=dict)
    locked: frozenset[Lockable] = frozenset()


class Waits(Exception):
    """The transition waits for a lock that another session holds."""


class Refused(Exception):
    """The transition raises an error of this name."""
