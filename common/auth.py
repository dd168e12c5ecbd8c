"""Who is calling: a bearer token (JWT), verified with the keys its issuer publishes (JWKS)."""

import json
import logging
import math
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from time import monotonic, time
from typing import Any
from urllib.request import HTTPRedirectHandler, Request, build_opener

import jwt

from common.config import settings
from common.errors import KeysUnavailable, RoleNotAllowed, TokenRejected, Unauthenticated

ALGORITHMS = ("RS256", "ES256")
LEEWAY_S = 5.0  # clocks differ
REMEMBERED_S = 300.0  # at most: a key that its issuer withdrew must come to be missed
REMEMBERED_TOKENS = 4_096
LONGEST_TOKEN = 8_192
LARGEST_KEY_SET = 262_144
FETCH_TIMEOUT_S = 2.0
SIGNATURE_REMOVED = ".SIGNATURE_REMOVED_BY_GOOGLE"  # by Cloud Run, once IAM has let the request in

CHECKS: Any = {
    "require": ["exp", "iss", "aud", "sub"],
    **dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_iss", "verify_aud"), True),
    "verify_sub": False,  # its type is checked below
}
REFUSALS: dict[type[Exception], str] = {
    jwt.ExpiredSignatureError: "The token has expired (exp)",
    jwt.ImmatureSignatureError: "The token is not valid yet (nbf, iat)",
    jwt.InvalidAudienceError: "The token is meant for another audience (aud)",
    jwt.InvalidIssuerError: "The token comes from another issuer (iss)",
    jwt.InvalidAlgorithmError: "The token's algorithm is not that of its key (alg)",
    jwt.InvalidSignatureError: "The signature does not match the token",
}


class Role(StrEnum):
    PLAYER = "player"
    MANAGER = "manager"
    SERVICE = "service"
    SCHEDULER = "scheduler"


CLAIMED_ROLES = (Role.PLAYER, Role.MANAGER, Role.SERVICE)  # the scheduler's is told by its account instead


@dataclass(frozen=True, slots=True)
class Caller:
    user_id: str
    role: Role


def authenticate(authorization: str | None) -> Caller:
    """Tell who is calling from the Authorization header.

    Raises:
        Unauthenticated: the header brings no bearer token.
        TokenRejected: the token is not valid here; the detail says why.
        RoleNotAllowed: the token is valid, but names no role known here.
        KeysUnavailable: the token's key is not known, and its issuer cannot be asked.
    """
    scheme, _, credentials = (authorization or "").partition(" ")
    token = credentials.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("The Authorization header must be: Bearer <token>")
    if len(token) > LONGEST_TOKEN:
        raise TokenRejected(f"The token is longer than {LONGEST_TOKEN} characters")
    known = _remembered.get(token)
    if known and time() < known[1]:
        return known[0]
    claims = _verified_claims(token)
    caller = _caller(claims)
    if len(_remembered) >= REMEMBERED_TOKENS:
        _remembered.clear()
    _remembered[token] = caller, min(int(claims["exp"]), time() + REMEMBERED_S) + LEEWAY_S
    return caller


def _verified_claims(token: str) -> dict[str, Any]:
    if not token.isascii():
        raise TokenRejected("The token is malformed")
    is_checked = token.endswith(SIGNATURE_REMOVED) and settings().iam_checks_signatures
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise TokenRejected(f"The token's algorithm must be one of {', '.join(ALGORITHMS)} (alg)")
        if not header.get("kid"):
            raise TokenRejected("The token does not name its key (kid)")
        claims = jwt.decode(
            token,
            "" if is_checked else issuer_keys.find(header["kid"]),
            algorithms=ALGORITHMS,
            issuer=settings().jwt_issuer,
            audience=settings().jwt_audience,
            leeway=LEEWAY_S,
            options=CHECKS | {"verify_signature": not is_checked},
        )
    except jwt.MissingRequiredClaimError as missing:
        raise TokenRejected(f"The token lacks the claim {missing.claim}") from None
    except jwt.PyJWTError as refusal:
        raise TokenRejected(REFUSALS.get(type(refusal), "The token is malformed")) from None
    if is_checked and not _is_schedulers(claims):
        raise TokenRejected("The token's signature is missing, and it is not the scheduler's")
    return claims


def _is_schedulers(claims: dict[str, Any]) -> bool:
    account = settings().scheduler_account
    return bool(account) and claims.get("email") == account and claims.get("email_verified") is True


def _caller(claims: dict[str, Any]) -> Caller:
    user_id, role_claim = claims["sub"], settings().jwt_role_claim
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= 128 or not user_id.isprintable():
        raise TokenRejected("The claim sub must be a string of 1 to 128 printable characters")
    if _is_schedulers(claims):
        return Caller(user_id, Role.SCHEDULER)
    role = next((role for role in CLAIMED_ROLES if role == claims.get(role_claim)), None)
    if role is None:
        raise RoleNotAllowed(f"The claim {role_claim} must be one of {', '.join(CLAIMED_ROLES)}")
    return Caller(user_id, role)


class IssuerKeys:
    """The issuer's keys: fetched when first needed and again when old; an outage is bridged with the old ones."""

    def __init__(self, fresh_s: float = 300, usable_s: float = 86_400, cooldown_s: float = 10) -> None:
        self._fresh_s, self._usable_s, self._cooldown_s = fresh_s, usable_s, cooldown_s
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = -math.inf
        self._fetching = Lock()

    def find(self, kid: str) -> jwt.PyJWK:
        key = self._known(kid, self._fresh_s)
        if key is None:
            old = self._known(kid, self._usable_s)
            up_to_date = self._refresh(patience_s=0 if old else FETCH_TIMEOUT_S)
            key = self._known(kid, self._usable_s)
            if key is None:
                raise TokenRejected("The token's key is not known (kid)") if up_to_date else KeysUnavailable()
        return key

    def know(self, jwks: Any) -> None:
        """Take a key set for freshly fetched."""
        self._keys = _signing_keys(jwks)
        self._fetched_at = self._tried_at = monotonic()

    def _known(self, kid: str, within_s: float) -> jwt.PyJWK | None:
        return self._keys.get(kid) if monotonic() - self._fetched_at <= within_s else None

    def _refresh(self, patience_s: float) -> bool:
        """Fetch the keys unless that was just tried or another thread is at it; True if the last try succeeded."""
        if self._is_due():
            if not self._fetching.acquire(timeout=patience_s):
                return False
            try:
                if self._is_due():
                    self._fetch(settings().jwks_url)
            finally:
                self._fetching.release()
        return self._fetched_at >= self._tried_at

    def _is_due(self) -> bool:
        return monotonic() - self._tried_at >= self._cooldown_s

    def _fetch(self, url: str) -> None:
        try:
            self.know(_get(url))
        except Exception as failure:
            self._tried_at = monotonic()
            logging.getLogger(__name__).warning("The keys at %s could not be fetched: %r", url, failure)


def _signing_keys(jwks: Any) -> dict[str, jwt.PyJWK]:
    usable = jwt.PyJWKSet([jwk for jwk in jwks["keys"] if _may_sign_tokens(jwk)])  # leaves out broken ones
    return {str(key.key_id): key for key in usable if not key.Algorithm.check_key_length(key.key)}


def _may_sign_tokens(jwk: Any) -> bool:
    match jwk:
        case {"d": _}:  # a private key that was published is nobody's any more
            return False
        case {"kty": "RSA", "kid": str(), "n": str(), "e": str()}:
            fitting = "RS256"
        case {"kty": "EC", "kid": str(), "crv": "P-256", "x": str(), "y": str()}:
            fitting = "ES256"
        case _:
            return False
    return bool(jwk.get("alg", fitting) == fitting and jwk.get("use", "sig") == "sig")


def _get(url: str) -> Any:
    request = Request(url, headers={"Accept": "application/json", "User-Agent": "watchledger"})
    with build_opener(_NoRedirects).open(request, timeout=FETCH_TIMEOUT_S) as response:
        return json.loads(response.read(LARGEST_KEY_SET))  # cut off, it is no JSON


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


issuer_keys = IssuerKeys()
_remembered: dict[str, tuple[Caller, float]] = {}
