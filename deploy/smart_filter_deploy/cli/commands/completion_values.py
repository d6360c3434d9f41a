"""Values that a shell completes: words, backgrounds, job ids and model names."""

import re
import threading
from collections.abc import Callable, Iterable

import click

_Completer = Callable[[click.Context, click.Parameter, str], list[str]]

# Longest wait for a server after Tab is pressed; a slower server offers no values.
_TIMEOUT_SECONDS = 0.3
_MAX_JOBS = 30
# The shell types a server's names into a command line: only characters that it does not interpret.
_SAFE_TO_TYPE = re.compile(r"[\w./:+][\w./:+-]*", re.ASCII)
_PRESET = "preset:"
_BACKGROUNDS = (
    *("auto", "keep", "transparent", "color:", "blur:", _PRESET, "keywords:", "url:https://"),
)


def from_words(*words: str) -> _Completer:
    """Return a completer of these words."""
    return lambda _ctx, _parameter, typed: _with_prefix(words, typed)


def complete_backgrounds(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Complete `--background`, including the names of designs."""
    del ctx, parameter
    if not typed.startswith(_PRESET):
        return _with_prefix(_BACKGROUNDS, typed)
    # Imported here because other commands start faster without it.
    from smart_filter_shared.presets import PRESETS  # noqa: PLC0415

    return _with_prefix((f"{_PRESET}{preset.name}" for preset in PRESETS), typed)


def complete_job_ids(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Complete the ids of the newest jobs on the configured or running server."""
    del ctx, parameter
    return _with_prefix(ask_in_time(_list_newest_jobs), typed)


def complete_recipes(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Complete the saved recipes of the configured or running server."""
    del ctx, parameter
    return _with_prefix(ask_in_time(_list_recipes), typed)


def complete_model_names(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Complete the models of the configured or running server."""
    del ctx, parameter
    return _with_prefix(ask_in_time(_list_model_names), typed)


def ask_in_time(
    ask: Callable[[], list[str]], *, patience_seconds: float = _TIMEOUT_SECONDS
) -> list[str]:
    """Return the words that `ask` gives in time and that are safe to type; [] on any error."""
    answered: list[str] = []

    def listen() -> None:
        try:
            answered.extend(ask())
        except Exception:  # noqa: BLE001 - a shell cannot show errors: offer nothing
            return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    listener.join(patience_seconds)
    return [word for word in answered if _SAFE_TO_TYPE.fullmatch(word)]


def _with_prefix(words: Iterable[str], typed: str) -> list[str]:
    return [word for word in words if word.startswith(typed)]


def _list_newest_jobs() -> list[str]:
    from smart_filter_deploy.cli.server.connection import open_client  # noqa: PLC0415 - brings httpx

    with open_client() as client:
        return [job.id for job in client.jobs(limit=_MAX_JOBS)]


def _list_recipes() -> list[str]:
    from smart_filter_deploy.cli.server.connection import open_client  # noqa: PLC0415 - brings httpx

    with open_client() as client:
        return [recipe.name for recipe in client.recipes()]


def _list_model_names() -> list[str]:
    from smart_filter_deploy.cli.server.connection import open_client  # noqa: PLC0415 - brings httpx

    with open_client() as client:
        return sorted({model.name for model in client.models(every=True)})
