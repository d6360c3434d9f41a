"""An OpenID Connect provider, which can be told to misbehave.

It remembers a person who signed in `remembered_seconds` ago, and signs that person in without
asking.
"""

import base64
import contextlib
import functools
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from smart_filter_tests import http_server
from smart_filter_tests.http_server import ReceivedRequest, Reply

CLIENT_ID: Final = "photos"
CLIENT_SECRET: Final = "a secret: of the client"
SUBJECT: Final = "person-1"

# Deeper than Python's parser goes.
_NESTED: Final = b"[" * 100_000 + b"]" * 100_000


@dataclass(slots=True)
class Provider:
    """A provider; its tokens have these groups and claims.  A claim that is null is left out."""

    url: str = ""
    groups: list[str] = field(default_factory=lambda: ["editors"])
    fault: str | None = None
    claims: dict[str, object] = field(default_factory=dict)
    remembered_seconds: int = 0
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def set(self, **control: Any) -> None:  # noqa: ANN401 - of any field
        for name, value in control.items():
            setattr(self, name, value)

    def answer(self, request: ReceivedRequest) -> Reply:
        if request.method == "POST":
            return self._token(request)
        parts = urlsplit(request.path)
        asked = dict(parse_qsl(parts.query))
        match parts.path:
            case "/.well-known/openid-configuration":
                return _json(
                    {
                        "issuer": self.url,
                        "authorization_endpoint": f"{self.url}/authorize",
                        "token_endpoint": f"{self.url}/token",
                        "jwks_uri": f"{self.url}/keys",
                        "end_session_endpoint": f"{self.url}/end",
                        "authorization_response_iss_parameter_supported": True,
                    }
                )
            case "/keys":
                name = "rotated" if self.fault == "rotated" else "first"
                public = json.loads(RSAAlgorithm.to_jwk(_key(name).public_key()))
                return _json({"keys": [{**public, "kid": name, "use": "sig"}]})
            case "/authorize":
                assert asked["client_id"] == CLIENT_ID
                assert asked["code_challenge_method"] == "S256"
                code = secrets.token_urlsafe()
                self.codes[code] = asked
                sent = {"code": code, "state": asked["state"], "iss": self.url}
                if self.fault == "mix_up":
                    sent["iss"] = "https://other.example.com"
                if self.fault == "denied":
                    sent = {"error": "access_denied", "state": asked["state"], "iss": self.url}
                return Reply(302, b"", {"Location": f"{asked['redirect_uri']}?{urlencode(sent)}"})
            case "/end":
                return Reply(302, b"", {"Location": asked["post_logout_redirect_uri"]})
        return Reply(404)

    def _token(self, request: ReceivedRequest) -> Reply:
        form = dict(parse_qsl(request.body.decode()))
        asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        secret = CLIENT_SECRET.replace(":", "%3A").replace(" ", "%20")
        basic = base64.b64encode(f"{CLIENT_ID}:{secret}".encode()).decode()
        if (
            asked is None
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != form["redirect_uri"]
            or request.headers.get("authorization") != f"Basic {basic}"
        ):
            return _json({"error": "invalid_grant"}, 400)
        if self.fault == "nested_answer":
            return Reply(200, _NESTED, {"Content-Type": "application/json"})
        return _json({"token_type": "Bearer", "id_token": self._id_token(asked)})

    def _id_token(self, asked: dict[str, str]) -> str:
        fault, now = self.fault, int(time.time())
        asks_again = asked.get("prompt") == "login" and asked.get("max_age") == "0"
        signs_in_again = asks_again and fault != "remembers"
        claims = {
            "iss": self.url,
            "sub": SUBJECT,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "auth_time": now if signs_in_again else now - self.remembered_seconds,
            "nonce": asked["nonce"],
            "groups": self.groups,
        }
        claims |= {
            "nonce": {"nonce": "another"},
            "no_nonce": {"nonce": None},
            "aud": {"aud": "another"},
            "azp": {"aud": [CLIENT_ID, "another"], "azp": "another"},
            "no_azp": {"aud": [CLIENT_ID, "another"]},
            "iss": {"iss": "https://other.example.com"},
            "expired": {"iat": now - 900, "exp": now - 600},
            "future": {"iat": now + 600, "exp": now + 900},
        }.get(fault or "", {})
        claims |= self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        if fault == "none":
            return jwt.encode(claims, None, algorithm="none")
        if fault == "hmac":
            return jwt.encode(claims, CLIENT_SECRET * 2, algorithm="HS256")
        name = "rotated" if fault == "rotated" else "first"
        key = _key("other" if fault == "other_key" else name)
        if fault == "nested":
            return jwt.PyJWS().encode(_NESTED, key, algorithm="RS256", headers={"kid": name})
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": name})


@contextlib.contextmanager
def a_provider(port: int = 0) -> Iterator[Provider]:
    provider = Provider()
    with http_server.serve(provider.answer, port=port) as provider.url:
        yield provider


@functools.cache
def _key(name: str) -> rsa.RSAPrivateKey:
    del name  # each has a key
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _json(document: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(document).encode(), {"Content-Type": "application/json"})
