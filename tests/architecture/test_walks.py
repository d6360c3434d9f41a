"""The walk of a submission in docs/architecture.md is that of the code."""

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
STEP = re.compile(r"^( +)([\w/]+)\.(\w+) ", re.MULTILINE)


def module_of(path: str) -> ModuleType:
    return importlib.import_module(f"smart_filter_api.{path.replace('/', '.')}")


def test_each_step_of_a_submission_is_called_by_the_step_left_of_it() -> None:
    _, _, after = PAGE.read_text("utf-8").partition("**A submission**")
    steps = [
        (len(indent), path, name) for indent, path, name in STEP.findall(after.partition("**")[0])
    ]

    above: dict[int, str] = {}
    for indent, path, name in steps:
        function = getattr(module_of(path), name)
        callers = [source for depth, source in above.items() if depth < indent]
        assert not callers or re.search(rf"\b{name}\b", callers[-1]), f"{path}.{name}"
        above = {depth: source for depth, source in above.items() if depth < indent}
        above[indent] = inspect.getsource(module_of(path) if callers else function)
    assert len(steps) > 8
