"""Signatures as Standard Webhooks has them; the reference verifies ours in test_sender.py."""

import base64

from smart_filter_shared import signing

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
    both = signing.headers([KEY, b"k" * 32], id_="a", timestamp=1, body=BODY)
    alone = signing.headers([b"k" * 32], id_="a", timestamp=1, body=BODY)

    assert both["webhook-signature"].split(" ")[1] == alone["webhook-signature"]


def test_key_is_written_as_its_owner_can_use_it() -> None:
    assert signing.written(KEY) == SECRET
    assert 24 <= len(signing.new_key()) <= 64
