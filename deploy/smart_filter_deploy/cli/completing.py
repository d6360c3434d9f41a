"""What may stand where somebody types: words that a shell offers, told fast or not at all."""

import re
import threading
from collections.abc import Callable, Iterable

import click

_Completer = Callable[[click.Context, click.Parameter, str], list[str]]

# Whoever presses the key waits for it; a server that takes longer tells nothing.
_PATIENCE_SECONDS = 0.3
_MOST_JOBS = 30
# What a server calls something is typed for somebody: nothing that a shell would run.
_HARMLESS = re.compile(r"[\w./:+][\w./:+-]*", re.ASCII)
_PRESET = "preset:"
_BACKGROUNDS = (
    *("auto", "keep", "transparent", "color:", "blur:", _PRESET, "keywords:", "url:https://"),
)


def of(*words: str) -> _Completer:
    """Return what offers these words."""
    return lambda _ctx, _parameter, typed: _begun(words, typed)


def backgrounds(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Offer what `--background` takes, designs by their names."""
    del ctx, parameter
    if not typed.startswith(_PRESET):
        return _begun(_BACKGROUNDS, typed)
    # Needed here only; other commands start without it.
    from smart_filter_shared.presets import PRESETS  # noqa: PLC0415

    return _begun((f"{_PRESET}{preset.name}" for preset in PRESETS), typed)


def job_ids(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Offer the newest jobs of the server that is named or up."""
    del ctx, parameter
    return _begun(soon(_newest_jobs), typed)


def model_names(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Offer the models of the server that is named or up."""
    del ctx, parameter
    return _begun(soon(_models), typed)


def soon(ask: Callable[[], list[str]], *, patience_seconds: float = _PATIENCE_SECONDS) -> list[str]:
    """Return what is told in time and harmless to type; a shell shows no errors."""
    told: list[str] = []

    def listen() -> None:
        try:
            told.extend(ask())
        except Exception:  # noqa: BLE001 - whatever it is, there is nothing to offer
            return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    listener.join(patience_seconds)
    return [word for word in told if _HARMLESS.fullmatch(word)]


def _begun(words: Iterable[str], typed: str) -> list[str]:
    return [word for word in words if word.startswith(typed)]


def _newest_jobs() -> list[str]:
    from smart_filter_deploy.cli.connection import connected  # noqa: PLC0415 - brings httpx

    with connected() as client:
        return [job.id for job in client.jobs(limit=_MOST_JOBS)]


def _models() -> list[str]:
    from smart_filter_deploy.cli.connection import connected  # noqa: PLC0415 - brings httpx

    with connected() as client:
        return sorted({model.name for model in client.models(every=True)})
