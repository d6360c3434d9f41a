"""An OpenID Connect provider as a process of its own, which can be told to misbehave.

`python -m smart_filter_tests.oidc_provider [PORT]` prints its port. It remembers a person who
signed in `remembered_seconds` ago, and signs that person in without asking. POST /control sets
that, `groups`, `fault` and `claims` for the tokens that follow; a claim that is null is left out.
"""

import base64
import hashlib
import json
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT_ID: Final = "photos"
CLIENT_SECRET: Final = "a secret: of the client"
SUBJECT: Final = "person-1"

_KEYS: Final = {
    name: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for name in ("first", "rotated", "other")
}

# Deeper than Python's parser goes.
_NESTED: Final = b"[" * 100_000 + b"]" * 100_000


class _Handler(BaseHTTPRequestHandler):
    control: dict[str, Any] = {  # noqa: RUF012 - of the process
        "groups": ["editors"],
        "fault": None,
        "claims": {},
        "remembered_seconds": 0,
    }
    codes: dict[str, dict[str, str]] = {}  # noqa: RUF012 - likewise

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = dict(parse_qsl(parts.query))
        issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        match parts.path:
            case "/.well-known/openid-configuration":
                self._json(
                    {
                        "issuer": issuer,
                        "authorization_endpoint": f"{issuer}/authorize",
                        "token_endpoint": f"{issuer}/token",
                        "jwks_uri": f"{issuer}/keys",
                        "end_session_endpoint": f"{issuer}/end",
                        "authorization_response_iss_parameter_supported": True,
                    }
                )
            case "/keys":
                name = "rotated" if self.control["fault"] == "rotated" else "first"
                public = json.loads(RSAAlgorithm.to_jwk(_KEYS[name].public_key()))
                self._json({"keys": [{**public, "kid": name, "use": "sig"}]})
            case "/authorize":
                assert asked["client_id"] == CLIENT_ID
                assert asked["code_challenge_method"] == "S256"
                code = secrets.token_urlsafe()
                self.codes[code] = asked
                sent = {"code": code, "state": asked["state"], "iss": issuer}
                if self.control["fault"] == "mix_up":
                    sent["iss"] = "https://other.example.com"
                if self.control["fault"] == "denied":
                    sent = {"error": "access_denied", "state": asked["state"], "iss": issuer}
                self._redirect(f"{asked['redirect_uri']}?{urlencode(sent)}")
            case "/end":
                self._redirect(asked["post_logout_redirect_uri"])
            case _:
                self.send_error(404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/control":
            self.control.update(json.loads(body))
            self._json({})
            return
        form = dict(parse_qsl(body.decode()))
        asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        secret = CLIENT_SECRET.replace(":", "%3A").replace(" ", "%20")
        basic = base64.b64encode(f"{CLIENT_ID}:{secret}".encode()).decode()
        if (
            asked is None
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != form["redirect_uri"]
            or self.headers["Authorization"] != f"Basic {basic}"
        ):
            self._json({"error": "invalid_grant"}, 400)
            return
        if self.control["fault"] == "nested_answer":
            self._send(_NESTED)
            return
        self._json({"token_type": "Bearer", "id_token": self._id_token(asked)})

    def _id_token(self, asked: dict[str, str]) -> str:
        fault, now = self.control["fault"], int(time.time())
        asks_again = asked.get("prompt") == "login" and asked.get("max_age") == "0"
        signs_in_again = asks_again and fault != "remembers"
        claims = {
            "iss": f"http://127.0.0.1:{self.server.server_address[1]}",
            "sub": SUBJECT,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "auth_time": now if signs_in_again else now - self.control["remembered_seconds"],
            "nonce": asked["nonce"],
            "groups": self.control["groups"],
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
        }.get(fault, {})
        claims |= self.control["claims"]
        claims = {name: value for name, value in claims.items() if value is not None}
        if fault == "none":
            return jwt.encode(claims, None, algorithm="none")
        if fault == "hmac":
            return jwt.encode(claims, CLIENT_SECRET * 2, algorithm="HS256")
        name = "rotated" if fault == "rotated" else "first"
        key = _KEYS["other" if fault == "other_key" else name]
        if fault == "nested":
            return jwt.PyJWS().encode(_NESTED, key, algorithm="RS256", headers={"kid": name})
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": name})

    def _json(self, document: object, status: int = 200) -> None:
        self._send(json.dumps(document).encode(), status)

    def _send(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _redirect(self, url: str) -> None:
        self.send_response(302)
        self.send_header("Location", url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(
        ("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), _Handler
    )
    print(server.server_address[1], flush=True)  # noqa: T201 - read by the test
    server.serve_forever()
