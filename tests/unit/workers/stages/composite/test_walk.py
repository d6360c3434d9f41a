"""A photo's way through the composite stage: how often, and where, a reader must turn a page."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from smart_filter_tests import golden
from smart_filter_workers.stages.composite import stage
from smart_filter_workers.stages.composite.models import layers

STAGE = "smart_filter_workers.stages.composite."
LONGEST_LOOP = 6  # modules
PAGE = Path(__file__).parents[5] / "docs" / "architecture.md"


def test_photo_takes_a_straight_way() -> None:
    models: stage.Models = {"composite": layers.load(Path())}
    job = golden.job({"background": "preset:studio"})

    stays = trace_modules(lambda: stage.run(models, [job]))

    # The names of the modules are the message when it fails.
    assert (len(stays) <= 26, len(set(stays)) <= 15, len(stays) - len(set(stays)) <= 10) == (
        True,
        True,
        True,
    ), " > ".join(stays)
    _, _, after = PAGE.read_text("utf-8").partition("**A photo**")
    described = re.findall(r"^    ([\w/]+) ", after.partition("\nTests")[0], re.MULTILINE)
    visited = list(dict.fromkeys(stays))
    places = [visited.index(name.replace("/", ".")) for name in described]
    assert len(places) > 8
    assert places == sorted(places), "docs/architecture.md describes another way"


def trace_modules(work: Callable[[], object]) -> list[str]:
    """Return the stage's modules in the order in which others call them, a loop's once.

    Only calls from another module count, and building a value is no call.
    """
    stays: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        module, caller = (
            "" if each is None else each.f_globals.get("__name__", "")
            for each in (frame, frame.f_back)
        )
        is_generated = frame.f_code.co_filename == "<string>"
        if event != "call" or module == caller or is_generated or not module.startswith(STAGE):
            return
        if stays[-1:] != [module.removeprefix(STAGE)]:
            stays.append(module.removeprefix(STAGE))

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return without_loops(stays)


def without_loops(stays: list[str]) -> list[str]:
    for length in range(1, LONGEST_LOOP + 1):
        start = 0
        while start + 2 * length <= len(stays):
            if stays[start : start + length] == stays[start + length : start + 2 * length]:
                return without_loops(stays[:start] + stays[start + length :])
            start += 1
    return stays
