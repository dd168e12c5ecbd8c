"""Who is calling: which tokens are believed, and what becomes of them while the issuer's keys cannot be fetched."""

import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from timeit import repeat
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from common import auth
from common.auth import Caller, IssuerKeys, Role, authenticate
from common.config import WrongSetting, settings
from common.errors import KeysUnavailable, RoleNotAllowed, TokenRejected, Unauthenticated
from tests.clock import in_time

ISSUER, AUDIENCE = "https://issuer.test/", "watchledger-tests"
PRIVATE_KEYS: dict[str, Any] = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "rsa-2": rsa.generate_private_key(65537, 2048),
    "rsa-1024": rsa.generate_private_key(65537, 1024),
    "ec": ec.generate_private_key(ec.SECP256R1()),
    "ec-384": ec.generate_private_key(ec.SECP384R1()),
}
Jwk = dict[str, Any]


class Issuer:
    """A real JWKS endpoint that counts who asks and can fail in every way."""

    def __init__(self) -> None:
        self.keys: list[Any] = [jwk("rsa"), jwk("ec")]
        self.body: bytes | None = None
        self.status = 200
        self.location: str | None = None
        self.hits = 0
        self.answers = Event()
        self.answers.set()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.hits += 1
                issuer.answers.wait(5)
                body = json.dumps({"keys": issuer.keys}).encode() if issuer.body is None else issuer.body
                self.send_response(issuer.status)
                if issuer.location:
                    self.send_header("Location", issuer.location)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    pass  # who asked has gone

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks"
        Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()

    def stop(self) -> None:
        self.answers.set()
        self._server.shutdown()
        self._server.server_close()


def jwk(name: str, **members: Any) -> Jwk:
    public = PRIVATE_KEYS[name].public_key()
    algorithm = ECAlgorithm if isinstance(public, ec.EllipticCurvePublicKey) else RSAAlgorithm
    return {**algorithm.to_jwk(public, as_dict=True), "kid": name, "use": "sig", **members}


def claims(**changes: Any) -> dict[str, Any]:
    """Claims that are believed, changed; a change to None leaves the claim out."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "role": "player", "iat": now, "exp": now + 600}
    changed = {**good, "jti": str(uuid4()), **changes}
    return {name: value for name, value in changed.items() if value is not None}


def token(
    key: str = "rsa",
    *,
    signed_by: str | None = None,
    algorithm: str | None = None,
    header: dict[str, Any] | None = None,
    **changes: Any,
) -> str:
    return jwt.encode(
        claims(**changes),
        PRIVATE_KEYS[signed_by or key],
        algorithm or ("ES256" if key.startswith("ec") else "RS256"),
        headers={"kid": key, **(header or {})},
    )


def token_by_hand(header: dict[str, Any], payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    signed = base64(json.dumps(header).encode()) + b"." + base64(payload)
    return (signed + b"." + base64(sign(signed))).decode()


def base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def bearer(**changes: Any) -> Caller:
    return authenticate("Bearer " + token(**changes))


def rejection(of: str) -> str:
    with pytest.raises(TokenRejected) as rejected:
        authenticate("Bearer " + of)
    return str(rejected.value.detail)


def grow_older(seconds: float) -> None:
    """Move the data, not the clock."""
    auth.issuer_keys._fetched_at -= seconds
    auth.issuer_keys._tried_at -= seconds


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.stop()


@pytest.fixture(autouse=True)
def a_fresh_process(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@localhost/none")
    monkeypatch.setenv("JWT_ISSUER", ISSUER)
    monkeypatch.setenv("JWT_AUDIENCE", AUDIENCE)
    monkeypatch.setenv("JWKS_URL", issuer.url)
    monkeypatch.delenv("JWT_ROLE_CLAIM", raising=False)
    monkeypatch.delenv("SCHEDULER_ACCOUNT", raising=False)
    monkeypatch.setattr(auth, "issuer_keys", IssuerKeys())
    monkeypatch.setattr(auth, "_remembered", {})
    settings.cache_clear()
    yield
    settings.cache_clear()


# Who is believed


@pytest.mark.parametrize("key", ["rsa", "ec"])
def test_a_token_signed_by_the_issuer_names_the_caller(key: str) -> None:
    assert bearer(key=key, sub="ann", role="manager") == Caller("ann", Role.MANAGER)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_may_be_written_in_any_case(scheme: str) -> None:
    assert authenticate(f"{scheme} {token()}").user_id == "ann"


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["another", AUDIENCE]])
def test_an_audience_list_that_contains_ours_is_fine(audience: object) -> None:
    assert bearer(aud=audience).user_id == "ann"


def test_clocks_may_differ_by_a_few_seconds() -> None:
    now = int(time.time())
    assert bearer(exp=now - 2).user_id == "ann"
    assert bearer(iat=now + 3, nbf=now + 3).user_id == "ann"


@pytest.mark.parametrize("role", auth.CLAIMED_ROLES)
def test_every_role_that_can_be_claimed_is_known_by_its_name(role: Role) -> None:
    assert bearer(role=role.value).role is role


def test_every_role_but_the_schedulers_can_be_claimed() -> None:
    assert set(Role) - set(auth.CLAIMED_ROLES) == {Role.SCHEDULER}


def test_the_role_is_read_from_the_claim_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_ROLE_CLAIM", "https://lms.test/role")
    settings.cache_clear()
    assert bearer(**{"role": "player", "https://lms.test/role": "service"}).role is Role.SERVICE


@pytest.mark.parametrize("role", [None, "", "admin", "Player", 1, True, ["player"], {"player": 1}])
def test_a_valid_token_without_a_known_role_may_do_nothing(role: object) -> None:
    with pytest.raises(RoleNotAllowed, match="role must be one of player, manager, service"):
        bearer(role=role)


@pytest.mark.parametrize("user_id", ["a", "ä" * 128, "auth0|5f7c", "ann@example.org", "名前"])
def test_a_user_id_has_1_to_128_characters(user_id: str) -> None:
    assert bearer(sub=user_id).user_id == user_id


@pytest.mark.parametrize("user_id", ["", "a" * 129, "a\0", "a\nb", "\x1b[2J", "a\x7f", "\u202ea", "\ud800", 7, ["a"]])
def test_a_user_id_that_cannot_be_stored_or_logged_is_refused(user_id: object) -> None:
    assert "sub" in rejection(token(sub=user_id))


# The scheduler, whose tokens name an account and no role


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SCHEDULER_ACCOUNT", "jobs@project.iam.gserviceaccount.com")
    settings.cache_clear()
    return "jobs@project.iam.gserviceaccount.com"


def test_the_scheduler_is_told_by_its_account(account: str) -> None:
    caller = bearer(sub="104", role=None, email=account, email_verified=True)

    assert caller == Caller("104", Role.SCHEDULER)


def test_the_schedulers_account_is_the_scheduler_whatever_role_its_token_names(account: str) -> None:
    assert bearer(role="player", email=account, email_verified=True).role is Role.SCHEDULER


@pytest.mark.parametrize("verified", [None, False, "true", 1, "false", [True]])
def test_an_account_that_the_issuer_did_not_verify_is_nobody(account: str, verified: object) -> None:
    with pytest.raises(RoleNotAllowed):
        bearer(role=None, email=account, email_verified=verified)


@pytest.mark.parametrize(
    "email",
    [
        None,
        "",
        "another@project.iam.gserviceaccount.com",
        "JOBS@project.iam.gserviceaccount.com",
        "jobs@project.iam.gserviceaccount.com ",
        ["jobs@project.iam.gserviceaccount.com"],
        True,
    ],
)
def test_another_account_is_not_the_scheduler(account: str, email: object) -> None:
    with pytest.raises(RoleNotAllowed):
        bearer(role=None, email=email, email_verified=True)
    assert bearer(role="player", email=email, email_verified=True).role is Role.PLAYER


def test_nobody_becomes_the_scheduler_by_claiming_its_role(account: str) -> None:
    with pytest.raises(RoleNotAllowed, match="role must be one of player, manager, service"):
        bearer(role="scheduler")


@pytest.mark.parametrize("email", [None, "", "jobs@project.iam.gserviceaccount.com"])
@pytest.mark.parametrize("setting", [None, ""])
def test_without_an_account_in_the_settings_there_is_no_scheduler(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, email: str | None
) -> None:
    if setting is not None:
        monkeypatch.setenv("SCHEDULER_ACCOUNT", setting)
    settings.cache_clear()
    with pytest.raises(RoleNotAllowed):
        bearer(role=None, email=email, email_verified=True)


# Cloud Run takes the signature off a token that its IAM has checked


@pytest.fixture
def behind_iam(account: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("IAM_CHECKS_SIGNATURES", "true")
    settings.cache_clear()
    return account


def stripped(**changes: Any) -> str:
    return token(**changes).rpartition(".")[0] + ".SIGNATURE_REMOVED_BY_GOOGLE"


def test_behind_iam_the_schedulers_token_needs_no_signature_and_no_keys(behind_iam: str, issuer: Issuer) -> None:
    before = issuer.hits

    caller = authenticate(f"Bearer {stripped(sub='104', role=None, email=behind_iam, email_verified=True)}")

    assert caller == Caller("104", Role.SCHEDULER)
    assert issuer.hits == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": 1},
        {"nbf": 4_000_000_000},
        {"aud": "https://another.test"},
        {"iss": "https://another.test"},
        {"exp": None},
        {"email": "another@project.iam.gserviceaccount.com"},
        {"email_verified": False},
        {"email": None, "role": "service"},
    ],
)
def test_behind_iam_everything_else_of_it_is_checked(behind_iam: str, wrong: dict[str, Any]) -> None:
    changes = {"role": None, "email": behind_iam, "email_verified": True} | wrong
    with pytest.raises(TokenRejected):
        authenticate(f"Bearer {stripped(**changes)}")


def test_behind_iam_no_other_signature_may_be_missing_or_wrong(behind_iam: str) -> None:
    unsigned = token(role=None, email=behind_iam, email_verified=True).rpartition(".")[0]
    for signature in ("", "SIGNATURE_REMOVED", "c2lnbmF0dXJl"):
        with pytest.raises(TokenRejected):
            authenticate(f"Bearer {unsigned}.{signature}")


def test_elsewhere_a_token_without_its_signature_is_nobodys(account: str) -> None:
    with pytest.raises(TokenRejected):
        authenticate(f"Bearer {stripped(role=None, email=account, email_verified=True)}")


# Who is not


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer   ", "Basic YTpi", "Token x", "abc.def.ghi"])
def test_without_a_bearer_token_nobody_is_known(header: str | None) -> None:
    with pytest.raises(Unauthenticated) as refused:
        authenticate(header)
    assert not isinstance(refused.value, TokenRejected)


@pytest.mark.parametrize(
    "garbage",
    ["x", "a.b", "a.b.c", "...", "e30.e30.", "é.é.é", "\ud800.a.b", "a b c", "W10.e30.AA", "null", "\0"],
)
def test_garbage_is_refused(garbage: str, issuer: Issuer) -> None:
    assert rejection(garbage)
    assert issuer.hits == 0


def test_a_huge_token_is_refused_before_it_is_read(issuer: Issuer) -> None:
    assert "longer than 8192" in rejection(token(padding="x" * 8192))
    assert issuer.hits == 0


@pytest.mark.parametrize("payload", [b"[]", b"null", b"\xff", b"", b"[" * 5000, b'{"exp":' + b"9" * 5000 + b"}"])
def test_a_signed_payload_that_is_not_a_json_object_is_refused(payload: bytes) -> None:
    sign = partial(RSAAlgorithm(RSAAlgorithm.SHA256).sign, key=PRIVATE_KEYS["rsa"])
    assert "malformed" in rejection(token_by_hand({"alg": "RS256", "kid": "rsa"}, payload, sign))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"exp": 1_000_000_000}, "expired"),
        ({"exp": "soon"}, "malformed"),
        ({"exp": float("inf")}, "malformed"),
        ({"exp": float("nan")}, "malformed"),
        ({"exp": [1]}, "malformed"),
        ({"nbf": 9_000_000_000}, "not valid yet"),
        ({"nbf": "later"}, "malformed"),
        ({"iat": 9_000_000_000}, "not valid yet"),
        ({"iat": "earlier"}, "malformed"),
        ({"iss": "https://issuer.test"}, "another issuer"),
        ({"aud": "another"}, "another audience"),
        ({"aud": ["another", "third"]}, "another audience"),
        ({"aud": {AUDIENCE: 1}}, "another audience"),
        ({"aud": []}, "lacks the claim aud"),
        ({"exp": None}, "lacks the claim exp"),
        ({"iss": None}, "lacks the claim iss"),
        ({"aud": None}, "lacks the claim aud"),
        ({"sub": None}, "lacks the claim sub"),
    ],
)
def test_a_claim_that_is_wrong_or_missing_is_named(change: dict[str, Any], reason: str) -> None:
    detail = rejection(token(**change))
    assert reason in detail
    assert ISSUER not in detail and AUDIENCE not in detail


def test_an_issuer_that_is_not_a_string_is_another_issuer() -> None:
    body = json.dumps(claims(iss=[ISSUER])).encode()
    sign = partial(RSAAlgorithm(RSAAlgorithm.SHA256).sign, key=PRIVATE_KEYS["rsa"])
    assert "another issuer" in rejection(token_by_hand({"alg": "RS256", "kid": "rsa"}, body, sign))


def test_a_token_that_expires_in_ages_is_believed_and_forgotten_in_time() -> None:
    assert bearer(exp=10**400).user_id == "ann"
    ((_, until),) = auth._remembered.values()
    assert until <= time.time() + auth.REMEMBERED_S + auth.LEEWAY_S


@pytest.mark.parametrize("algorithm", ["none", "None", "", None, 5, ["RS256"], "rs256", "HS256", "RS512", "PS256"])
def test_algorithms_other_than_rs256_and_es256_are_refused_unasked(algorithm: object, issuer: Issuer) -> None:
    unsigned = token_by_hand({"alg": algorithm, "kid": "rsa"}, json.dumps(claims()).encode(), lambda _: b"")
    assert "one of RS256, ES256" in rejection(unsigned)
    assert issuer.hits == 0


@pytest.mark.parametrize("secret", [Encoding.PEM, Encoding.DER])
def test_a_public_key_is_no_hmac_secret(secret: Encoding) -> None:
    public = PRIVATE_KEYS["rsa"].public_key().public_bytes(secret, PublicFormat.SubjectPublicKeyInfo)
    body = json.dumps(claims()).encode()
    for algorithm in ("HS256", "RS256"):
        forged = token_by_hand(
            {"alg": algorithm, "kid": "rsa"}, body, lambda text: hmac.digest(public, text, hashlib.sha256)
        )
        assert rejection(forged)


def test_a_token_without_a_key_id_is_refused(issuer: Issuer) -> None:
    for header in ({}, {"kid": ""}):
        body = json.dumps(claims()).encode()
        assert "(kid)" in rejection(token_by_hand({"alg": "RS256", **header}, body, lambda _: b"x"))
    assert rejection(token_by_hand({"alg": "RS256", "kid": 1}, body, lambda _: b"x"))
    assert issuer.hits == 0


def test_a_token_of_an_unknown_key_is_refused() -> None:
    assert "key is not known" in rejection(token("rsa-2"))


def test_a_token_that_somebody_else_signed_is_refused() -> None:
    assert "signature" in rejection(token("rsa", signed_by="rsa-2"))


@pytest.mark.parametrize("key", ["rsa", "ec"])
def test_a_tampered_signature_is_refused(key: str) -> None:
    signed, signature = token(key).rsplit(".", 1)
    flipped = "A" if signature[20] != "A" else "B"
    assert "signature" in rejection(f"{signed}.{signature[:20]}{flipped}{signature[21:]}")
    assert "signature" in rejection(f"{signed}.{signature[:40]}")
    assert "signature" in rejection(f"{signed}.")


@pytest.mark.parametrize("key", ["rsa", "ec"])
def test_a_tampered_payload_is_refused(key: str) -> None:
    header, _, signature = token(key).split(".")
    manager = base64(json.dumps(claims(role="manager")).encode()).decode()
    assert "signature" in rejection(f"{header}.{manager}.{signature}")


def test_a_token_may_not_choose_another_algorithm_than_its_key_has() -> None:
    assert "algorithm" in rejection(token("rsa", signed_by="ec", algorithm="ES256"))
    assert "algorithm" in rejection(token("ec", signed_by="rsa", algorithm="RS256"))


def test_a_token_cannot_bring_its_own_key(issuer: Issuer) -> None:
    forger = Issuer()
    forger.keys = [jwk("rsa-2")]
    header = {"jku": forger.url, "x5u": forger.url, "jwk": jwk("rsa-2")}
    assert "key is not known" in rejection(token("rsa-2", header=header))
    assert "signature" in rejection(token("rsa", signed_by="rsa-2", header=header))
    assert forger.hits == 0
    forger.stop()


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": False}, {"crit": []}])
def test_a_token_with_critical_extensions_is_refused(header: dict[str, Any]) -> None:
    full = {"alg": "RS256", "kid": "rsa", **header}
    assert "malformed" in rejection(token_by_hand(full, json.dumps(claims()).encode(), lambda _: b"x"))


# Which keys are used


def test_an_oct_key_among_the_keys_verifies_nothing(issuer: Issuer) -> None:
    secret = b"s" * 32
    issuer.keys.append({"kty": "oct", "kid": "oct", "k": base64(secret).decode(), "alg": "HS256"})
    body = json.dumps(claims()).encode()
    for algorithm in ("HS256", "RS256"):
        assert rejection(
            token_by_hand(
                {"alg": algorithm, "kid": "oct"}, body, lambda text: hmac.digest(secret, text, hashlib.sha256)
            )
        )


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"use": None},
        {"use": ["sig"]},
        {"alg": "ES256"},
        {"alg": "RS512"},
        {"alg": "HS256"},
        {"alg": ["RS256"]},
        {"kty": "EC"},
        {"kty": "OKP"},
        {"kty": ["RSA"]},
        {"kty": None},
        {"n": "!"},
        {"n": ""},
        {"e": "AA"},
        {"n": 5},
        {"n": "\ud800"},
        {"d": "AQAB"},
        {"kid": 7},
        {"kid": None},
    ],
)
def test_a_key_that_cannot_be_used_is_skipped_without_harm_to_the_others(members: Jwk, issuer: Issuer) -> None:
    issuer.keys = [jwk("rsa-2", **members), None, 5, "key", [], {}, jwk("rsa"), jwk("ec")]
    assert "key is not known" in rejection(token(str(members.get("kid", "rsa-2")), signed_by="rsa-2"))
    assert bearer(key="rsa").user_id == "ann"
    assert bearer(key="ec").user_id == "ann"


def test_a_private_key_that_was_published_is_skipped(issuer: Issuer) -> None:
    issuer.keys = [
        {**RSAAlgorithm.to_jwk(PRIVATE_KEYS["rsa"], as_dict=True), "kid": "rsa"},
        {**ECAlgorithm.to_jwk(PRIVATE_KEYS["ec"], as_dict=True), "kid": "ec"},
        jwk("rsa-2"),
    ]
    assert bearer(key="rsa-2").user_id == "ann"
    assert "key is not known" in rejection(token("rsa"))
    assert "key is not known" in rejection(token("ec"))


def test_an_rsa_key_under_2048_bits_is_refused(issuer: Issuer) -> None:
    issuer.keys.append(jwk("rsa-1024"))
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        weak = token("rsa-1024")
    assert "key is not known" in rejection(weak)


def test_a_key_on_another_curve_is_refused(issuer: Issuer) -> None:
    issuer.keys += [jwk("ec-384", alg="ES256"), jwk("ec-384", kid="ec-256", crv="P-256")]
    assert "key is not known" in rejection(token("ec-384", signed_by="ec"))
    assert "key is not known" in rejection(token("ec-256", signed_by="ec"))


@pytest.mark.parametrize("members", [{}, {"alg": "RS256"}, {"x5c": ["?"], "unheard": {"of": 1}}])
def test_a_key_may_say_more_or_less_of_itself(members: Jwk, issuer: Issuer) -> None:
    issuer.keys = [{**jwk("rsa"), **members}]
    del issuer.keys[0]["use"]
    assert bearer().user_id == "ann"


# When keys are fetched


def test_the_import_needs_no_setting_and_fetches_nothing() -> None:
    root = Path(auth.__file__).parents[1]
    bare = {name: value for name, value in os.environ.items() if name != "JWKS_URL" and not name.startswith("JWT_")}
    subprocess.run([sys.executable, "-c", "import common.auth"], cwd=root, env=bare, check=True, timeout=30)


def test_keys_are_fetched_once_for_many_tokens(issuer: Issuer) -> None:
    assert issuer.hits == 0
    for key in ("rsa", "ec") * 5:
        bearer(key=key)
    assert issuer.hits == 1


def test_a_first_fetch_that_fails_is_our_fault_not_the_caller_s(issuer: Issuer) -> None:
    issuer.status = 500
    with pytest.raises(KeysUnavailable):
        bearer()


def test_after_a_failed_first_fetch_the_issuer_is_asked_again_once_the_cooldown_is_over(
    issuer: Issuer,
) -> None:
    issuer.status = 500
    for _ in range(5):
        with pytest.raises(KeysUnavailable):
            bearer()
    assert issuer.hits == 1

    issuer.status = 200
    grow_older(10)

    assert bearer().user_id == "ann"
    assert issuer.hits == 2


def test_the_cooldown_ends_by_itself(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "issuer_keys", IssuerKeys(cooldown_s=0.1))
    issuer.status = 500
    with pytest.raises(KeysUnavailable):
        bearer()
    issuer.status = 200

    time.sleep(0.11)

    assert bearer().user_id == "ann"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"keys":[]}',
        b'{"keys":1}',
        b'{"keys":' + b"[" * 90_000,
    ],
)
def test_an_answer_without_usable_keys_is_a_failed_fetch(body: bytes, issuer: Issuer) -> None:
    issuer.body = body
    with pytest.raises(KeysUnavailable):
        bearer()


def test_an_answer_that_is_too_large_is_a_failed_fetch(issuer: Issuer) -> None:
    issuer.keys.append({"padding": "x" * auth.LARGEST_KEY_SET})
    with pytest.raises(KeysUnavailable):
        bearer()


def test_redirects_are_not_followed(issuer: Issuer) -> None:
    elsewhere = Issuer()
    issuer.status, issuer.location = 302, elsewhere.url
    with pytest.raises(KeysUnavailable):
        bearer()
    assert (issuer.hits, elsewhere.hits) == (1, 0)
    elsewhere.stop()


def test_an_issuer_that_does_not_answer_delays_nobody_for_long(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "FETCH_TIMEOUT_S", 0.1)
    issuer.answers.clear()
    headers = ["Bearer " + token() for _ in range(16)]
    with in_time(2), ThreadPoolExecutor(16) as pool:
        outcomes = [pool.submit(authenticate, header).exception() for header in headers]
    assert all(isinstance(outcome, KeysUnavailable) for outcome in outcomes)
    assert issuer.hits == 1


def test_an_issuer_that_is_gone_is_unavailable(issuer: Issuer) -> None:
    issuer.stop()
    with pytest.raises(KeysUnavailable):
        bearer()


def test_a_setting_that_is_missing_is_not_mistaken_for_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWKS_URL")
    for _ in range(2):
        with pytest.raises(WrongSetting):
            bearer()


# When the issuer fails, or changes its keys


def test_old_keys_are_used_on_through_an_outage_of_a_day(issuer: Issuer) -> None:
    bearer()
    issuer.status = 503
    for hour in range(1, 24):
        grow_older(3600)
        assert bearer().user_id == "ann"
        assert bearer(key="ec").user_id == "ann"
        assert issuer.hits == 1 + hour


def test_keys_older_than_a_day_are_used_no_longer(issuer: Issuer) -> None:
    bearer()
    issuer.status = 503
    grow_older(24 * 3600)
    with pytest.raises(KeysUnavailable):
        bearer()


def test_after_an_outage_the_keys_are_fetched_again(issuer: Issuer) -> None:
    bearer()
    issuer.status = 503
    grow_older(300)
    bearer()
    issuer.status, issuer.keys = 200, [jwk("rsa-2")]
    grow_older(10)
    assert bearer(key="rsa-2").user_id == "ann"
    assert issuer.hits == 3


def test_a_key_that_is_not_known_during_an_outage_is_our_fault_not_the_caller_s(issuer: Issuer) -> None:
    bearer()
    issuer.status = 503
    grow_older(10)
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            bearer(key="rsa-2")
    assert bearer().user_id == "ann"
    assert issuer.hits == 2


def test_a_new_key_is_accepted_after_the_cooldown(issuer: Issuer) -> None:
    bearer()
    issuer.keys.append(jwk("rsa-2"))
    rotated = token("rsa-2")
    assert "key is not known" in rejection(rotated)

    grow_older(10)

    assert authenticate("Bearer " + rotated).user_id == "ann"
    assert bearer().user_id == "ann"
    assert issuer.hits == 2


def test_a_withdrawn_key_is_missed_when_the_keys_are_fetched_again(issuer: Issuer) -> None:
    bearer()
    issuer.keys = [jwk("ec")]
    assert bearer().user_id == "ann"

    grow_older(301)

    assert "key is not known" in rejection(token())


def test_an_empty_answer_does_not_cost_the_keys_there_are(issuer: Issuer) -> None:
    bearer()
    issuer.keys = []
    grow_older(301)
    assert bearer().user_id == "ann"
    assert issuer.hits == 2


def test_unknown_keys_cause_one_fetch_a_cooldown_also_from_16_threads(issuer: Issuer) -> None:
    storm = ["Bearer " + token(f"random-{uuid4()}", signed_by="rsa") for _ in range(64)]
    with ThreadPoolExecutor(16) as pool:
        outcomes = [pool.submit(authenticate, header) for header in storm]
        assert all(isinstance(outcome.exception(), TokenRejected) for outcome in outcomes)
        assert issuer.hits == 1

        grow_older(10)
        outcomes = [pool.submit(authenticate, header) for header in storm]
        assert all(isinstance(outcome.exception(), TokenRejected) for outcome in outcomes)
        assert issuer.hits == 2


def test_unknown_keys_cause_one_fetch_a_cooldown_also_when_it_fails(issuer: Issuer) -> None:
    issuer.status = 500
    storm = ["Bearer " + token(f"random-{uuid4()}", signed_by="rsa") for _ in range(64)]
    with ThreadPoolExecutor(16) as pool:
        outcomes = [pool.submit(authenticate, header) for header in storm]
        assert all(isinstance(outcome.exception(), KeysUnavailable) for outcome in outcomes)
    assert issuer.hits == 1


def test_16_callers_at_a_cold_start_share_one_fetch(issuer: Issuer) -> None:
    issuer.answers.clear()
    headers = ["Bearer " + token() for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        callers = [pool.submit(authenticate, header) for header in headers]
        issuer.answers.set()
        assert {caller.result().user_id for caller in callers} == {"ann"}
    assert issuer.hits == 1


def test_while_one_thread_refreshes_the_others_use_the_old_keys(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "FETCH_TIMEOUT_S", 60)
    bearer()
    grow_older(301)
    issuer.answers.clear()
    headers = ["Bearer " + token() for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        callers = {pool.submit(authenticate, header) for header in headers}
        deadline = time.monotonic() + 4  # before the issuer answers in spite of all
        while len(wait(callers, timeout=0.01).done) < 15 and time.monotonic() < deadline:
            pass
        done_meanwhile = len(wait(callers, timeout=0).done)
        issuer.answers.set()
        assert {caller.result().user_id for caller in callers} == {"ann"}
    assert done_meanwhile == 15
    assert issuer.hits == 2


# What is remembered


def test_a_verified_token_needs_no_key_the_next_time(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    header = "Bearer " + token()
    caller = authenticate(header)
    issuer.status = 500
    monkeypatch.setattr(auth, "issuer_keys", IssuerKeys())

    assert authenticate(header) == caller

    with pytest.raises(KeysUnavailable):
        bearer()


def test_a_remembered_token_stops_being_accepted_when_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    exp = int(time.time())
    expiring = token(exp=exp)
    monkeypatch.setattr(auth, "LEEWAY_S", time.time() - exp + 0.2)
    assert authenticate("Bearer " + expiring).user_id == "ann"
    assert expiring in auth._remembered

    time.sleep(0.21)

    assert "expired" in rejection(expiring)


def test_a_token_of_a_withdrawn_key_is_not_remembered_for_long(issuer: Issuer) -> None:
    withdrawn = token()
    caller = authenticate("Bearer " + withdrawn)
    issuer.keys = [jwk("ec")]
    grow_older(301)
    auth._remembered[withdrawn] = caller, auth._remembered[withdrawn][1] - 306

    assert "key is not known" in rejection(withdrawn)


def test_what_was_refused_is_not_remembered() -> None:
    for refused in (token("rsa", signed_by="rsa-2"), token(exp=1), token(sub="")):
        rejection(refused)
    with pytest.raises(RoleNotAllowed):
        bearer(role="admin")
    assert not auth._remembered


def test_only_so_many_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "REMEMBERED_TOKENS", 3)
    headers = ["Bearer " + token("ec", sub=f"user-{n}") for n in range(10)]
    for n, header in [*enumerate(headers), *enumerate(headers)]:
        assert authenticate(header).user_id == f"user-{n}"
        assert len(auth._remembered) <= 3


def test_16_threads_remember_and_forget_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "REMEMBERED_TOKENS", 3)
    headers = {f"user-{n}": "Bearer " + token("ec", sub=f"user-{n}") for n in range(16)}
    with ThreadPoolExecutor(16) as pool:
        callers = {user: [pool.submit(authenticate, header) for _ in range(20)] for user, header in headers.items()}
    assert all(caller.result().user_id == user for user in callers for caller in callers[user])


def test_a_remembered_token_costs_microseconds() -> None:
    header = "Bearer " + token()
    authenticate(header)
    best_s = min(repeat(lambda: authenticate(header), number=1000, repeat=10)) / 1000
    assert best_s < 10e-6
