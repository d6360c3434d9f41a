"""Keep the working folder out of the places where this process and its children find code.

Otherwise a library in a folder of photos that others share would run as the operator.
"""

import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

# Lists of folders and the separators of their elements; an empty element is the working folder.
_FOLDERS: Final = {
    "PATH": ":",
    "LD_LIBRARY_PATH": "[:;]",  # Source: ld.so(8)
    "PYTHONPATH": ":",
    "PYTHONHOME": ":",
}
# Lists of libraries. A name without a slash is searched for in the library path.
_LIBRARIES: Final = {"LD_PRELOAD": "[: ]", "LD_AUDIT": ":"}
# Files and folders that can be named relative to the working folder.
_PLACES: Final = ("SMART_FILTER_DATA", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR")


def leave_working_folder(environ: MutableMapping[str, str]) -> None:
    """Make an environment independent of the working folder.

    Search paths lose their empty and relative elements, and Python does not add the working folder
    to its own path. The names of files become absolute, as children start in another folder.
    """
    for name, separators in {**_FOLDERS, **_LIBRARIES}.items():
        kept = [
            element
            for element in re.split(separators, environ.pop(name, ""))
            if element.startswith("/") or (name in _LIBRARIES and element and "/" not in element)
        ]
        if kept:
            environ[name] = ":".join(kept)
    for name in _PLACES:
        place = environ.get(name, "")
        if place and not place.startswith("~"):
            environ[name] = str(Path(place).absolute())
    environ["PYTHONSAFEPATH"] = "1"
