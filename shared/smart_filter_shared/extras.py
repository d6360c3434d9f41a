"""How to install an extra of this distribution, which no registry has."""


def install_hint(extra: str) -> str:
    """Return the commands that install an extra, for a checkout and for a built wheel.

    The text has neither `: ` nor `; `, at which `smart-filter doctor` parts a fault from its fix.
    """
    return (
        f"install the extra `{extra}` with pip install '.[{extra}]' in a checkout, or"
        f" pip install 'WHEEL[{extra}]' with the path of the wheel"
    )
