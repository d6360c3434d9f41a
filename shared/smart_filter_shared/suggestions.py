"""Find the known names that are most similar to an unknown one, for error messages."""

import difflib
import functools
from collections.abc import Iterable, Sequence
from typing import Final

# Characters of an unknown name that are compared; bounds the time that takes. No name is as long.
_MAX_CHARACTERS: Final = 200
# Searches that are remembered: the items of a batch often share their errors, and a search takes
# a millisecond.
_MAX_REMEMBERED: Final = 256


def find_nearest(name: str, candidates: Iterable[str], *, most: int = 1) -> list[str]:
    """Return up to `most` known names that are similar to a name, the most similar first.

    Upper and lower case are the same.
    """
    return list(_search(name[:_MAX_CHARACTERS].casefold(), tuple(candidates), most))


def did_you_mean(name: str, candidates: Iterable[str], *, most: int = 1) -> str:
    """Return the end of a sentence that suggests known names, such as `; did you mean jpg?`.

    It is empty when no known name is similar.
    """
    return suggest(find_nearest(name, candidates, most=most))


def suggest(near: Sequence[str]) -> str:
    """Return the end of a sentence that suggests these names, empty for none."""
    return f"; did you mean {' or '.join(near)}?" if near else ""


@functools.lru_cache(maxsize=_MAX_REMEMBERED)
def _search(folded: str, candidates: tuple[str, ...], most: int) -> tuple[str, ...]:
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    # A unit that is left out, such as `ttl` for `ttl_seconds`, makes names too different.
    similar = difflib.get_close_matches(folded, by_folded, n=most) or [
        folded_name for folded_name in by_folded if folded_name.startswith(f"{folded}_")
    ]
    return tuple(by_folded[folded_name] for folded_name in similar[:most])
