"""How a command's help shows what people type."""


def examples(*lines: str) -> str:
    """Return the end of a help text: command lines to be copied, each kept as it is."""
    # A lone \b keeps click from filling the lines up into a paragraph.
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
