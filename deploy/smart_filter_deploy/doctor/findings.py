"""What a check finds."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote, urlsplit

_HIDDEN = "…"
# What is shorter hides nothing, and may be a part of any word.
_SECRET_LENGTH = 4


class Level(StrEnum):
    """How bad it is: warned is what works, but not well or not for long."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    what: the thing.  said: how it is.  fix: what to do about it, "" for nothing.
    """

    level: Level
    what: str
    said: str
    fix: str = ""

    def line(self) -> str:
        """Return it in one line, for a person."""
        told = f"{self.said}: {self.fix}" if self.fix else self.said
        return f"{self.level:<4}  {self.what:<11}  {' '.join(told.split())}"

    def as_json(self) -> dict[str, str | None]:
        """Return it for a program."""
        return {
            "level": self.level,
            "what": self.what,
            "said": self.said,
            "fix": self.fix or None,
        }


def ok(what: str, said: str) -> Finding:
    """Return that a thing is as it should be."""
    return Finding(Level.OK, what, said)


def warn(what: str, said: str, fix: str) -> Finding:
    """Return that a thing works, but not well or not for long."""
    return Finding(Level.WARN, what, said, fix)


def fail(what: str, said: str, fix: str) -> Finding:
    """Return that a thing keeps the service from working."""
    return Finding(Level.FAIL, what, said, fix)


def without(findings: Iterable[Finding], secrets: Iterable[str]) -> Iterator[Finding]:
    """Yield findings in which no secret can be read, whoever put it there."""
    # The longest first: one may be a part of another.
    hidden = sorted((one for one in secrets if len(one) >= _SECRET_LENGTH), key=len, reverse=True)
    for finding in findings:
        said, fix = finding.said, finding.fix
        for secret in hidden:
            said, fix = said.replace(secret, _HIDDEN), fix.replace(secret, _HIDDEN)
        yield Finding(finding.level, finding.what, said, fix)


def secrets_in(environ: Mapping[str, str] = os.environ) -> set[str]:
    """Return the secrets that our variables hold: keys, and passwords in URLs."""
    found: set[str] = set()
    for name, value in environ.items():
        if not name.startswith("SMART_FILTER_"):
            continue
        # An access key is a name; its secret key is the secret.
        if name.endswith("_KEY") and not name.endswith("_ACCESS_KEY"):
            found.add(value)
        if name.endswith("_URL"):
            found |= passwords_in(value)
    return found


def passwords_in(url: str) -> set[str]:
    """Return the password of a URL as it is written and as it is meant."""
    try:
        password = urlsplit(url).password
    except ValueError:  # no URL: anything in it may be the secret
        return {url}
    return {password, unquote(password)} if password else set()
