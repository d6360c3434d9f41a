"""Where a pinned package's file is in a registry of Python or npm packages.

The environment variables of pip, uv and npm decide which registry is used.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.weights import download

_PYPI: Final = "https://pypi.org/simple"
_NPM: Final = "https://registry.npmjs.org"
# Sources: pip's "Environment Variables", uv's "Environment variables", npm 10's "config".
_PYPI_VARIABLES: Final = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
_NPM_VARIABLES: Final = ("NPM_CONFIG_REGISTRY", "npm_config_registry")
# Source: PEP 691, "Content Types".
_SIMPLE_JSON: Final = "application/vnd.pypi.simple.v1+json"
# mediapipe's 263 files take 200 kB.
_MAX_PAGE_BYTES: Final = 20_000_000


@dataclass(frozen=True, slots=True)
class RegistryFile:
    """The address of a package's file, and its size in bytes or an upper limit."""

    address: str
    most_bytes: int


def find_python_file(
    name: str, sha256: str, *, most_bytes: int, route: download.Route
) -> RegistryFile:
    """Return the file of a Python package that has a digest, from the registry's page on it.

    most_bytes: the limit where the registry tells no size.
    Raises SetupFailed when the registry does not answer, has no such file, or answers no JSON.
    """
    index = _configured(_PYPI_VARIABLES, _PYPI)
    page = f"{index}/{name}/"
    content = download.read_address(page, route, accept=_SIMPLE_JSON, most_bytes=_MAX_PAGE_BYTES)
    try:
        # Any: JSON; a value of another type raises.
        files: Sequence[dict[str, Any]] = json.loads(content)["files"]
        for file in files:
            if file["hashes"].get("sha256") == sha256:
                # Source: PEP 691: the address may be relative to the page's.
                address = httpx.URL(page).join(file["url"])
                return RegistryFile(str(address), int(file.get("size") or most_bytes))
    except (httpx.InvalidURL, AttributeError, KeyError, TypeError, ValueError) as error:
        raise SetupFailed(
            f"{page} is no page of a package registry in JSON (PEP 691): set PIP_INDEX_URL to the"
            " address of one that is"
        ) from error
    raise SetupFailed(f"{page} lists no file with the SHA-256 {sha256}: ask its operator for it")


def npm_tarball_address(name: str, version: str) -> str:
    """Return the address of a package's file in the npm registry."""
    registry = _configured(_NPM_VARIABLES, _NPM)
    return f"{registry}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"


def _configured(variables: Sequence[str], default: str) -> str:
    values = (os.environ.get(variable) for variable in variables)
    return (next(filter(None, values), None) or default).rstrip("/")
