"""Check a page for accessibility faults with axe-core."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_GRAVE = {"serious", "critical"}


def assert_accessible(page: Page) -> None:
    """Fail with a list when axe-core finds a serious or critical fault on the page."""
    violations = Axe().run(page).response["violations"]
    grave = [violation for violation in violations if violation["impact"] in _GRAVE]
    assert not grave, "\n".join(["axe-core:", *map(_describe, grave)])


def _describe(violation: dict[str, Any]) -> str:
    places = [
        f"    {' '.join(map(str, node['target']))}\n        "
        + node["failureSummary"].replace("\n", "\n        ")
        for node in violation["nodes"]
    ]
    head = f"{violation['id']} ({violation['impact']}): {violation['help']}"
    return "\n".join([head, f"    {violation['helpUrl']}", *places])
