"""Write changes of lines as a unified diff that `git apply` and `patch -p1` accept."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

# Unchanged lines around a change, as of `diff -u`.
_CONTEXT_LINES: Final = 3
_ESCAPES: Final = {"\t": "\\t", "\n": "\\n", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
# Names that git quotes: with control characters, quotes, backslashes, or beyond ASCII.
_QUOTED: Final = re.compile(r'[\x00-\x1f"\\\x7f]|[^\x00-\x7f]')


def split_lines(text: str) -> list[str]:
    """Return the lines of a text with their ends; only a line feed ends a line, as in diffs."""
    lines = text.split("\n")
    last = lines.pop()
    return [f"{line}\n" for line in lines] + ([last] if last else [])


def format_diff(name: str, lines: Sequence[str], changes: Mapping[int, str]) -> str:
    """Return the unified diff of a file.

    name: its path, with `/`.  lines: as `split_lines` returns them.
    changes: the new text of a line, by its index; it may have several lines.
    """
    parts = [f"--- {_format_name('a/' + name)}\n", f"+++ {_format_name('b/' + name)}\n"]
    shift = 0
    for first, last in _group(sorted(changes), len(lines)):
        body: list[str] = []
        added = 0
        for index in range(first, last):
            if index not in changes:
                body.append(_format_line(" ", lines[index]))
                continue
            new = split_lines(changes[index])
            added += len(new) - 1
            if new[0] == lines[index]:
                # Lines are added after it.
                body.append(_format_line(" ", new.pop(0)))
            else:
                body.append(_format_line("-", lines[index]))
            body += (_format_line("+", line) for line in new)
        count = last - first
        parts.append(
            f"@@ -{first + 1},{count} +{first + 1 + shift},{count + added} @@\n" + "".join(body)
        )
        shift += added
    return "".join(parts)


def _group(changed: Sequence[int], count: int) -> Iterator[tuple[int, int]]:
    """Yield the first line of each hunk and the line after its last."""
    at = 0
    while at < len(changed):
        end = at
        # Hunks that would touch are one.
        while end + 1 < len(changed) and changed[end + 1] - changed[end] <= 2 * _CONTEXT_LINES:
            end += 1
        yield (
            max(0, changed[at] - _CONTEXT_LINES),
            min(count, changed[end] + _CONTEXT_LINES + 1),
        )
        at = end + 1


def _format_line(sign: str, line: str) -> str:
    return (
        f"{sign}{line}" if line.endswith("\n") else f"{sign}{line}\n\\ No newline at end of file\n"
    )


def _format_name(name: str) -> str:
    """Return a name in a diff's header, quoted as git does."""
    if _QUOTED.search(name) is None:
        # A tab ends a name with spaces.
        return f"{name}\t" if " " in name else name
    quoted = (
        _ESCAPES.get(sign) or (sign if " " <= sign <= "~" else _escape_bytes(sign)) for sign in name
    )
    return f'"{"".join(quoted)}"'


def _escape_bytes(sign: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in sign.encode("utf-8", "surrogateescape"))
