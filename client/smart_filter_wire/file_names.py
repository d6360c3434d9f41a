"""Names of the files of many pictures: the same on the server and on the command line."""

from collections.abc import Callable
from itertools import count


def free_name(stem: str, ending: str, is_taken: Callable[[str], bool]) -> str:
    """Return a name that is free: with a number, such as `-2`, when the first is taken."""
    names = (f"{stem}{'' if number == 1 else f'-{number}'}{ending}" for number in count(1))
    return next(name for name in names if not is_taken(name))
