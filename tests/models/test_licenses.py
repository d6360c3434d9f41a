"""Licenses in deploy/notices that only this environment's packages can confirm."""

import importlib.metadata
import re
import tomllib

from smart_filter_docs import distributed

# Their license files are more exact than their metadata.
BY_FILE = {"libclang", "namex", "pycocotools"}


def test_stated_licenses_are_those_of_the_installed_packages() -> None:
    stated = tomllib.loads(distributed.LICENSES.read_text(encoding="utf-8"))
    installed = {
        re.sub("[-_.]+", "-", distribution.name).lower()
        for distribution in importlib.metadata.distributions()
    }
    checked = (stated.keys() & installed) - BY_FILE

    assert {name: stated[name] for name in checked} == {
        name: distributed.read_license(name) for name in checked
    }
