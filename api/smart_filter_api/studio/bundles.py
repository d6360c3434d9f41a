"""Join the studio's scripts and styles into a few files, so that a cold page loads in few requests.

A browser has six connections to a server of HTTP/1.1: a hundred modules would take many round trips
before the first picture. Sources stay modules; no tool builds them. In a bundle each module is a
function's scope that returns its exports. A module that is imported on its own, as by a screen that
is loaded later, gets the exports of its bundle, so that there is one instance of each.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Final

# URL path of scripts, styles and fonts, followed by a version; the page itself is at `/`.
FOLDER: Final = "/studio/"
# What the studio needs at once, and what its later screens need.
FIRST: Final = "main.js"
LATER: Final = "later.js"
_IMPORT: Final = re.compile(
    r"^import (?:(?:(?P<default>\w+)|\* as (?P<all>\w+)|\{(?P<names>[^}]*)\}) from )?"
    r'"(?P<module>[^"]+)";\n',
    re.MULTILINE,
)
_IMPORT_LATER: Final = re.compile(r'\bimport\("([^"]+)"\)')
_EXPORT: Final = re.compile(r"^export ((?:async )?function\*?|const|class) (\w+)", re.MULTILINE)
_STYLES: Final = re.compile(r'(?:<link rel="stylesheet" href="/studio/([^"]+)">\n)')


def join_scripts(
    entry: str, sources: Mapping[str, bytes], bare: Mapping[str, str]
) -> dict[str, bytes]:
    """Return what replaces scripts: the entry's bundle, and LATER with what it imports later.

    sources: all scripts by path.  bare: paths of libraries by their names.
    """
    scripts = {path: sources[path].decode() for path in sources if path.endswith(".js")}
    first = _closure([entry], scripts)
    joined = {entry: _bundle(first, scripts, bare, elsewhere=()).encode()}
    later = _closure(_list_later(first, scripts), scripts, without=first)
    if not later:
        return joined
    joined[LATER] = _bundle(later, scripts, bare, elsewhere=first).encode()
    for bundle, paths in ((entry, first), (LATER, later)):
        for path in paths:
            joined.setdefault(path, _single(path, bundle, scripts[path]).encode())
    return joined


def join_styles(page: str, name: str, sources: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Return a page that loads one style sheet of this name in place of its own, and that sheet."""
    first, *_ = _STYLES.finditer(page)
    link = f'<link rel="stylesheet" href="{FOLDER}{name}">\n'
    content = b"".join(sources[path] for path in _STYLES.findall(page))
    return page[: first.start()] + link + _STYLES.sub("", page[first.start() :]), content


def _closure(
    entries: Iterable[str], scripts: Mapping[str, str], *, without: Iterable[str] = ()
) -> list[str]:
    """Return modules and all that they import, each after what it imports."""
    seen_paths, ordered = set(without), list[str]()

    def add(path: str) -> None:
        if path in seen_paths:
            return
        seen_paths.add(path)
        for match in _IMPORT.finditer(scripts[path]):
            if match["module"].startswith("."):
                add(_resolve(match["module"], path))
        ordered.append(path)

    for entry in entries:
        add(entry)
    return ordered


def _list_later(paths: Iterable[str], scripts: Mapping[str, str]) -> list[str]:
    """Return the modules that these import later, and those import in turn."""
    later_paths: list[str] = []
    left = list(paths)
    read_paths = set(left)
    while left:
        path = left.pop(0)
        more = [_resolve(name, path) for name in _IMPORT_LATER.findall(scripts[path])]
        later_paths += more
        unread = _closure(more, scripts, without=read_paths)
        read_paths.update(unread)
        left += unread
    return list(dict.fromkeys(later_paths))


def _bundle(
    paths: list[str],
    scripts: Mapping[str, str],
    bare: Mapping[str, str],
    *,
    elsewhere: Iterable[str],
) -> str:
    """Return a module with these modules and, by path, their exports; elsewhere: those of FIRST."""
    numbers = {path: number for number, path in enumerate(paths)}
    libraries = {name: f"library{number}" for number, name in enumerate(bare)}
    head = [f'import * as {variable} from "{name}";' for name, variable in libraries.items()]
    head += [f'import {{ modules as first }} from "{FOLDER}{FIRST}";'] * bool(elsewhere)
    places = {path: f'first["{path}"]' for path in elsewhere}
    places |= {path: f"module{number}" for path, number in numbers.items()}

    def rewrite(path: str) -> str:
        def take(match: re.Match[str]) -> str:
            name = match["module"]
            place = places[_resolve(name, path)] if name.startswith(".") else libraries[name]
            if match["all"]:
                return f"const {match['all']} = {place};\n"
            names = f" default: {match['default']} " if match["default"] else match["names"]
            return f"const {{{names.replace(' as ', ': ')}}} = {place};\n" if names else ""

        def take_later(match: re.Match[str]) -> str:
            return f'import("{FOLDER}{_resolve(match[1], path)}")'

        source = scripts[path]
        body = _EXPORT.sub(r"\1 \2", _IMPORT_LATER.sub(take_later, _IMPORT.sub(take, source)))
        exports = ", ".join(_exports(source))
        return f"const module{numbers[path]} = (() => {{\n{body}return {{ {exports} }};\n}})();"

    listed = ",\n".join(f'  "{path}": module{number}' for path, number in numbers.items())
    return "\n".join([*head, *map(rewrite, paths), f"export const modules = {{\n{listed}\n}};\n"])


def _single(path: str, bundle: str, source: str) -> str:
    """Return a module that has the exports of a module in a bundle."""
    names = ", ".join(_exports(source))
    return (
        f'import {{ modules }} from "{FOLDER}{bundle}";\n'
        f'export const {{ {names} }} = modules["{path}"];\n'
    )


def _exports(source: str) -> list[str]:
    return [match[2] for match in _EXPORT.finditer(source)]


def _resolve(name: str, importer: str) -> str:
    """Return the path of a module that another module imports."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), name))
