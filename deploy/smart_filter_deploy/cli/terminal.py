"""What reaches a terminal: words of files and servers, without a way to command it."""

import click

_LATIN, _BASIC = 0xFF, 0xFFFF


def shown(words: str) -> str:
    r"""Return words as they may be printed: what is no printable character as \xNN or \uNNNN.

    That is escape sequences, new lines and bells, but also what turns the direction of writing,
    spaces that look like others, and halves of characters that no terminal can be sent.
    """
    return words if words.isprintable() else "".join(map(_shown_sign, words))


def tell(line: str, *, err: bool = False) -> None:
    """Print one line for people on standard output, or on standard error."""
    click.echo(shown(line), err=err)


def _shown_sign(sign: str) -> str:
    code = ord(sign)
    if sign.isprintable():
        return sign
    if code <= _LATIN:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _BASIC else f"\\U{code:08x}"
