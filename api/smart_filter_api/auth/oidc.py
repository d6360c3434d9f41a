"""Sign a person in at an OpenID Connect provider: authorization code flow with PKCE.

The provider's addresses come from discovery. A sealed cookie binds `state`, `nonce` and the PKCE
verifier to the browser. An ID token is accepted only with a public-key signature of the provider.
PyJWT reads the tokens. A library for the whole flow, such as Authlib, saves two requests, but keeps
attempts in a session of its own middleware and reads answers of any size.
Source: OpenID Connect Core 1.0, 3.1; OpenID Connect Discovery 1.0; RFC 7636 (PKCE); RFC 9207
(`iss` in the answer); RFC 9700 (security of OAuth 2.0).
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

import anyio
import jwt

from smart_filter_api.ttl_cache import TtlCache
from smart_filter_shared.config.settings import OidcSettings, Settings
from smart_filter_shared.config.values import GroupGrant, is_provider_url
from smart_filter_shared.errors import SetupFailed, Unauthorized
from smart_filter_shared.ids import Tenant
from smart_filter_shared.security.secretbox import SecretBox

CALLBACK_PATH: Final = "/sign-in/oidc/callback"
# A person has this long to sign in at the provider.
ATTEMPT_SECONDS: Final = 600
# Bounds of one request to the provider; discovery documents and key sets have a few kB.
_REQUEST_SECONDS: Final = 10.0
_MAX_ANSWER_BYTES: Final = 1_000_000
# A changed address or a withdrawn key of the provider takes effect at most this much later.
_CACHE_SECONDS: Final = 3600.0
# After discovery failed, sign-ins fail at once for this long.
_AWAY_SECONDS: Final = 5.0
# Allowed difference between the clocks of the provider and this machine.
_LEEWAY_SECONDS: Final = 60
# A later time than the year 9999 is an error of the provider, and no `datetime` holds it.
_LAST_SECOND: Final = 253_402_300_799
# Only public-key signatures: with HMAC, a client secret could sign tokens.
_ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
_SEALED_FOR: Final = "an OIDC sign-in"
# OpenID Connect Core 1.0, 2: `sub` has at most 255 ASCII characters.
_MAX_SUBJECT_CHARACTERS: Final = 255

Json = dict[str, Any]


class Reason(StrEnum):
    """Why a sign-in failed, for the sign-in page."""

    PROVIDER_AWAY = "provider_away"
    STALE = "stale"
    DENIED = "denied"
    INVALID = "invalid"
    NO_GROUP = "no_group"


class SignInFailed(Unauthorized):
    """A person was not signed in; reason: what the sign-in page shows."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in under way: the provider's address for the browser, and the cookie it keeps."""

    url: str
    cookie: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Person:
    """A person whom the provider signed in, and what the settings allow them.

    signed_in_at: Unix time at which the person proved who they are; None if the provider does not
        say it.
    return_path: the page to go back to.
    """

    issuer: str
    subject: str
    tenant: Tenant
    scopes: tuple[str, ...]
    signed_in_at: float | None
    return_path: str


@dataclass(frozen=True, slots=True)
class _Addresses:
    authorization: str
    token: str
    jwks: str
    end_session: str | None
    names_issuer: bool


class OidcProvider:
    """The provider that the settings name; for one event loop.

    public_url, operators_url: where browsers reach this service's public port and its operators'
        port; None: no sign-in there.
    clock: monotonic seconds.
    """

    def __init__(
        self,
        settings: OidcSettings,
        seal: SecretBox,
        *,
        public_url: str | None,
        operators_url: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._issuer = str(settings.issuer)
        self._client_id = str(settings.client_id)
        self._seal = seal
        self.public_url = public_url
        self.operators_url = operators_url
        self._clock = clock
        self._addresses: TtlCache[_Addresses] = TtlCache(_CACHE_SECONDS, clock=clock)
        self._away_until = 0.0
        self._keys: tuple[float, list[Json]] | None = None

    @property
    def label(self) -> str:
        """The provider's name on the sign-in page."""
        return self._settings.label

    async def begin(self, base_url: str, return_path: str, *, again: bool = False) -> Attempt:
        """Return the address at which a browser signs in.  Raises SignInFailed.

        base_url: where the browser reaches this service, and the provider leads it back.
        again: whether the person must prove who they are, even if the provider remembers them.
        """
        addresses = await self._discover()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        redirect_uri = base_url + CALLBACK_PATH
        kept = {
            "state": state,
            "nonce": nonce,
            "verifier": verifier,
            "redirect_uri": redirect_uri,
            "return_path": return_path,
            "began": time.time(),
            "again": again,
        }
        sealed = self._seal.close(json.dumps(kept).encode(), about=_SEALED_FOR)
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *self._settings.scopes.split()))),
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        if again:
            # Core, 3.1.2.1: `max_age` makes `auth_time` required; some providers know only one.
            asked |= {"max_age": "0", "prompt": "login"}
        return Attempt(
            _with_query(addresses.authorization, asked),
            base64.urlsafe_b64encode(sealed).decode(),
        )

    def match(self, answer: Mapping[str, str], cookie: str | None) -> Json:
        """Return what the browser's attempt keeps, if the provider's answer belongs to it.

        answer: the query of the callback.  cookie: of the attempt.  Raises SignInFailed.
        """
        kept = self._open(cookie)
        if not hmac.compare_digest(answer.get("state", "").encode(), kept["state"].encode()):
            raise SignInFailed(Reason.STALE, "state does not match the browser's attempt")
        return kept

    async def finish(self, answer: Mapping[str, str], kept: Json) -> Person:
        """Return the person of the provider's answer, a query of the callback.

        kept: from `match`.  Raises SignInFailed.
        """
        addresses = await self._discover()
        issuer = answer.get("iss")
        if issuer != self._issuer and (issuer is not None or addresses.names_issuer):
            raise SignInFailed(Reason.INVALID, "the answer names another issuer")
        if "code" not in answer:
            raise SignInFailed(Reason.DENIED, "the provider sent no code")
        token = await self._redeem(addresses, answer["code"], kept)
        claims = await self._verify(addresses, token, kept)
        grant = choose_grant(self._settings.groups, claims.get(self._settings.groups_claim))
        if grant is None:
            raise SignInFailed(Reason.NO_GROUP, "no group of the person is in the settings")
        return Person(
            self._issuer,
            claims["sub"],
            Tenant(grant.tenant),
            grant.scopes,
            claims.get("auth_time"),
            kept["return_path"],
        )

    async def sign_out_url(self, base_url: str) -> str | None:
        """Return the address that ends the provider's own session; None without such an address.

        base_url: as for `begin`.
        Raises SignInFailed when the provider does not answer.
        Source: OpenID Connect RP-Initiated Logout 1.0, 2.
        """
        addresses = await self._discover()
        if addresses.end_session is None:
            return None
        asked = {
            "client_id": self._client_id,
            "post_logout_redirect_uri": f"{base_url}/",
        }
        return _with_query(addresses.end_session, asked)

    def _open(self, cookie: str | None) -> Json:
        try:
            sealed = base64.urlsafe_b64decode(cookie or "")
            kept = json.loads(self._seal.open(sealed, about=_SEALED_FOR))
        except (ValueError, SetupFailed) as error:
            raise SignInFailed(Reason.STALE, "the browser has no attempt") from error
        if kept["began"] + ATTEMPT_SECONDS < time.time():
            raise SignInFailed(Reason.STALE, "the attempt has expired")
        return cast(Json, kept)

    async def _discover(self) -> _Addresses:
        """Return the provider's addresses; simultaneous sign-ins ask once.  Raises SignInFailed."""
        return await self._addresses.get(self._fetch_addresses)

    async def _fetch_addresses(self) -> _Addresses:
        if self._away_until > self._clock():
            raise SignInFailed(Reason.PROVIDER_AWAY, "no valid answer a moment ago")
        try:
            return await self._read_addresses()
        except SignInFailed:
            # Those who waited for this answer do not ask again.
            self._away_until = self._clock() + _AWAY_SECONDS
            raise

    async def _read_addresses(self) -> _Addresses:
        document = await self._ask(
            "GET", self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        )
        if document.get("issuer") != self._issuer:
            raise SignInFailed(Reason.PROVIDER_AWAY, "discovery names another issuer")
        urls = [document.get(f"{name}_endpoint") for name in ("authorization", "token")]
        urls.append(document.get("jwks_uri"))
        if not all(isinstance(url, str) and is_provider_url(url) for url in urls):
            raise SignInFailed(Reason.PROVIDER_AWAY, "discovery names no valid addresses")
        authorization, token, jwks = cast(list[str], urls)
        end = document.get("end_session_endpoint")
        return _Addresses(
            authorization,
            token,
            jwks,
            end if isinstance(end, str) and is_provider_url(end) else None,
            document.get("authorization_response_iss_parameter_supported") is True,
        )

    async def _redeem(self, addresses: _Addresses, code: str, kept: Json) -> str:
        """Exchange a code for an ID token.  Raises SignInFailed."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": kept["redirect_uri"],
            "client_id": self._client_id,
            "code_verifier": kept["verifier"],
        }
        headers = {}
        if self._settings.client_secret is not None:
            # RFC 6749, 2.3.1: both parts are form-encoded first.
            pair = (self._client_id, self._settings.client_secret.get_secret_value())
            text = ":".join(quote(part, safe="") for part in pair)
            headers["Authorization"] = "Basic " + base64.b64encode(text.encode()).decode()
        answer = await self._ask("POST", addresses.token, form=form, headers=headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise SignInFailed(Reason.INVALID, "the provider sent no ID token")
        return token

    async def _verify(self, addresses: _Addresses, token: str, kept: Json) -> Json:
        """Return the claims of an ID token; `auth_time` is absent or a number.

        kept: from `match`.  Raises SignInFailed.

        Source: OpenID Connect Core 1.0, 3.1.3.7.
        """
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if algorithm not in _ALGORITHMS:
                raise SignInFailed(Reason.INVALID, "the ID token's algorithm is not allowed")
            claims: Json = jwt.decode(
                token,
                await self._find_key(addresses, header.get("kid"), algorithm),
                algorithms=[algorithm],
                audience=self._client_id,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        # PyJWT lets infinite times through to Python's own error.
        except (jwt.PyJWTError, OverflowError) as error:
            raise SignInFailed(Reason.INVALID, f"ID token: {type(error).__name__}") from error
        _verify_times(claims, since=kept["began"] if kept["again"] else None)
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._client_id) != self._client_id:
            raise SignInFailed(Reason.INVALID, "the ID token is for another client (azp)")
        sent = claims.get("nonce")
        if not isinstance(sent, str) or not hmac.compare_digest(
            sent.encode(), kept["nonce"].encode()
        ):
            raise SignInFailed(Reason.INVALID, "the ID token has another nonce")
        subject = claims["sub"]
        if not subject.isprintable() or not 0 < len(subject) <= _MAX_SUBJECT_CHARACTERS:
            raise SignInFailed(Reason.INVALID, "the ID token has no valid sub")
        return claims

    async def _find_key(self, addresses: _Addresses, kid: str | None, algorithm: str) -> jwt.PyJWK:
        """Return the provider's key of this id; an unknown id fetches the keys once more."""
        kept = self._keys
        if kept is not None and kept[0] > self._clock():
            match = _select_key(kept[1], kid, algorithm)
            if match is not None:
                return match
        answer = await self._ask("GET", addresses.jwks)
        listed = answer.get("keys")
        keys = [key for key in listed if isinstance(key, dict)] if isinstance(listed, list) else []
        self._keys = (self._clock() + _CACHE_SECONDS, keys)
        match = _select_key(keys, kid, algorithm)
        if match is None:
            raise SignInFailed(Reason.INVALID, "the provider has no such key")
        return match

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Return the JSON object that the provider answers.  Raises SignInFailed."""
        # Imported here: 3 MB that an installation without a provider does not need.
        import httpx  # noqa: PLC0415

        try:
            with anyio.fail_after(_REQUEST_SECONDS):
                async with (
                    httpx.AsyncClient(timeout=_REQUEST_SECONDS) as http,
                    # Uncompressed: 64 kB can expand to 64 MB before they are counted.
                    http.stream(
                        method,
                        url,
                        data=form,
                        headers={**(headers or {}), "Accept-Encoding": "identity"},
                    ) as answer,
                ):
                    body = bytearray()
                    async for chunk in answer.aiter_raw():
                        body += chunk
                        if len(body) > _MAX_ANSWER_BYTES:
                            raise SignInFailed(Reason.PROVIDER_AWAY, "the answer is too large")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            name = type(error).__name__
            raise SignInFailed(Reason.PROVIDER_AWAY, f"no answer: {name}") from error
        if answer.status_code != httpx.codes.OK:
            refused = form is not None and answer.is_client_error
            raise SignInFailed(
                Reason.INVALID if refused else Reason.PROVIDER_AWAY,
                f"the provider answered {answer.status_code}",
            )
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            raise SignInFailed(Reason.PROVIDER_AWAY, "the answer is not a JSON object")
        return parsed


def open_provider(settings: Settings, *, clock: Callable[[], float]) -> OidcProvider | None:
    """Return the provider of the settings; None without one.  clock: monotonic seconds."""
    if settings.oidc.issuer is None:
        return None
    secret_keys = [key.get_secret_value() for key in settings.secrets.key]
    return OidcProvider(
        settings.oidc,
        SecretBox(secret_keys),
        public_url=settings.links.public_url,
        operators_url=settings.links.operators_url,
        clock=clock,
    )


def choose_grant(grants: tuple[GroupGrant, ...], groups: object) -> GroupGrant | None:
    """Return the tenant and scopes of a person in these groups; None without a listed group.

    groups: the claim: a list of names, or one name.  The first listed group decides the tenant;
    scopes of further groups count if they are of the same tenant.
    """
    names = groups if isinstance(groups, list) else [groups]
    mine = [grant for grant in grants if grant.group in names]
    if not mine:
        return None
    tenant = mine[0].tenant
    scopes = {scope for grant in mine if grant.tenant == tenant for scope in grant.scopes}
    return GroupGrant(group=mine[0].group, tenant=tenant, scopes=tuple(sorted(scopes)))


def _verify_times(claims: Json, *, since: float | None) -> None:
    """Reject an ID token whose times are no times, or whose sign-in is older than `since`.

    since: Unix time; None: a sign-in of any age, or of an unknown one.  Raises SignInFailed.
    Source: OpenID Connect Core 1.0, 2 and 3.1.3.7, 13.
    """
    for name in ("exp", "iat", "nbf", "auth_time"):
        moment = claims.get(name, 0)
        # PyJWT also takes numbers in strings.
        if type(moment) not in {int, float} or not 0 <= moment <= _LAST_SECOND:
            raise SignInFailed(Reason.INVALID, f"the ID token has no valid {name}")
    signed_in_at = claims.get("auth_time")
    if signed_in_at is not None and signed_in_at > time.time() + _LEEWAY_SECONDS:
        raise SignInFailed(Reason.INVALID, "the ID token's auth_time is in the future")
    if since is not None and (signed_in_at is None or signed_in_at < since - _LEEWAY_SECONDS):
        raise SignInFailed(Reason.INVALID, "the provider did not sign the person in again")


def _select_key(keys: list[Json], kid: str | None, algorithm: str) -> jwt.PyJWK | None:
    """Return the signing key of this id and algorithm; without an id, the only one."""
    matching = []
    for key in keys:
        if key.get("use", "sig") != "sig" or (kid is not None and key.get("kid") != kid):
            continue
        if key.get("alg", algorithm) != algorithm or key.get("kty") == "oct":
            continue
        try:
            matching.append(jwt.PyJWK(key, algorithm=algorithm))
        except (jwt.PyJWTError, ValueError, TypeError):
            continue  # of another type than the algorithm's, or malformed
    return matching[0] if len(matching) == 1 else None


def _with_query(url: str, asked: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"
