"""Settings from files: `SMART_FILTER_X_FILE` names the file that holds `SMART_FILTER_X`.

A container receives its secrets as files, so that they are neither in its description nor in the
environment that its inspection shows.
"""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from smart_filter_shared.errors import SetupFailed

_PREFIX: Final = "SMART_FILTER_"
_SUFFIX: Final = "_FILE"
# Limit of a secret file; a longer one is probably a wrong path.
_MAX_BYTES: Final = 64 * 1024
# Certificates and keys are the only values of several lines.
_PEM: Final = "-----BEGIN "


def load_into(environ: MutableMapping[str, str]) -> None:
    """Replace each `…_FILE` variable by the content of its file, without the line end.

    An empty variable counts as not set, as for every setting.
    The program's entry point calls it once, so that this process and its children see the values.
    Raises SetupFailed with one line that names the variable, the fault and the remedy.
    """
    for name in [
        variable
        for variable in environ
        if variable.startswith(_PREFIX) and variable.endswith(_SUFFIX)
    ]:
        plain = name.removesuffix(_SUFFIX)
        place = environ.pop(name)
        if not place:
            continue
        if environ.get(plain):
            raise SetupFailed(f"{plain} and {name} are both set; unset one of them")
        environ[plain] = _read_secret(name, Path(place))


def _read_secret(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SetupFailed(
            f"{name}: {path} cannot be read ({error.strerror}); name a file that this user can read"
        ) from error
    if len(content) > _MAX_BYTES:
        raise SetupFailed(f"{name}: {path} is too long for a secret; name the file that holds it")
    try:
        # Windows editors may write a byte order mark.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SetupFailed(f"{name}: {path} is not UTF-8 text; write the value into it") from None
    value = text.rstrip("\r\n")
    lines = value.splitlines() if value.startswith(_PEM) else [value]
    if not value or not all(line.isprintable() for line in lines):
        raise SetupFailed(
            f"{name}: {path} does not hold one printable line; write the value into it"
        )
    return value
