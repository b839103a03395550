"""Tokens: signed grants as google-auth makes them, renewed ahead, asked for once at a time, never told to anybody."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from sendpool.connectors.rcs.access import AccountTokens, NoToken, ServiceAccount, grant, read_account
from sendpool.connectors.web import NoAnswer, NotSent, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
ACCOUNT = {
    "type": "service_account",
    "client_email": "agent@example.iam.gserviceaccount.com",
    "private_key_id": "key-1",
    "private_key": PEM,
    "token_uri": "https://oauth2.googleapis.com/token",
}


def parts(token: str) -> list[Any]:
    header, claims, _ = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
    return [json.loads(header), json.loads(claims)]


class Endpoint:
    """A token endpoint that answers what a test says and counts."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.life = 3600.0
        self.fault: Exception | None = None
        self.reply: Reply | None = None
        self.takes = 0.0

    async def post(self, url: str, form: bytes) -> Reply:
        self.asked.append(parse_qs(form.decode()))
        await asyncio.sleep(self.takes)
        if self.fault is not None:
            raise self.fault
        answer = {"access_token": f"ya29.{len(self.asked)}", "expires_in": self.life, "token_type": "Bearer"}
        return self.reply or Reply(200, {}, json.dumps(answer).encode())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "account.json"
    store(path)
    return path


def store(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**ACCOUNT, **changes}), encoding="utf-8")


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def tokens(file: Path, endpoint: Endpoint) -> AccountTokens:
    return AccountTokens(str(file), endpoint.post, lambda: 1763773260.0)


# The grant


def test_grant_has_header_and_claims_as_google_auth_makes_them(vectors: Any) -> None:
    golden = vectors["grant"]
    account = ServiceAccount(**golden["account"], private_key=PEM)

    assert parts(grant(account, golden["issued_at"] + 0.7)) == parts(golden["assertion"])


def test_golden_grant_and_ours_are_signed_in_the_same_way(vectors: Any, file: Path) -> None:
    golden = vectors["grant"]
    theirs = serialization.load_pem_public_key(golden["public_key"].encode())
    assert isinstance(theirs, rsa.RSAPublicKey)

    for token, key in ((golden["assertion"], theirs), (grant(read_account(str(file)), 0.0), KEY.public_key())):
        signed, _, signature = token.rpartition(".")
        octets = base64.urlsafe_b64decode(signature + "==")
        key.verify(octets, signed.encode(), padding.PKCS1v15(), hashes.SHA256())


# The file


def _ec_pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "cannot be read: No such file or directory"),
        (lambda path: path.write_text("nonsense"), "is no service account's JSON file with client_email, private_key"),
        (lambda path: path.write_bytes(b"\xff\xff"), "is no service account's JSON file"),
        (lambda path: store(path, client_email=5), "is no service account's JSON file"),
        (
            lambda path: store(path, private_key="secret"),
            "holds no readable private_key",
        ),
        (lambda path: store(path, private_key=_ec_pem()), "that is no RSA key"),
        (lambda path: store(path, token_uri="nowhere"), "names no URL in token_uri"),
    ],
)
def test_a_bad_file_is_named_without_its_contents(file: Path, spoil: Callable[[Path], None], said: str) -> None:
    spoil(file)

    with pytest.raises(ValueError) as error:
        read_account(str(file))

    assert said in str(error.value)
    assert str(file) in str(error.value)
    assert "PRIVATE" not in str(error.value)
    assert "secret" not in str(error.value)


def test_an_account_shows_whose_it_is_and_not_its_key(file: Path) -> None:
    assert repr(read_account(str(file))) == "ServiceAccount(agent@example.iam.gserviceaccount.com)"


# Renewal


async def test_token_is_asked_for_once_however_many_want_it(tokens: AccountTokens, endpoint: Endpoint) -> None:
    endpoint.takes = 1.0

    assert set(await asyncio.gather(*(tokens.token() for _ in range(50)))) == {"ya29.1"}

    assert len(endpoint.asked) == 1
    assert endpoint.asked[0]["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert parts(endpoint.asked[0]["assertion"][0])[1]["iat"] == 1763773260


async def test_token_is_kept_until_300_s_before_its_end_and_then_renewed_beside(
    tokens: AccountTokens, endpoint: Endpoint
) -> None:
    await tokens.token()
    await asyncio.sleep(3299)
    assert await tokens.token() == "ya29.1"
    assert len(endpoint.asked) == 1

    endpoint.takes = 5.0
    await asyncio.sleep(2)
    before = asyncio.get_running_loop().time()
    assert await tokens.token() == "ya29.1"
    assert asyncio.get_running_loop().time() == before, "nobody waits while the old token holds"
    await asyncio.sleep(6)
    assert await tokens.token() == "ya29.2"


async def test_short_token_is_renewed_at_half_its_life(tokens: AccountTokens, endpoint: Endpoint) -> None:
    endpoint.life = 100.0
    await tokens.token()
    await asyncio.sleep(49)
    await tokens.token()
    assert len(endpoint.asked) == 1
    await asyncio.sleep(2)
    await tokens.token()
    await asyncio.sleep(1)
    assert len(endpoint.asked) == 2


async def test_renewal_that_fails_leaves_the_old_token_until_its_end(tokens: AccountTokens, endpoint: Endpoint) -> None:
    await tokens.token()
    endpoint.fault = NotSent("Connection refused")
    await asyncio.sleep(3400)
    for _ in range(100):
        assert await tokens.token() == "ya29.1"
        await asyncio.sleep(1)
    assert len(endpoint.asked) <= 1 + 11, "not with every message"
    await asyncio.sleep(200)
    with pytest.raises(NoToken, match="token endpoint: Connection refused"):
        await tokens.token()


async def test_refused_token_is_replaced_once(tokens: AccountTokens) -> None:
    first = await tokens.token()
    tokens.refused(first)
    second = await tokens.token()
    tokens.refused(first)

    assert (first, second) == ("ya29.1", "ya29.2")
    assert await tokens.token() == "ya29.2", "an old refusal does not touch the new token"


async def test_changed_file_takes_effect_with_the_next_renewal(
    tokens: AccountTokens, endpoint: Endpoint, file: Path
) -> None:
    first = await tokens.token()
    store(file, private_key_id="key-2")
    tokens.refused(first)
    await tokens.token()

    assert [parts(asked["assertion"][0])[0]["kid"] for asked in endpoint.asked] == ["key-1", "key-2"]


def _json(status: int, value: object) -> Reply:
    return Reply(status, {}, json.dumps(value).encode())


@pytest.mark.parametrize(
    ("reply", "said", "refused"),
    [
        (_json(400, {"error": "invalid_grant"}), "token endpoint answers 400 (invalid_grant)", True),
        (_json(401, {"error": "invalid_client"}), "token endpoint answers 401 (invalid_client)", True),
        (_json(403, {"error": "secret words"}), "token endpoint answers 403", True),
        (_json(429, {}), "token endpoint answers 429", False),
        (Reply(503, {}, b"<html>"), "token endpoint answers 503", False),
        (Reply(200, {}, b"<html>"), "token endpoint answers without a token", False),
        (_json(200, {"token": "x"}), "token endpoint answers without a token", False),
    ],
)
async def test_refusals_say_why_and_whether_only_a_person_can_mend_it(
    tokens: AccountTokens, endpoint: Endpoint, reply: Reply, said: str, refused: bool
) -> None:
    endpoint.reply = reply

    with pytest.raises(NoToken) as error:
        await tokens.token()

    assert (str(error.value), error.value.refused) == (said, refused)


async def test_no_answer_and_a_lost_file_are_no_token(tokens: AccountTokens, endpoint: Endpoint, file: Path) -> None:
    endpoint.fault = NoAnswer("no answer within 15 s")
    with pytest.raises(NoToken, match="token endpoint: no answer within 15 s"):
        await tokens.token()
    store(file, private_key="gone")
    with pytest.raises(NoToken, match="holds no readable private_key") as error:
        await tokens.token()

    assert error.value.refused


async def test_one_waiter_that_gives_up_does_not_stop_the_others(tokens: AccountTokens, endpoint: Endpoint) -> None:
    endpoint.takes = 5.0
    patient = asyncio.ensure_future(tokens.token())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await tokens.token()

    assert await patient == "ya29.1"
