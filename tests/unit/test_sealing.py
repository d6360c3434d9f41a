"""Sealed secrets: opened by who has the key, for what they belong to, and by nobody else."""

import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.sealing import Seal

OLD, NEW = "o" * 32, "n" * 32


def test_sealed_secret_opens_and_does_not_show() -> None:
    sealed, again = (Seal([OLD]).close(b"a secret", about="a webhook") for _ in range(2))

    assert b"secret" not in sealed
    assert sealed != again
    assert Seal([OLD]).open(sealed, about="a webhook") == b"a secret"


def test_former_key_opens_and_the_first_seals() -> None:
    sealed = Seal([OLD]).close(b"a secret", about="a")
    both = Seal([NEW, OLD])

    assert both.open(sealed, about="a") == b"a secret"
    assert Seal([NEW]).open(both.close(b"other", about="a"), about="a") == b"other"


@pytest.mark.parametrize("wrong", ["key", "owner", "bit", "length"])
def test_changed_secret_does_not_open(wrong: str) -> None:
    sealed = Seal([OLD]).close(b"a secret", about="a")
    if wrong == "bit":
        sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    if wrong == "length":
        sealed = sealed[:20]

    with pytest.raises(SetupFailed, match="SMART_FILTER_SECRETS_KEY"):
        Seal([NEW if wrong == "key" else OLD]).open(sealed, about="b" if wrong == "owner" else "a")
