"""Find variables SMART_FILTER_… that no program reads."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Final, get_type_hints

from pydantic_settings import BaseSettings

from smart_filter_deploy.doctor.findings import Finding, ok, warn
from smart_filter_shared import suggestions
from smart_filter_shared.config import settings
from smart_filter_shared.config.settings import Settings

_PREFIX: Final = "SMART_FILTER_"
# Variables read without `settings`: of clients, of paths, and those that processes pass on.
_OTHER_NAMES: Final = frozenset(
    {"URL", "API_KEY", "DATA", "WEIGHTS_MIRROR", "LOCAL_KEY", "LOCAL_CODE"}
)
# Variables of a checkout's tests and tools.
_CHECKOUT_NAMES: Final = frozenset({"EVAL_DATA", "TEST_FAULTS", "CHROMIUM"})
# Variables that Kubernetes sets for services named smart-filter-…, and the published ports of
# docker-compose.yml.
_FOREIGN_NAMES: Final = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT\w*|PORT(_\d+_(TCP|UDP)\w*)?)")


def check_variables(environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Check the names of variables SMART_FILTER_…: a misspelled one has no effect."""
    names = _known_names()
    unknown = [
        name
        for name in sorted(environ)
        if name.upper().startswith(_PREFIX)
        and name.upper().removeprefix(_PREFIX) not in names
        and not _FOREIGN_NAMES.fullmatch(name.upper())
    ]
    for name in unknown:
        near = suggestions.find_nearest(name.upper().removeprefix(_PREFIX), names)
        fix = f"did you mean {_PREFIX}{near[0]}?" if near else "docs/settings.md lists all names"
        yield warn("variables", f"{name} is not read by any program", fix)
    if not unknown:
        yield ok("variables", f"every {_PREFIX}… variable that is set has a known name")


def _known_names() -> set[str]:
    """Return the names of variables that are read, without their prefix."""
    groups = [
        group for group in get_type_hints(Settings).values() if issubclass(group, BaseSettings)
    ]
    read = {name.removeprefix(_PREFIX) for name in settings.variable_names(*groups)}
    return {*_OTHER_NAMES, *_CHECKOUT_NAMES} | read
