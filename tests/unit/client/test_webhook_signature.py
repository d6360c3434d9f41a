import base64
import datetime as dt
import json
from collections.abc import Mapping

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from smart_filter_client import verify_webhook
from smart_filter_client.errors import NotGenuine, UnexpectedAnswer
from smart_filter_client.models import Event
from smart_filter_tests.clients import job_document

# Source: Standard Webhooks 1.0.0, its vector.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
VECTOR_TIME = dt.datetime.fromtimestamp(1614265330, dt.UTC)
VECTOR = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NOW = dt.datetime.now(dt.UTC)  # the reference verifier uses the real clock
BODY = json.dumps(
    {
        "type": "job.succeeded",
        "timestamp": "2031-05-06T07:08:09Z",
        "data": job_document(
            faces={"count": 99, "url": "…"},
            rating={"score": 0.7, "faces": 99, "open_eyes": 190, "url": "…"},
        ),
    }
).encode()


def signed(*, secret: str = SECRET, at: dt.datetime = NOW) -> dict[str, str]:
    return {
        "webhook-id": "e1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("e1", at, BODY.decode()),
    }


def genuine(secrets: str | list[str], headers: Mapping[str, str], body: bytes = BODY) -> Event:
    """Verify at the time at which these tests sign, however late they run."""
    return verify_webhook(secrets, headers, body, now=NOW)


def test_vector_of_the_specification_is_genuine() -> None:
    # Its signature is valid, but its body has no type of ours.
    headers = {
        "webhook-id": VECTOR_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": VECTOR,
    }

    with pytest.raises(UnexpectedAnswer, match="without 'type'"):
        verify_webhook(SECRET, headers, b'{"test": 2432232314}', now=VECTOR_TIME)


def test_webhook_signed_by_the_reference_is_genuine_and_parsed() -> None:
    event = verify_webhook(SECRET, signed(at=dt.datetime.now(dt.UTC)), BODY)

    assert (event.id, event.type) == ("e1", "job.succeeded")
    assert event.timestamp == dt.datetime(2031, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
    assert event.job is not None
    assert (event.job.id, event.job.faces, event.job.rating) == ("j1", None, None)
    assert event.data["faces"] == {"count": 99, "url": "…"}


def test_either_of_two_secrets_or_two_signatures_is_enough() -> None:
    both = {**signed()}
    both["webhook-signature"] = f"v1a,AAAA v1,!!! v1 {signed(secret=OTHER)['webhook-signature']} "
    both["webhook-signature"] += signed()["webhook-signature"]

    assert genuine(SECRET, both).id == "e1"
    assert genuine(OTHER, both).id == "e1"
    assert genuine([OTHER, SECRET], signed()).id == "e1"


WRONG: dict[str, tuple[dict[str, str], bytes]] = {
    "another body": (signed(), BODY + b" "),
    "another secret": (signed(secret=OTHER), BODY),
    "too early": (signed(at=NOW - dt.timedelta(hours=1)), BODY),
    "too late": (signed(at=NOW + dt.timedelta(hours=1)), BODY),
    "no headers": ({}, BODY),
    **{
        name: (signed() | header, BODY)
        for name, header in {
            "another id": {"webhook-id": "e2"},
            "another time": {"webhook-timestamp": str(int(NOW.timestamp()) + 1)},
            "no id": {"webhook-id": ""},
            "no time": {"webhook-timestamp": "soon"},
            "a huge time": {"webhook-timestamp": "9" * 30},
            "no signature": {"webhook-signature": ""},
            "another scheme": {
                "webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")
            },
            "a short signature": {"webhook-signature": "v1,AAAA"},
            "a signature beyond ASCII": {"webhook-signature": "v1,é"},
        }.items()
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_webhook_refused_by_the_reference_is_not_genuine(name: str) -> None:
    headers, body = WRONG[name]

    with pytest.raises((WebhookVerificationError, ValueError, OverflowError)):
        Webhook(SECRET).verify(body, headers)
    with pytest.raises(NotGenuine):
        genuine(SECRET, headers, body)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64!"])
def test_malformed_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        genuine(secret, signed())
