"""Signatures as Standard Webhooks has them (the reference verifies ours in test_sender.py), and
sealed secrets, which open with the key, for what they belong to.
"""

import base64

import pytest

from smart_filter_shared import signing
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.sealing import Seal

# The vector of the specification's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
KEY = base64.b64decode(SECRET.removeprefix("whsec_"))


def test_vector_of_the_specification_is_met() -> None:
    headers = signing.headers(
        [KEY], id_="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=BODY
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_keys_make_two_signatures() -> None:
    new = signing.new_key()

    both = signing.headers([KEY, new], id_="a", timestamp=1, body=BODY)
    alone = signing.headers([new], id_="a", timestamp=1, body=BODY)

    assert both["webhook-signature"].split(" ")[1] == alone["webhook-signature"]
    assert 24 <= len(new) <= 64
    assert signing.written(KEY) == SECRET


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
