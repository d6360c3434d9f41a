"""Signatures of the Standard Webhooks specification, and sealed secrets.

tests/integration/test_webhooks.py verifies signatures with the reference. A sealed secret opens
only with its key and for its owner.
"""

import base64

import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.security.secretbox import SecretBox
from smart_filter_shared.webhooks import endpoints

# The vector of the specification's own libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
KEY = base64.b64decode(SECRET.removeprefix("whsec_"))


def test_signature_equals_the_vector_of_the_specification() -> None:
    headers = endpoints.sign_headers(
        [KEY], id_="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=BODY
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_keys_make_two_signatures() -> None:
    new = endpoints.new_key()

    both = endpoints.sign_headers([KEY, new], id_="a", timestamp=1, body=BODY)
    alone = endpoints.sign_headers([new], id_="a", timestamp=1, body=BODY)

    assert both["webhook-signature"].split(" ")[1] == alone["webhook-signature"]
    assert 24 <= len(new) <= 64
    assert endpoints.format_key(KEY) == SECRET


OLD, NEW = "o" * 32, "n" * 32


def test_sealed_secret_opens_and_is_not_readable() -> None:
    sealed, again = (SecretBox([OLD]).close(b"a secret", about="a webhook") for _ in range(2))

    assert b"secret" not in sealed
    assert sealed != again
    assert SecretBox([OLD]).open(sealed, about="a webhook") == b"a secret"


def test_former_key_opens_and_the_first_key_seals() -> None:
    sealed = SecretBox([OLD]).close(b"a secret", about="a")
    both = SecretBox([NEW, OLD])

    assert both.open(sealed, about="a") == b"a secret"
    assert SecretBox([NEW]).open(both.close(b"other", about="a"), about="a") == b"other"


def test_secret_in_the_database_of_an_earlier_version_opens() -> None:
    sealed = bytes.fromhex(
        "01db5d309b2089dfd16939b5f5a079405dcd60711a161871332008b38a431c79ceb3e776fc"
    )

    assert SecretBox([OLD]).open(sealed, about="a webhook") == b"a secret"


@pytest.mark.parametrize("wrong", ["key", "owner", "bit", "length", "nonce"])
def test_modified_secret_does_not_open(wrong: str) -> None:
    sealed = SecretBox([OLD]).close(b"a secret", about="a")
    if wrong == "bit":
        sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    if wrong == "length":
        sealed = sealed[:20]
    if wrong == "nonce":
        sealed = sealed[:5]

    with pytest.raises(SetupFailed, match="SMART_FILTER_SECRETS_KEY"):
        SecretBox([NEW if wrong == "key" else OLD]).open(
            sealed, about="b" if wrong == "owner" else "a"
        )
