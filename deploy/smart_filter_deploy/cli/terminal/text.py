"""Text that commands print: escaped lines, JSON, times, examples of a help text, defaults."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping

import click

_LATIN, _BASIC = 0xFF, 0xFFFF


def examples(*lines: str) -> str:
    """Return the help's examples section: one command line per line."""
    # A line with \b keeps click from rewrapping the paragraph.
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def print_json(document: object) -> None:
    """Print a JSON document in one line on standard output; times and ids become texts."""
    click.echo(json.dumps(document, default=_as_text))


def print_line(line: str, *, err: bool = False) -> None:
    """Print one line for people on standard output, or on standard error."""
    click.echo(escape_unprintable(line), err=err)


def escape_unprintable(words: str) -> str:
    r"""Return text with every unprintable character as \xNN or \uNNNN.

    These are escape sequences, new lines and bells, but also direction marks, unusual spaces, and
    surrogates that no terminal can display.
    """
    return words if words.isprintable() else "".join(map(_escape_character, words))


def format_utc(moment: dt.datetime | None) -> str | None:
    """Return a moment in RFC 3339 form, such as 2026-11-20T09:30:00Z; None for None."""
    if moment is None:
        return None
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def describe_defaults(models: Iterable[Mapping[str, object]]) -> str:
    """Return one line for people about what is on by default and can be turned off; "" for nothing.

    models: the API's documents of its models; the default ones are described.
    """
    defaults = [model for model in models if model["default"]]
    research = [model for model in defaults if model.get("research")]
    names = ", ".join(sorted(str(model["name"]) for model in research))
    # A license of several files, such as "Apache-2.0 AND MIT".
    licenses = {part for model in research for part in str(model["license"]).split(" AND ")}
    parts = []
    if research:
        parts.append(
            f"research weights are in use ({names}): under {' and '.join(sorted(licenses))}, but"
            " trained on photos for research only or without stated terms; for commercial use set"
            " SMART_FILTER_RESEARCH_WEIGHTS=off"
        )
    if any(model.get("emotions") is True for model in defaults):
        parts.append("emotions are read in faces: SMART_FILTER_EMOTIONS=off turns that off")
    return "; ".join(parts)


def _as_text(value: object) -> str | None:
    return format_utc(value) if isinstance(value, dt.datetime) else str(value)


def _escape_character(sign: str) -> str:
    code = ord(sign)
    if sign.isprintable():
        return sign
    if code <= _LATIN:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _BASIC else f"\\U{code:08x}"
