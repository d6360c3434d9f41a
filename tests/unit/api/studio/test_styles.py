"""The studio's stylesheets share one namespace: no part may restyle another."""

import re
from collections import defaultdict
from importlib import resources

# Parts of every screen; a part's stylesheet may extend these within its own elements.
SHARED = {"tokens.css", "base.css", "controls.css", "shell.css"}


def test_class_styled_by_one_part_is_not_styled_by_another() -> None:
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
