"""The findings of checks, and their redaction."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote, urlsplit

_REDACTED = "…"
# Shorter secrets are not redacted: they protect nothing, and occur in ordinary words.
_MIN_SECRET_CHARACTERS = 4


class Level(StrEnum):
    """The severity of a finding; WARN: it works, but not well or not for long."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of one check.

    what: the subject.  said: its condition.  fix: the remedy, "" for none.
    """

    level: Level
    what: str
    said: str
    fix: str = ""

    def line(self) -> str:
        """Return the finding as one line of text."""
        text = f"{self.said}: {self.fix}" if self.fix else self.said
        return f"{self.level:<4}  {self.what:<11}  {' '.join(text.split())}"

    def as_json(self) -> dict[str, str | None]:
        """Return the finding as JSON."""
        return {
            "level": self.level,
            "what": self.what,
            "said": self.said,
            "fix": self.fix or None,
        }


def ok(what: str, said: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(Level.OK, what, said)


def warn(what: str, said: str, fix: str) -> Finding:
    """Return a finding that the subject works, but not well or not for long."""
    return Finding(Level.WARN, what, said, fix)


def fail(what: str, said: str, fix: str) -> Finding:
    """Return a finding that keeps the service from working."""
    return Finding(Level.FAIL, what, said, fix)


def redact(findings: Iterable[Finding], secrets: Iterable[str]) -> Iterator[Finding]:
    """Yield the findings with every secret replaced."""
    # The longest first, as one secret may be part of another.
    hidden = sorted(
        (text for text in secrets if len(text) >= _MIN_SECRET_CHARACTERS), key=len, reverse=True
    )
    for finding in findings:
        said, fix = finding.said, finding.fix
        for secret in hidden:
            said, fix = said.replace(secret, _REDACTED), fix.replace(secret, _REDACTED)
        yield Finding(finding.level, finding.what, said, fix)


def find_secrets(environ: Mapping[str, str] = os.environ) -> set[str]:
    """Return the secrets in variables SMART_FILTER_…: keys, and passwords in URLs."""
    secrets: set[str] = set()
    for name, value in environ.items():
        if not name.startswith("SMART_FILTER_"):
            continue
        # An access key is only a name; the secret key belongs to it.
        if name.endswith("_KEY") and not name.endswith("_ACCESS_KEY"):
            secrets.add(value)
        if name.endswith("_URL"):
            secrets |= find_passwords(value)
    return secrets


def find_passwords(url: str) -> set[str]:
    """Return the password of a URL, percent-encoded and decoded."""
    try:
        password = urlsplit(url).password
    except ValueError:  # not a URL: any part of it may be the secret
        return {url}
    return {password, unquote(password)} if password else set()
