"""The conversation with a relay, and what becomes of a message at each point at which it may break."""

from __future__ import annotations

import asyncio
import ssl
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.connectors.smtp.certificates import make_certificate
from tests.connectors.smtp.conftest import BOUNCES, CONTENT, MODULE, SECRET, SENDER, free_port, submission
from tests.connectors.smtp.relay import EXTENSIONS, notification, path_of, post

from sendpool.connectors.base import CarrierId, Rejected, Throttled, Unavailable, Uncertain
from sendpool.connectors.smtp.tokens import Tokens, message_uid
from sendpool.domain.failures import FailureClass as F
from sendpool.domain.message import Content
from sendpool.testing.connector_suite import until

if TYPE_CHECKING:
    from tests.connectors.smtp.conftest import Rig

TOKENS = Tokens(SECRET)
BACK: dict[str, Any] = {"bounce_domain": BOUNCES, "secret": SECRET}


async def test_a_message_is_accepted_under_the_id_of_all_its_tries(rig: Rig) -> None:
    connector = await rig.opened()

    outcome = await rig.outcome(connector, submission(1, n=2))

    assert outcome == CarrierId(message_uid(submission(1, n=1).public_id))
    assert connector.carrier_id(submission(1, n=2).public_id) == outcome.id


async def test_golden_the_commands_of_a_message(rig: Rig) -> None:
    connector = await rig.opened(**BACK)
    uid = message_uid(submission().public_id)

    await rig.outcome(connector)

    (got,) = rig.relay.received
    assert path_of(got.mail) == f"bounce+{TOKENS.token(uid)}@{BOUNCES}"
    assert got.mail.split()[3:] == ["BODY=8BITMIME", "RET=HDRS", f"ENVID={TOKENS.token(uid)}"]
    assert got.rcpt == ("RCPT TO:<reader1@example.org> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;reader1@example.org")


async def test_a_retry_is_known_again_by_its_return_path_and_its_message_id(rig: Rig) -> None:
    connector = await rig.opened(**BACK)

    for n in (1, 2):
        await rig.outcome(connector, submission(1, n=n))

    first, second = rig.relay.received
    assert first.mail == second.mail
    ids = {message_from_bytes(one.data, policy=default)["Message-ID"] for one in (first, second)}
    assert ids == {f"<{message_uid(submission().public_id)}@{BOUNCES}>"}


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",), EXTENSIONS])
async def test_any_relay_gets_a_message_that_it_can_take(rig: Rig, extensions: tuple[str, ...]) -> None:
    rig.relay.extensions = extensions
    connector = await rig.opened(**BACK)
    said = Content(rich={**MODULE, "subject": "Žluť", "text": ".Žluť\n..\n."})

    outcome = await rig.outcome(connector, submission(content=said))

    assert isinstance(outcome, CarrierId)
    (got,) = rig.relay.received
    assert ("BODY=8BITMIME" in got.mail) == ("8BITMIME" in extensions) or got.data.isascii()
    assert b"\r\n." not in got.data.replace(b"\r\n..", b"")
    assert "ENVID" not in got.mail or "DSN" in extensions


async def test_several_messages_share_a_connection_until_it_has_carried_its_share(rig: Rig) -> None:
    connector = await rig.opened(window=1, messages_per_connection=3)
    batch = [submission(n) for n in range(7)]

    await connector.submit(batch)
    await rig.inbox.wait_for(lambda inbox: len(inbox.outcome_list) == 7)

    assert all(isinstance(outcome, CarrierId) for _, _, outcome in rig.inbox.outcome_list)
    assert rig.relay.connections == 3


async def test_a_relay_that_states_how_many_messages_it_takes_is_obeyed(rig: Rig) -> None:
    rig.relay.extensions = (*EXTENSIONS, "LIMITS RCPTMAX=1 MAILMAX=2")
    connector = await rig.opened(window=1)

    await connector.submit([submission(n) for n in range(4)])
    await rig.inbox.wait_for(lambda inbox: len(inbox.outcome_list) == 4)

    assert rig.relay.connections == 2


async def test_a_connection_that_died_while_it_rested_costs_nothing(rig: Rig) -> None:
    connector = await rig.opened(window=1)
    await rig.outcome(connector, submission(1))
    await rig.relay.vanish()
    await rig.relay.start()

    outcome = await rig.outcome(connector, submission(2))

    assert isinstance(outcome, CarrierId)


async def test_a_connection_that_rests_too_long_is_left(rig: Rig) -> None:
    connector = await rig.opened(keep=10.0, idle=1000.0)
    await rig.outcome(connector)

    await asyncio.sleep(11)
    await until(lambda: rig.relay.lines[-1] == "QUIT")

    assert isinstance(await rig.outcome(connector, submission(2)), CarrierId)
    assert rig.relay.connections == 2


@pytest.mark.parametrize(
    ("word", "reply", "outcome"),
    [
        ("MAIL", "550 5.7.1 sender not allowed", Rejected(F.SENDER, "5.7.1", "sender", "smtp/5.7.1")),
        ("MAIL", "421 4.7.28 unusual rate", Throttled("sender", None, "4.7.28")),
        ("RCPT", "550 5.1.1 no such user", Rejected(F.RECIPIENT, "5.1.1", "pair", "smtp/5.1.1")),
        ("RCPT", "450 4.7.1 greylisted", Rejected(F.TRANSIENT, "4.7.1", "message", "smtp/4.7.1")),
        ("DATA", "451 4.3.0 not now", Rejected(F.TRANSIENT, "451", "message", "smtp/451")),
        (".", "554 5.7.1 this is spam", Rejected(F.POLICY, "5.7.1/content", "message", "smtp/5.7.1/content")),
        (".", "552 5.3.4 too big", Rejected(F.CONTENT, "5.3.4", "message", "smtp/5.3.4")),
        ("RCPT", "421 4.3.2 closing", Rejected(F.TRANSIENT, "421", "message", "smtp/421")),
    ],
)
@pytest.mark.parametrize("extensions", [EXTENSIONS, ()])
async def test_a_refusal_has_its_class_and_the_connection_goes_on(
    rig: Rig, extensions: tuple[str, ...], word: str, reply: str, outcome: Any
) -> None:
    rig.relay.extensions = extensions
    rig.relay.replies[word] = reply
    connector = await rig.opened(window=1)

    assert await rig.outcome(connector, submission(1)) == outcome
    rig.relay.replies.clear()
    assert isinstance(await rig.outcome(connector, submission(2)), CarrierId)
    assert (rig.relay.connections > 1) == reply.startswith("421")


async def test_a_relay_that_would_take_a_message_for_nobody_gets_none(rig: Rig) -> None:
    rig.relay.replies |= {"RCPT": "550 5.1.1 no", "DATA": "354 go on", ".": "554 no recipients"}
    connector = await rig.opened(window=1)

    outcome = await rig.outcome(connector)

    assert outcome == Rejected(F.RECIPIENT, "5.1.1", "pair", "smtp/5.1.1")
    assert [one.data for one in rig.relay.received] == [b""]


@pytest.mark.parametrize("word", ["MAIL", "RCPT"])
async def test_a_connection_that_breaks_before_the_message_is_complete_is_a_passing_fault(rig: Rig, word: str) -> None:
    connector = await rig.opened(window=1)
    rig.relay.cut_after = word

    outcome = await rig.outcome(connector)

    assert outcome == Rejected(F.TRANSIENT, "lost", "message", "smtp/lost")
    assert rig.relay.received == []


async def test_golden_half_a_message_that_is_not_taken_is_a_passing_fault(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.relay.extensions = ("PIPELINING",)
    rig.relay.replies["DATA"] = "354 go on"
    stuck = asyncio.Event()

    async def deaf(*_: object) -> None:
        await stuck.wait()

    monkeypatch.setattr(rig.relay, "_message", deaf)
    connector = await rig.opened(window=1)
    large = Content(rich={**MODULE, "html": ("x" * 70 + "\n") * 150_000})

    outcome = await rig.outcome(connector, submission(content=large))
    stuck.set()

    assert outcome == Rejected(F.TRANSIENT, "lost", "message", "smtp/lost")


async def test_golden_a_connection_that_breaks_after_the_final_dot_leaves_it_open(rig: Rig) -> None:
    connector = await rig.opened(window=1)
    rig.relay.cut_after = "."

    outcome = await rig.outcome(connector)

    assert isinstance(outcome, Uncertain)
    assert len(rig.relay.received) == 1


async def test_golden_no_answer_to_the_final_dot_leaves_it_open(rig: Rig) -> None:
    connector = await rig.opened(window=1)
    rig.relay.hold()

    outcome = await rig.outcome(connector)

    assert outcome == Uncertain("no answer within 300 s")
    assert len(rig.relay.received) == 1


@pytest.mark.parametrize("answer", ["hello", "250-a\r\n550 b", "250" + "x" * 5000])
async def test_an_answer_that_is_none_breaks_the_connection(rig: Rig, answer: str) -> None:
    connector = await rig.opened(window=1)
    rig.relay.replies["RCPT"] = answer

    assert await rig.outcome(connector) == Rejected(F.TRANSIENT, "lost", "message", "smtp/lost")


@pytest.mark.parametrize(
    ("greeting", "words"),
    [("554 5.7.1 go away", "refuses us: 554/greeting"), ("554", "refuses us: 554/greeting"), ("421 4.3.2 busy", "421")],
)
async def test_a_relay_that_refuses_us_at_its_door_is_down_and_messages_wait(
    rig: Rig, greeting: str, words: str
) -> None:
    rig.relay.replies["greeting"] = greeting
    connector = rig.connector()
    await connector.open(rig.inbox)
    await rig.inbox.wait_for(lambda inbox: bool(inbox.links))

    outcome = await rig.outcome(connector)

    assert isinstance(outcome, Unavailable)
    assert words in outcome.reason


async def test_golden_credentials_as_they_are_said(rig: Rig, vectors: Any) -> None:
    auth = vectors["auth"]
    rig.relay.extensions = (*EXTENSIONS, "AUTH LOGIN PLAIN XOAUTH2")

    await rig.opened(username=auth["username"], password=auth["password"])
    await rig.opened(username=auth["oauth_username"], token=auth["token"])
    await until(lambda: sum(line.startswith("AUTH") for line in rig.relay.lines) == 2)

    said = [line for line in rig.relay.lines if line.startswith("AUTH")]
    assert said == [auth["plain"], auth["xoauth2"]]


async def test_refused_credentials_take_the_link_down_for_as_long_as_a_person_needs(rig: Rig) -> None:
    rig.relay.extensions = (*EXTENSIONS, "AUTH PLAIN")
    rig.relay.replies["AUTH"] = "535 5.7.8 no"
    connector = rig.connector(username="u", password="wrong")
    await connector.open(rig.inbox)

    await rig.inbox.wait_for(lambda inbox: bool(inbox.links))
    await asyncio.sleep(299)

    assert rig.relay.connections == 1
    assert "refuses the credentials: 5.7.8" in rig.inbox.links[-1].detail
    assert "wrong" not in rig.inbox.links[-1].detail


async def test_a_relay_without_encryption_gets_no_password(rig: Rig) -> None:
    connector = rig.connector(tls="starttls_required", username="u", password="p")
    await connector.open(rig.inbox)

    await rig.inbox.wait_for(lambda inbox: bool(inbox.links))

    assert not rig.inbox.is_up
    assert not [line for line in rig.relay.lines if line.startswith("AUTH")]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"recipient": "nobody"}, "unfit_address"),
        ({"recipient": "a@b\r\nRCPT TO:<x@y>"}, "unfit_address"),
        ({"recipient": "bücher@shop.example"}, "no-utf8"),
        ({"content": Content(text="an SMS")}, "unfit_content"),
        ({"content": Content(rich={**MODULE, "html": "x" * 2_000_000})}, "5.3.4"),
    ],
)
async def test_what_the_relay_cannot_take_is_refused_here(rig: Rig, changes: dict[str, Any], code: str) -> None:
    rig.relay.extensions = ("PIPELINING", "SIZE 1000000")
    connector = await rig.opened(window=1)

    outcome = await rig.outcome(connector, submission(**changes))

    assert isinstance(outcome, Rejected)
    assert outcome.code == code
    assert rig.relay.received == []
    assert isinstance(await rig.outcome(connector, submission(2)), CarrierId)
    assert rig.relay.connections == 1


async def test_an_international_address_goes_to_a_relay_that_takes_it(rig: Rig) -> None:
    connector = await rig.opened()

    outcome = await rig.outcome(connector, submission(recipient="bücher@bücher.example"))

    assert isinstance(outcome, CarrierId)
    (got,) = rig.relay.received
    assert "SMTPUTF8" in got.mail
    assert path_of(got.rcpt) == "bücher@xn--bcher-kva.example"


async def test_messages_of_any_size_go_out_over_tls(rig: Rig, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    await rig.relay.vanish()
    rig.relay.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    rig.relay.tls.load_cert_chain(certificate.file, certificate.key)
    await rig.relay.start()
    rig.relay.extensions = ("PIPELINING", "8BITMIME")
    connector = await rig.opened(window=1, tls="implicit", ca_file=str(certificate.file))
    large = Content(rich={**MODULE, "html": "<p>word</p>\n" * 50_000})

    outcomes = [await rig.outcome(connector, submission(n, content=said)) for n, said in ((1, CONTENT), (2, large))]

    assert all(isinstance(outcome, CarrierId) for outcome in outcomes)
    assert rig.relay.connections == 1


async def test_what_is_closed_before_the_message_is_complete_has_never_left(rig: Rig) -> None:
    connector = await rig.opened(window=1, close_timeout=1.0)
    rig.relay.replies["DATA"] = "250-"  # An answer that never ends.
    sent = submission()
    await connector.submit([sent])
    await until(lambda: "DATA" in rig.relay.lines)

    await connector.close()

    (outcome,) = rig.inbox.outcomes_of(sent.attempt)
    assert outcome == Unavailable("closed before the message was complete")


# -------------------------------------------------------------------- bounces by SMTP and LMTP


async def test_a_bounce_is_acknowledged_once_it_is_stored(rig: Rig) -> None:
    port = free_port()
    connector = await rig.opened(**BACK, bounce_port=port)
    outcome = await rig.outcome(connector)
    back = path_of(rig.relay.received[0].mail)
    rig.inbox.hold()

    sending = asyncio.ensure_future(post(notification("reader1@example.org", "failed", "5.1.1"), back, port))
    await rig.inbox.wait_for(lambda inbox: bool(inbox.offered))
    await asyncio.sleep(1)
    assert not sending.done()
    rig.inbox.resume()

    assert "stored" in await sending
    (receipt,) = rig.inbox.stored
    assert (receipt.carrier_id, receipt.failure, receipt.rule) == (outcome.id, F.RECIPIENT, "smtp/5.1.1")


async def test_a_bounce_to_nobody_of_ours_is_refused(rig: Rig) -> None:
    port = free_port()
    await rig.opened(**BACK, bounce_port=port)

    for to in (f"bounce+{'0' * 32}-{'0' * 10}@{BOUNCES}", "ana@example.org", SENDER):
        with pytest.raises(Exception, match="no such bounce address"):
            await post(notification("a@example.org", "failed", "5.1.1"), to, port)


async def test_a_port_that_somebody_else_has_is_tried_again(rig: Rig) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connector = await rig.opened(**BACK, bounce_port=port)
    await rig.outcome(connector)
    server.close()
    await server.wait_closed()

    await asyncio.sleep(20)

    back = path_of(rig.relay.received[0].mail)
    assert "stored" in await post(notification("reader1@example.org", "delivered", "2.0.0"), back, port)


async def test_bounces_by_lmtp(rig: Rig) -> None:
    port = free_port()
    connector = await rig.opened(**BACK, bounce_port=port, bounce_protocol="lmtp")
    await rig.outcome(connector)
    back = path_of(rig.relay.received[0].mail)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = notification("reader1@example.org", "delivered", "2.0.0").decode()

    for line in ("LHLO relay.example", "MAIL FROM:<>", f"RCPT TO:<{back}>", "DATA", f"{body}.", "QUIT"):
        writer.write(f"{line}\r\n".encode())
        await writer.drain()
    answers = (await reader.read()).decode().splitlines()
    writer.close()

    assert "250 2.0.0 stored" in answers
    assert len(rig.inbox.stored) == 1
