"""What comes by HTTP: people who unsubscribe, and relays that post bounces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.connectors.smtp.conftest import BOUNCES, SECRET
from tests.connectors.smtp.relay import notification, path_of

from sendpool.connectors.base import CallbackAnswer, CallbackRequest, OptedOut
from sendpool.connectors.smtp.connector import SmtpConnector
from sendpool.connectors.smtp.tokens import Tokens
from sendpool.domain.sender import Channel

if TYPE_CHECKING:
    from tests.connectors.smtp.conftest import Rig

UID = f"{0xABC << 6:032x}"
LINK = f"https://send.example.com/callbacks/relay/unsubscribe?t={Tokens(SECRET).seal(UID, 'ana@example.org')}"
ONE_CLICK = b"List-Unsubscribe=One-Click"
OPTIONS: dict[str, Any] = {
    "secret": SECRET,
    "public_url": "https://send.example.com",
    "bounce_domain": BOUNCES,
    "bounce_token": "let-me",
}


async def call(
    connector: SmtpConnector, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> CallbackAnswer:
    path = "/" + url.partition("/callbacks/relay/")[2].partition("?")[0]
    (route,) = [one for one in connector.routes() if (one.method, one.path) == (method, path)]
    return await route.handle(CallbackRequest(url, headers or {}, body))


MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n',
    {"content-type": "multipart/form-data; boundary=b"},
)


@pytest.mark.parametrize(("body", "headers"), [(ONE_CLICK, {}), MULTIPART])
async def test_golden_one_click_unsubscribes(rig: Rig, body: bytes, headers: dict[str, str]) -> None:
    connector = await rig.opened(**OPTIONS)

    answer = await call(connector, "POST", LINK, body, headers)

    assert answer.status == 200
    assert rig.inbox.opt_outs == [OptedOut(Channel.EMAIL, "ana@example.org", "smtp/unsubscribe")]


async def test_golden_looking_at_the_link_changes_nothing(rig: Rig) -> None:
    connector = await rig.opened(**OPTIONS)

    answer = await call(connector, "GET", LINK)

    assert (answer.status, answer.media_type) == (200, "text/html; charset=utf-8")
    assert b"ana@example.org" in answer.body
    assert ONE_CLICK.partition(b"=")[0] in answer.body
    assert rig.inbox.opt_outs == []


@pytest.mark.parametrize(
    ("method", "url", "body", "status"),
    [
        ("POST", LINK, b"List-Unsubscribe=Maybe", 400),
        ("POST", LINK, b"", 400),
        ("POST", LINK, b"\xff", 400),
        ("POST", LINK[:-9], ONE_CLICK, 404),
        ("POST", LINK.partition("?")[0], ONE_CLICK, 404),
        ("GET", LINK[:-9], b"", 404),
    ],
)
async def test_golden_anything_else_changes_nothing(rig: Rig, method: str, url: str, body: bytes, status: int) -> None:
    connector = await rig.opened(**OPTIONS)

    assert (await call(connector, method, url, body)).status == status
    assert rig.inbox.opt_outs == []


async def test_an_unsubscription_that_is_not_stored_is_not_acknowledged(rig: Rig) -> None:
    connector = await rig.opened(**OPTIONS)
    rig.inbox.failures = 1

    assert (await call(connector, "POST", LINK, ONE_CLICK)).status == 503
    assert (await call(connector, "POST", LINK, ONE_CLICK)).status == 200


async def test_a_connector_that_is_never_opened_hears_all_the_same(rig: Rig) -> None:
    connector = rig.connector(**OPTIONS)
    connector.listen(rig.inbox)

    assert (await call(connector, "POST", LINK, ONE_CLICK)).status == 200
    assert rig.relay.connections == 0


BOUNCES_URL = "https://send.example.com/callbacks/relay/bounces"
KNOWN = {"authorization": "Bearer let-me"}


async def test_a_relay_posts_a_bounce(rig: Rig) -> None:
    connector = await rig.opened(**OPTIONS)
    outcome = await rig.outcome(connector)
    body = f"To: {path_of(rig.relay.received[0].mail)}\r\n".encode() + notification("a@example.org", "failed", "5.1.1")
    rig.inbox.failures = 1

    assert (await call(connector, "POST", BOUNCES_URL, body, KNOWN)).status == 503
    assert (await call(connector, "POST", BOUNCES_URL, body, KNOWN)).status == 200
    assert [one.carrier_id for one in rig.inbox.stored] == [outcome.id]


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer let-m"}, {"authorization": "é"}])
async def test_nobody_else_posts_bounces(rig: Rig, headers: dict[str, Any]) -> None:
    connector = await rig.opened(**OPTIONS)

    assert (await call(connector, "POST", BOUNCES_URL, b"", headers)).status == 401


async def test_without_a_secret_there_is_nothing_to_call(rig: Rig) -> None:
    assert (await rig.opened()).routes() == []
