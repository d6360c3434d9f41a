"""Whether a picture suits the document that it is for.

Values only: workers measure and judge, the API returns the values unchanged.
"""

from dataclasses import dataclass
from enum import StrEnum


class CheckVerdict(StrEnum):
    """The verdict of a check.

    UNSURE: the measurement is too rough, or what it needs is not seen.  ASK: a person must look,
    as no measurement answers it; it does not count.
    """

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    UNSURE = "unsure"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class DocumentCheck:
    """One thing that the document asks of its photo.

    measured: None for what was not seen.  limit: what is allowed, in the same unit.
    remedy: what to do about it; None when it passes.
    """

    name: str
    verdict: CheckVerdict
    measured: str | None
    limit: str
    remedy: str | None


@dataclass(frozen=True, slots=True)
class DocumentReport:
    """What was checked for a document.

    verdict: `fail` when a check fails, else `unsure` when one is unsure.
    """

    document: str
    title: str
    verdict: CheckVerdict
    checks: tuple[DocumentCheck, ...]
