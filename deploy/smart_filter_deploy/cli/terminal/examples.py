"""Formats the examples at the end of a command's help."""


def examples(*lines: str) -> str:
    """Return the help's examples section: one command line per line."""
    # A line with \b keeps click from rewrapping the paragraph.
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
