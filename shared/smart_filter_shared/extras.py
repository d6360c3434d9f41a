"""How to install what is missing of this distribution."""


def install_hint(extra: str = "") -> str:
    """Return the command that installs an extra, or all that the distribution needs.

    The text has neither `: ` nor `; `, at which `smart-filter doctor` parts a fault from its fix.
    """
    return f"pip install 'smart-filter[{extra}]'" if extra else "pip install smart-filter"
