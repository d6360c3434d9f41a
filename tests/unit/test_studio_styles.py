"""The studio's stylesheets are one namespace without a build step: no part may restyle another."""

import re
from collections import defaultdict
from importlib import resources

# What every screen is made of; parts may say more of these within their own.
SHARED = {"tokens.css", "base.css", "controls.css", "shell.css"}


def test_class_that_a_part_styles_by_itself_is_styled_by_no_other() -> None:
    parts = defaultdict(set)
    folder = resources.files("smart_filter_api.studio") / "page" / "styles"
    for sheet in folder.iterdir():
        if sheet.name in SHARED:
            continue
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL)
        for selectors in re.findall(r"(?:^|[{}])\s*([^{}@]+)\{", text):
            for selector in selectors.split(","):
                if alone := re.fullmatch(r"\.([a-z0-9-]+)", selector.strip()):
                    parts[alone.group(1)].add(sheet.name)

    assert {name: where for name, where in parts.items() if len(where) > 1} == {}
