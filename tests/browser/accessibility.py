"""Check a page for accessibility faults: with axe-core, and by walking its focus."""

from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# More presses of Tab than any screen of the tests needs.
_MOST_PRESSES: Final = 120
_GO_TO_START = """
() => {
  document.body.tabIndex = -1;
  document.body.focus();
  document.body.removeAttribute("tabindex");
}
"""
_FOCUSED = """
() => {
  const it = document.activeElement, all = [...document.querySelectorAll("*")];
  return { at: all.indexOf(it), html: it.outerHTML.slice(0, 120), isPage: it === document.body };
}
"""


def assert_accessible(page: Page) -> None:
    """Fail with a list when axe-core finds a fault."""
    found = Axe().run(page).response["violations"]
    assert not found, "\n".join(["axe-core:", *map(_describe, found)])


def walk_focus(page: Page) -> list[tuple[str, str]]:
    """Press Tab through a page; return role and name of each control, as screen readers say them.

    Fails when the focus goes back against the order of the document before its end, or when a
    control has no name.
    """
    session = page.context.new_cdp_session(page)
    page.evaluate(_GO_TO_START)
    walked: list[tuple[str, str]] = []
    last = -1
    for _ in range(_MOST_PRESSES):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        if focused["isPage"] or (walked and focused["at"] <= last):
            break
        role, name = _ask(session)
        assert name, f"no name: {role} {focused['html']}"
        walked.append((role, name))
        last = focused["at"]
    session.detach()
    return walked


def _ask(session: Any) -> tuple[str, str]:  # noqa: ANN401 - Playwright's CDP session has no types
    handle = session.send("Runtime.evaluate", {"expression": "document.activeElement"})
    asked = {"objectId": handle["result"]["objectId"], "fetchRelatives": False}
    node = session.send("Accessibility.getPartialAXTree", asked)["nodes"][0]
    return node["role"]["value"], node.get("name", {}).get("value", "").strip()


def _describe(violation: dict[str, Any]) -> str:
    places = [
        f"    {' '.join(map(str, node['target']))}\n        "
        + node["failureSummary"].replace("\n", "\n        ")
        for node in violation["nodes"]
    ]
    head = f"{violation['id']} ({violation['impact']}): {violation['help']}"
    return "\n".join([head, f"    {violation['helpUrl']}", *places])
