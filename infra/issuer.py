"""The local server as an issuer of tokens. For development only: who can read DATA_DIR, or
sits at this machine with the server running, can be anybody.

The key is made when it is first needed, stays in DATA_DIR and is its owner's alone.
"""

import os
import time
from contextlib import suppress
from functools import cache
from hashlib import sha256
from tempfile import NamedTemporaryFile
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from common.auth import Role
from infra import local

ALGORITHM = "RS256"


def sign(user_id: str, role: Role, ttl_s: int = 3600) -> str:
    """A token of a user in a role that the local server accepts from now on, so many seconds.

    The scheduler's names an account instead of a role, as Google's does.
    """
    account = {"email": local.scheduler_account(), "email_verified": True}
    now = int(time.time())
    claims = {
        "iss": local.address(),
        "aud": local.AUDIENCE,
        "sub": user_id,
        "iat": now,
        "exp": now + ttl_s,
        **(account if role is Role.SCHEDULER else {"role": role}),
    }
    return jwt.encode(claims, key(), ALGORITHM, {"kid": public_jwk()["kid"]})


def jwks() -> dict[str, list[dict[str, Any]]]:
    """The key set (RFC 7517) that the tokens are verified with."""
    return {"keys": [public_jwk()]}


def public_jwk() -> dict[str, Any]:
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key().public_key(), as_dict=True)
    kid = sha256(jwk["n"].encode()).hexdigest()[:16]
    return {"kty": jwk["kty"], "kid": kid, "use": "sig", "alg": ALGORITHM, "n": jwk["n"], "e": jwk["e"]}


@cache
def key() -> rsa.RSAPrivateKey:
    """The key in DATA_DIR, made if there is none; of processes that make one at once, one wins."""
    path = local.data_dir() / "issuer.pem"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        with NamedTemporaryFile(dir=path.parent, prefix="issuer-") as draft:  # its mode is 0600
            draft.write(
                made.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )
            draft.flush()
            with suppress(FileExistsError):
                os.link(draft.name, path)
    loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    return loaded
