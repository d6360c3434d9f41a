"""A picture of the studio: how a page comes to show what is to be seen."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page

from smart_filter_docs import shots
from smart_filter_tests.browsing.looks import DESKTOP, DESKTOP_DARK, Look
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.visitors import Visitor


@dataclass(frozen=True, slots=True)
class Scene:
    """What a picture is made with.

    page: on the studio, signed in as the visitor, whose recipes say `seed: 1`.
    """

    page: Page
    visitor: Visitor
    photos: Photos


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture, and its name in docs/images: `studio-NAME-LOOK.png`.

    arrange: returns when what is to be seen is on the screen.
    """

    name: str
    arrange: Callable[[Scene], None]
    looks: tuple[Look, ...] = (DESKTOP, DESKTOP_DARK)


def find() -> list[Shot]:
    """Return the shots of every module beside this one, sorted by name.

    Raises ValueError when two have one name.
    """
    found: list[Shot] = []
    for part in pkgutil.iter_modules(shots.__path__, f"{shots.__name__}."):
        found += getattr(importlib.import_module(part.name), "SHOTS", ())
    names = [shot.name for shot in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two shots are called {', '.join(twice)}")
    return sorted(found, key=lambda shot: shot.name)
