"""Who may see the ward: signed tokens with a role and an end."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import jwt
from fastapi import Request

from api.errors import ApiError

ALGORITHM = "HS256"  # pinned: a token must not choose how it is checked
MIN_SECRET = 32  # bytes: RFC 7518 asks for a key as long as the hash
ROLES = ("viewer", "nurse", "admin")  # each may do what those before it may


class AuthError(ValueError):
    """The token is missing, wrong, or expired; says which."""


@dataclass(frozen=True)
class Identity:
    """Whom a token speaks for: name, role, and the Unix second at which it ends."""

    name: str
    role: str
    expires: float

    def may(self, role: str) -> bool:
        """Whether this is ``role`` or more."""
        return ROLES.index(self.role) >= ROLES.index(role)


def check_secret(secret: str) -> str:
    """The secret itself. Raises ValueError if it is too short to sign with."""
    if len(secret.encode()) < MIN_SECRET:
        raise ValueError(f"secret: expected at least {MIN_SECRET} bytes, got {len(secret.encode())}")
    return secret


def issue_token(secret: str, sub: str, role: str, ttl: float) -> str:
    """A signed token for ``sub``, good for ``ttl`` seconds.

    Raises:
        ValueError: names what is wrong: the secret's length, the role, an empty name, or the time.
    """
    if role not in ROLES:
        raise ValueError(f"role: expected one of {', '.join(ROLES)}, got {role!r}")
    if not sub:
        raise ValueError("sub: expected a name, got none")
    if not ttl > 0:
        raise ValueError(f"ttl: expected a positive number of seconds, got {ttl!r}")
    now = time.time()
    claims = {"sub": sub, "role": role, "iat": int(now), "exp": int(now + ttl)}
    return jwt.encode(claims, check_secret(secret), algorithm=ALGORITHM)


def read_token(secret: str, token: str) -> Identity:
    """Whom the token speaks for. Raises AuthError with the reason if it is not good."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token, secret, algorithms=[ALGORITHM], options={"require": ["sub", "exp", "role"]}
        )
    except jwt.PyJWTError as error:
        raise AuthError(f"token: {error}") from None
    role = claims["role"]
    if role not in ROLES:
        raise AuthError(f"token: expected a role of {', '.join(ROLES)}, got {role!r}")
    return Identity(str(claims["sub"]), role, float(claims["exp"]))


def token_in_header(header: str | None) -> str:
    """The token in an ``Authorization`` header. Raises AuthError if there is none."""
    if not header:
        raise AuthError("Authorization: expected 'Bearer <token>', got nothing")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise AuthError(f"Authorization: expected 'Bearer <token>', got the scheme {scheme!r}")
    return token.strip()


def require(role: str) -> Callable[[Request], Awaitable[Identity]]:
    """A FastAPI dependency: the caller, who holds ``role`` or more; 401 or 403 otherwise."""

    async def caller(request: Request) -> Identity:
        try:
            token = token_in_header(request.headers.get("Authorization"))
            identity = read_token(request.app.state.ward.config.secret, token)
        except AuthError as error:
            raise ApiError(401, str(error)) from None
        if not identity.may(role):
            raise ApiError(403, f"role: expected {role} or more, got {identity.role!r}")
        return identity

    return caller
