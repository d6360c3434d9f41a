"""Our variables: whether each one that is set is one that anything reads."""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Final, get_type_hints

from pydantic_settings import BaseSettings

from smart_filter_deploy.doctor.findings import Finding, ok, warn
from smart_filter_shared.settings import Settings

_PREFIX: Final = "SMART_FILTER_"
# What is read without `settings`: of clients, of places, and what processes hand to each other.
_OTHERS: Final = frozenset({"URL", "API_KEY", "DATA", "WEIGHTS_MIRROR", "LOCAL_KEY", "LOCAL_CODE"})
# What a checkout's own tests and tools read: whoever runs those may have them set.
_CHECKOUT: Final = frozenset({"EVAL_DATA", "TEST_FAULTS", "CHROMIUM"})
# What Kubernetes tells of services called smart-filter-…; ports that docker-compose.yml publishes.
_NOT_OURS: Final = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT\w*|PORT(_\d+_(TCP|UDP)\w*)?)")


def variables(environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Look at the names of our variables: one that is misspelt says nothing to anybody."""
    known = _known()
    unknown = [
        name
        for name in sorted(environ)
        if name.upper().startswith(_PREFIX)
        and name.upper().removeprefix(_PREFIX) not in known
        and not _NOT_OURS.fullmatch(name.upper())
    ]
    for name in unknown:
        near = difflib.get_close_matches(name.upper().removeprefix(_PREFIX), known, n=1)
        fix = f"did you mean {_PREFIX}{near[0]}?" if near else "docs/settings.md lists those read"
        yield warn("variables", f"{name} is read by nothing here", fix)
    if not unknown:
        yield ok("variables", f"nothing that is set is called {_PREFIX}… and read by nothing")


def _known() -> set[str]:
    """Return the names that are read, without what they all begin with."""
    groups = [one for one in get_type_hints(Settings).values() if issubclass(one, BaseSettings)]
    return {*_OTHERS, *_CHECKOUT} | {
        f"{group.model_config.get('env_prefix', '')}{field}".upper().removeprefix(_PREFIX)
        for group in groups
        for field in group.model_fields
    }
