"""Define a screenshot of the studio, and find all of them."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page

from smart_filter_docs import shots
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import DESKTOP, DESKTOP_DARK, Screen
from smart_filter_tests.browsing.visitors import Visitor


@dataclass(frozen=True, slots=True)
class Scene:
    """The page, the visitor and the photos of a screenshot.

    page: on the studio, signed in as the visitor, whose recipes say `seed: 1`.
    """

    page: Page
    visitor: Visitor
    photos: Photos


@dataclass(frozen=True, slots=True)
class Shot:
    """A screenshot with its name in docs/images: `studio-NAME-LOOK.webp`.

    arrange: brings the page into its state; returns when it is on the screen.
    """

    name: str
    arrange: Callable[[Scene], None]
    looks: tuple[Screen, ...] = (DESKTOP, DESKTOP_DARK)


def find() -> list[Shot]:
    """Return the shots of every module in this package, sorted by name.

    Raises ValueError when two shots have the same name.
    """
    listed: list[Shot] = []
    for part in pkgutil.iter_modules(shots.__path__, f"{shots.__name__}."):
        listed += getattr(importlib.import_module(part.name), "SHOTS", ())
    names = [shot.name for shot in listed]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two shots have the same name: {', '.join(twice)}")
    return sorted(listed, key=lambda shot: shot.name)
