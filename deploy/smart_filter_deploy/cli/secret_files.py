"""Settings from files: `SMART_FILTER_X_FILE` names the file that holds `SMART_FILTER_X`.

A container is given its secrets as files, so that they stand neither in its description nor in the
environment that everybody who may look at it sees.
"""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from smart_filter_shared.errors import SetupFailed

_PREFIX: Final = "SMART_FILTER_"
_SUFFIX: Final = "_FILE"
# Secrets are lines; what is longer is a mistaken path.
_MOST_BYTES: Final = 64 * 1024


def read_into(environ: MutableMapping[str, str]) -> None:
    """Put what such variables' files hold in their place, without the end of their line.

    What is set to nothing counts as not set, as with every setting.
    Once, by the program's entry, so that all that reads the environment finds it, and children do.
    Raises SetupFailed in one line that names the variable, what is wrong, and the remedy.
    """
    for name in [one for one in environ if one.startswith(_PREFIX) and one.endswith(_SUFFIX)]:
        plain = name.removesuffix(_SUFFIX)
        place = environ.pop(name)
        if not place:
            continue
        if environ.get(plain):
            raise SetupFailed(f"{plain} and {name} are both set; unset one of them")
        environ[plain] = _content(name, Path(place))


def _content(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SetupFailed(
            f"{name}: {path} cannot be read ({error.strerror}); name a file that this user can read"
        ) from error
    if len(content) > _MOST_BYTES:
        raise SetupFailed(f"{name}: {path} is longer than a secret is; name the file that holds it")
    try:
        # Editors of Windows put a mark before the text.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SetupFailed(f"{name}: {path} is no text (UTF-8); write the value into it") from None
    value = text.rstrip("\r\n")
    if not value or not value.isprintable():
        raise SetupFailed(
            f"{name}: {path} does not hold one line that can be seen; write the value into it"
        )
    return value
