"""Escapes text from files and servers, so that it cannot control the terminal."""

import click

_LATIN, _BASIC = 0xFF, 0xFFFF


def escape_unprintable(words: str) -> str:
    r"""Return text with every unprintable character as \xNN or \uNNNN.

    These are escape sequences, new lines and bells, but also direction marks, unusual spaces, and
    surrogates that no terminal can display.
    """
    return words if words.isprintable() else "".join(map(_escape_character, words))


def print_line(line: str, *, err: bool = False) -> None:
    """Print one line for people on standard output, or on standard error."""
    click.echo(escape_unprintable(line), err=err)


def _escape_character(sign: str) -> str:
    code = ord(sign)
    if sign.isprintable():
        return sign
    if code <= _LATIN:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _BASIC else f"\\U{code:08x}"
