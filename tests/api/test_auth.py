"""Who may see the ward: tokens, roles, expiry, on REST and on the sockets."""

import asyncio
import time

import jwt
import pytest
from websockets.exceptions import ConnectionClosed

from api.app import create_app
from api.auth import AuthError, Identity, issue_token, read_token
from api.config import ApiConfig

from .conftest import SECRET, Api, message


def test_roles_are_ordered() -> None:
    """Each role may do what those before it may, and no more."""
    for role, may in (("viewer", 1), ("nurse", 2), ("admin", 3)):
        identity = read_token(SECRET, issue_token(SECRET, "eva", role, 60))
        assert (identity.name, identity.role) == ("eva", role)
        assert [identity.may(other) for other in ("viewer", "nurse", "admin")] == [k < may for k in range(3)]


@pytest.mark.parametrize(
    ("sub", "role", "ttl", "said"),
    [
        ("eva", "doctor", 60, "'doctor'"),
        ("", "viewer", 60, "sub"),
        ("eva", "viewer", 0, "ttl"),
        ("eva", "viewer", float("nan"), "ttl"),
    ],
)
def test_senseless_tokens_are_not_issued(sub: str, role: str, ttl: float, said: str) -> None:
    """A wrong role or time is refused where it is given, not when somebody is locked out."""
    with pytest.raises(ValueError, match=said):
        issue_token(SECRET, sub, role, ttl)


def test_short_secret_is_refused() -> None:
    """A secret that can be guessed is none, neither for signing nor for serving."""
    with pytest.raises(ValueError, match="32 bytes, got 31"):
        issue_token("x" * 31, "eva", "viewer", 60)
    with pytest.raises(ValueError, match="32 bytes, got 5"):
        create_app(ApiConfig(redis_url="redis://127.0.0.1:1", secret="short"))


def forged() -> dict[str, str]:
    """Tokens that must not pass, by what is wrong with them."""
    good = {"sub": "eva", "role": "admin", "exp": time.time() + 60}
    unsigned = jwt.encode(good, "", algorithm="none")
    return {
        "another secret": jwt.encode(good, "another secret, as long as the real one is", algorithm="HS256"),
        "no signature": unsigned,
        "another algorithm": jwt.encode(good, SECRET * 2, algorithm="HS512"),
        "expired": jwt.encode(good | {"exp": time.time() - 1}, SECRET, algorithm="HS256"),
        "no end": jwt.encode({"sub": "eva", "role": "admin"}, SECRET, algorithm="HS256"),
        "no role": jwt.encode({"sub": "eva", "exp": time.time() + 60}, SECRET, algorithm="HS256"),
        "unknown role": jwt.encode(good | {"role": "root"}, SECRET, algorithm="HS256"),
        "rubbish": "rubbish",
    }


@pytest.mark.parametrize("what", list(forged()))
def test_forged_tokens_do_not_pass(what: str) -> None:
    """Unsigned, signed otherwise, expired, endless, without a role: refused with a reason."""
    with pytest.raises(AuthError, match="token: "):
        read_token(SECRET, forged()[what])


async def test_everything_but_health_and_console_needs_a_token(api: Api) -> None:
    """A list of what is open, so that a new route cannot be open by accident."""
    for path in ("/beds", "/beds/b1", "/beds/b1/strip", "/alarms", "/alarms/active", "/metrics",
                 "/openapi.json", "/asyncapi.json"):  # fmt: skip
        refused = api.get(path, token=None)
        assert refused.status_code == 401, path
        assert "Authorization" in refused.json()["error"]
        assert refused.headers["www-authenticate"] == "Bearer"
        assert api.get(path, token=forged()["another secret"]).status_code == 401, path
        assert api.get(path).status_code != 401, path
    for path in ("/live", "/ready"):
        assert api.get(path, token=None).status_code != 401


@pytest.mark.parametrize("path", ["/ws/alarms", "/ws/waves?beds=*"])
async def test_sockets_refuse_with_4401(api: Api, path: str) -> None:
    """A browser sees the code and the reason, which it would not if the handshake were refused."""
    for token, said in ((forged()["expired"], "expired"), (forged()["another secret"], "verification")):
        async with api.socket(path, token=token) as socket:
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 4401
            assert said in str(socket.close_reason)
    async with api.socket(path, subprotocols=["wardbeat"]) as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4401


async def test_socket_takes_the_header_too(api: Api) -> None:
    """Programs need no trick with subprotocols."""
    headers = {"Authorization": f"Bearer {api.token()}"}
    async with api.socket("/ws/alarms", subprotocols=None, additional_headers=headers) as socket:
        assert (await message(socket))["type"] == "hello"


async def test_socket_ends_with_its_token(api: Api) -> None:
    """A token that has expired does not go on seeing the ward because its connection is still open."""
    async with api.socket("/ws/alarms", token=api.token(ttl=2)) as socket:
        bye = await message(socket, "bye")
        assert "expired" in bye["reason"]
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(3):
                await socket.recv()
        assert socket.close_code == 4401


def test_identity_is_what_the_token_says() -> None:
    """Nothing is added to what was signed."""
    expires = int(time.time() + 60)
    token = jwt.encode({"sub": "eva", "role": "nurse", "exp": expires}, SECRET, algorithm="HS256")
    assert read_token(SECRET, token) == Identity("eva", "nurse", float(expires))
