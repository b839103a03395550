"""The connector posts each message once, whatever happens, and hears what became of it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from sendpool.connectors.base import (
    CallbackRequest,
    CarrierId,
    Inbound,
    Receipt,
    ReceiptState,
    Rejected,
    SenderSettings,
    Throttled,
    Unavailable,
    Uncertain,
)
from sendpool.connectors.rcs.connector import RcsConnector
from sendpool.connectors.rcs.events import signature
from sendpool.domain.failures import FailureClass as F
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.connectors.rcs.conftest import Rehearse, Rig

PERSON = "+447700900001"


def now() -> float:
    return asyncio.get_running_loop().time()


def codes(rig: Rig) -> list[str]:
    return [receipt.code for receipt in rig.inbox.stored]


# Sending


async def test_a_message_is_posted_under_our_id_and_reported_delivered(rig: Rig) -> None:
    connector = await rig.opened()

    outcome = await rig.outcome(connector, rig.submission(validity=600))
    await rig.inbox.wait_for(lambda inbox: bool(inbox.stored))

    (message,) = rig.platform.messages
    assert outcome == CarrierId(message.message_id)
    assert outcome.id == connector.carrier_id(rig.submission().public_id)
    assert UUID(outcome.id).hex == rig.submission().public_id[2:]
    assert (message.phone, message.agent, message.text) == (PERSON, "a1", "Hello")
    assert (message.ttl, message.traffic) == (600.0, "TRANSACTION")
    assert rig.inbox.stored == [Receipt(outcome.id, ReceiptState.DELIVERED, None, "DELIVERED")]


async def test_a_message_that_is_read_says_so(rehearse: Rehearse) -> None:
    rig = await rehearse(read_delay=1)
    await rig.outcome(await rig.opened())

    await rig.inbox.wait_for(lambda inbox: len(inbox.stored) == 2)

    assert [receipt.state for receipt in rig.inbox.stored] == [ReceiptState.DELIVERED, ReceiptState.READ]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("no-rcs", Rejected(F.CHANNEL, "404", "pair", "rcs/404")),
        ("refuse status=400", Rejected(F.CONTENT, "400", "message", "rcs/400")),
        ("refuse status=403", Rejected(F.SENDER, "403", "sender", "rcs/403")),
        ("refuse status=401", Rejected(F.ACCOUNT, "401", "connection", "rcs/401")),
        ("refuse status=412", Rejected(F.SENDER, "412", "sender", "rcs/412")),
        ("refuse status=429", Throttled("sender", None, "429")),
        ("refuse status=429 about=user", Rejected(F.CAP, "429/user", "pair", "rcs/429/user")),
        ("throttle mps=1", CarrierId("")),
    ],
)
async def test_a_firm_answer_is_told_at_once_and_nothing_is_repeated(
    rehearse: Rehearse, fault: str, expected: Any
) -> None:
    rig = await rehearse(fault)

    outcome = await rig.outcome(await rig.opened())

    assert outcome == (CarrierId(rig.platform.messages[0].message_id) if expected == CarrierId("") else expected)
    assert len(rig.platform.messages) == 1


async def test_too_fast_is_throttled_and_the_first_one_goes(rehearse: Rehearse) -> None:
    rig = await rehearse("throttle mps=1")
    connector = await rig.opened()

    await rig.outcome(connector, rig.submission(1))

    assert await rig.outcome(connector, rig.submission(2)) == Throttled("sender", None, "429")


@pytest.mark.parametrize("status", [499, 500, 503])
async def test_passing_faults_are_repeated_with_the_same_id_then_told(rehearse: Rehearse, status: int) -> None:
    rig = await rehearse(f"refuse status={status}")
    connector = await rig.opened()
    began = now()

    outcome = await rig.outcome(connector)

    assert outcome == Rejected(F.TRANSIENT, str(status), "message", f"rcs/{status}")
    assert len(rig.platform.messages) == 4
    assert len({message.message_id for message in rig.platform.messages}) == 1
    assert 3.5 <= now() - began < 4


async def test_a_passing_fault_that_passes_is_not_noticed(rehearse: Rehearse) -> None:
    rig = await rehearse("refuse status=503 until=1")
    connector = await rig.opened()

    outcome = await rig.outcome(connector)

    assert isinstance(outcome, CarrierId)
    assert [message.status for message in rig.platform.messages] == [503, 503, 200]


async def test_golden_post_that_times_out_twice_is_one_attempt_with_one_id(rehearse: Rehearse) -> None:
    # The events are lost, so that only the third answer can tell.
    rig = await rehearse("no-answer until=20", "lost-event")
    connector = await rig.opened()
    began = now()

    outcome = await rig.outcome(connector)

    assert [message.repeated for message in rig.platform.messages] == [False, True, True]
    assert outcome == CarrierId(rig.platform.messages[0].message_id)
    assert len({message.message_id for message in rig.platform.messages}) == 1
    assert rig.platform.totals().duplicates == 0
    assert len(rig.inbox.outcome_list) == 1
    assert 31.5 <= now() - began < 32


async def test_an_id_that_was_used_is_an_acceptance(rehearse: Rehearse) -> None:
    rig = await rehearse("no-answer until=1", "lost-event", repeat_status=409)

    outcome = await rig.outcome(await rig.opened())

    assert isinstance(outcome, CarrierId)
    assert [message.status for message in rig.platform.messages] == [200, 409]


async def test_without_any_answer_it_is_uncertain_after_three_repeats(rehearse: Rehearse) -> None:
    rig = await rehearse("no-answer", "lost-event")
    connector = await rig.opened(response_timeout=5)

    outcome = await rig.outcome(connector)

    assert outcome == Uncertain("no answer within 5 s")
    assert len(rig.platform.messages) == 4


async def test_doubt_is_not_settled_by_what_a_later_try_meets(rehearse: Rehearse) -> None:
    rig = await rehearse("no-answer until=1", "refuse status=429 from=10", "lost-event")

    assert await rig.outcome(await rig.opened()) == Uncertain("no answer within 15 s")
    assert [message.status for message in rig.platform.messages] == [200, 429, 429, 429]


async def test_doubt_is_settled_by_a_firm_refusal_of_the_message(rehearse: Rehearse) -> None:
    rig = await rehearse("refuse status=504 until=1", "no-rcs from=1")

    assert await rig.outcome(await rig.opened()) == Rejected(F.CHANNEL, "404", "pair", "rcs/404")


async def test_tries_end_with_the_time_that_the_message_is_worth(rehearse: Rehearse) -> None:
    rig = await rehearse("no-answer", "lost-event")
    connector = await rig.opened()
    began = now()

    assert await rig.outcome(connector, rig.submission(validity=20)) == Uncertain("no answer within 4.5 s")
    assert 20 <= now() - began < 21.5
    assert [message.ttl for message in rig.platform.messages] == [20.0, 10.0]


async def test_more_than_200_a_second_go_over_connections_that_are_kept(rehearse: Rehearse) -> None:
    rig = await rehearse(answer_delay=0.25)
    connector = await rig.opened(window=100)
    began = now()

    await connector.submit([rig.submission(n) for n in range(400)])
    await rig.inbox.wait_for(lambda inbox: len(inbox.outcome_list) == 400)

    assert now() - began < 1.5
    assert rig.platform.most_unanswered == 100
    assert rig.platform.connections_made <= 101


async def test_an_attempt_has_the_same_id_after_a_restart(rig: Rig) -> None:
    assert len({rig.connector().carrier_id(rig.submission().public_id) for _ in range(3)}) == 1


async def test_another_attempt_of_a_message_is_another_message_to_the_platform(rig: Rig) -> None:
    connector = await rig.opened()

    await rig.outcome(connector, rig.submission(1, n=1))
    await rig.outcome(connector, rig.submission(1, n=2))

    assert [message.status for message in rig.platform.messages] == [200, 200]
    assert rig.platform.totals().repeats == 0


async def test_what_cannot_be_sent_over_rcs_is_refused_here(rig: Rig) -> None:
    connector = await rig.opened()
    long = Content(text="x" * 3073)

    assert await rig.outcome(connector, rig.submission(1, recipient="nobody")) == Rejected(
        F.RECIPIENT, "unfit_address", "pair"
    )
    assert await rig.outcome(connector, rig.submission(2, content=long)) == Rejected(F.CONTENT, "unfit_content")
    assert rig.platform.messages == []


# Proof by events


async def test_an_event_before_the_answer_is_a_receipt_all_the_same(rehearse: Rehearse) -> None:
    rig = await rehearse("early-receipt")

    outcome = await rig.outcome(await rig.opened())

    assert rig.inbox.stored == [Receipt(outcome.id, ReceiptState.DELIVERED, None, "DELIVERED")]


async def test_an_event_about_a_message_without_an_answer_proves_that_it_got_in(rehearse: Rehearse) -> None:
    rig = await rehearse("no-answer")

    outcome = await rig.outcome(await rig.opened())

    assert outcome == CarrierId(rig.platform.messages[0].message_id)
    assert len(rig.platform.messages) == 1, "what is proven is not posted again"


async def test_an_event_after_the_tries_settles_the_doubt_before_its_receipt_comes(rehearse: Rehearse) -> None:
    rig = await rehearse("no-answer", receipt_delay=100)
    connector, sent = await rig.opened(response_timeout=5), rig.submission()

    assert await rig.outcome(connector, sent) == Uncertain("no answer within 5 s")
    await rig.inbox.wait_for(lambda inbox: bool(inbox.stored), within=200)

    proof = CarrierId(connector.carrier_id(sent.public_id))
    assert rig.inbox.outcomes_of(sent.attempt) == [Uncertain("no answer within 5 s"), proof]
    assert rig.inbox.stored[0].carrier_id == proof.id


# The end of its time, and taking back


async def test_golden_ttl_that_ends_is_told_as_expired(rehearse: Rehearse) -> None:
    rig = await rehearse("undelivered")
    began = now()
    outcome = await rig.outcome(await rig.opened(), rig.submission(validity=20))

    await rig.inbox.wait_for(lambda inbox: bool(inbox.stored), within=30)

    rule = "rcs/TTL_EXPIRATION_REVOKED"
    assert rig.inbox.stored == [Receipt(outcome.id, ReceiptState.EXPIRED, F.EXPIRED, "TTL_EXPIRATION_REVOKED", rule)]
    assert 20 <= now() - began < 21


async def test_golden_ttl_that_could_not_be_revoked_is_in_doubt_until_it_is_delivered(rehearse: Rehearse) -> None:
    rig = await rehearse("revoke-fails", "slow-receipt seconds=28")
    await rig.outcome(await rig.opened(), rig.submission(validity=20))

    await rig.inbox.wait_for(lambda inbox: len(inbox.stored) == 2, within=60)

    assert codes(rig) == ["TTL_EXPIRATION_REVOKE_FAILED", "DELIVERED"]
    assert (rig.inbox.stored[0].state, rig.inbox.stored[0].failure) == (ReceiptState.UNKNOWN, F.AMBIGUOUS)


async def test_a_message_that_is_held_is_taken_back(rehearse: Rehearse) -> None:
    rig = await rehearse("silence")
    connector = await rig.opened()
    outcome = await rig.outcome(connector)

    assert await connector.revoke(outcome.id, PERSON, "a1") is True
    assert rig.platform.messages[0].state == "revoked"


async def test_a_message_that_was_delivered_is_not_taken_back(rig: Rig) -> None:
    connector = await rig.opened()
    outcome = await rig.outcome(connector)
    await rig.inbox.wait_for(lambda inbox: bool(inbox.stored))

    assert await connector.revoke(outcome.id, PERSON, "a1") is False
    assert await connector.revoke("unknown", PERSON, "a1") is False
    assert await connector.revoke(outcome.id, "nobody", "a1") is False


async def test_a_message_of_unknown_fate_can_be_taken_back_by_its_attempt(rehearse: Rehearse) -> None:
    rig = await rehearse("no-answer", "silence")
    connector, sent = await rig.opened(response_timeout=2), rig.submission()
    assert isinstance(await rig.outcome(connector, sent), Uncertain)

    assert await connector.revoke(connector.carrier_id(sent.public_id), PERSON, "a1") is True


async def test_nobody_can_say_whether_it_was_taken_back_while_the_platform_is_away(rehearse: Rehearse) -> None:
    rig = await rehearse("silence")
    connector = await rig.opened()
    outcome = await rig.outcome(connector)
    await rig.platform.begin_outage()

    assert await connector.revoke(outcome.id, PERSON, "a1") is None
    assert rig.platform.messages[0].state == "held"


async def test_too_late_after_a_try_without_an_answer_says_nothing(rehearse: Rehearse) -> None:
    rig = await rehearse("silence", "slow-revoke seconds=30 until=1")
    connector = await rig.opened()
    outcome = await rig.outcome(connector)

    # The first request is carried out, but its answer never comes; the second finds nothing to take back.
    assert await connector.revoke(outcome.id, PERSON, "a1") is None
    assert rig.platform.messages[0].state == "revoked"


async def test_revoke_after_close_never_raises(rig: Rig) -> None:
    connector = await rig.opened()
    outcome = await rig.outcome(connector)
    await connector.close()

    assert await connector.revoke(outcome.id, PERSON, "a1") is None


# Look-ups


async def test_look_ups_agree_with_what_a_send_meets(rehearse: Rehearse) -> None:
    rig = await rehearse("no-rcs share=0.3", seed=7)
    connector = await rig.opened()
    people = [rig.submission(n) for n in range(100)]

    found = await connector.capabilities([one.recipient for one in people])
    await connector.submit(people)
    await rig.inbox.wait_for(lambda inbox: len(inbox.outcome_list) == 100)

    taken = {one.recipient: isinstance(rig.inbox.outcomes_of(one.attempt)[0], CarrierId) for one in people}
    assert found == taken
    assert 15 <= sum(not there for there in taken.values()) <= 45


async def test_a_look_up_of_one_brings_its_features(rig: Rig) -> None:
    connector = await rig.opened()

    found = await connector.look_up(PERSON)

    assert found.reachable
    assert "REVOCATION" in found.features
    assert await connector.capabilities([PERSON]) == {PERSON: True}


async def test_a_look_up_that_takes_too_long_is_unknown(rehearse: Rehearse) -> None:
    rig = await rehearse("slow-look-up seconds=3")
    connector = await rig.opened()
    began = now()

    assert (await connector.look_up(PERSON)).reachable is None
    assert now() - began == pytest.approx(2, abs=0.1)
    assert await connector.capabilities([PERSON, "+447700900002"]) == {PERSON: True, "+447700900002": True}


@pytest.mark.parametrize("fault", ["look-up-fails status=503", "look-up-fails status=429", "wrong-region"])
async def test_a_look_up_that_fails_is_unknown(rehearse: Rehearse, fault: str) -> None:
    rig = await rehearse(fault)
    connector = await rig.opened()

    assert set((await connector.capabilities([PERSON, "+447700900002"])).values()) == {None}


async def test_look_ups_do_not_queue_behind_messages(rehearse: Rehearse) -> None:
    rig = await rehearse()
    connector = await rig.opened(window=2)
    rig.platform.hold_answers()
    await connector.submit([rig.submission(n) for n in range(10)])

    assert await connector.capabilities([PERSON]) == {PERSON: True}


# The service account


@pytest.fixture
def account_file(tmp_path: Path) -> Path:
    return tmp_path / "account.json"


def store(path: Path, account: dict[str, str]) -> None:
    path.write_text(json.dumps(account), encoding="utf-8")


def private_key(path: Path) -> str:
    return str(json.loads(path.read_text(encoding="utf-8"))["private_key"])


async def with_account(rehearse: Rehearse, account_file: Path, **settings: Any) -> Rig:
    rig = await rehearse(token="only tokens that were given out", **settings)
    store(account_file, rig.platform.service_account())
    return rig


async def test_messages_go_with_the_token_of_a_service_account(rehearse: Rehearse, account_file: Path) -> None:
    rig = await with_account(rehearse, account_file)
    connector = await rig.opened(token=None, service_account_file=str(account_file))

    await connector.submit([rig.submission(n) for n in range(20)])
    await rig.inbox.wait_for(lambda inbox: len(inbox.outcome_list) == 20)

    assert all(isinstance(outcome, CarrierId) for _, _, outcome in rig.inbox.outcome_list)
    assert rig.platform.totals().tokens == 1


async def test_token_that_was_withdrawn_is_replaced_without_anybody_noticing(
    rehearse: Rehearse, account_file: Path
) -> None:
    rig = await with_account(rehearse, account_file)
    connector = await rig.opened(token=None, service_account_file=str(account_file))
    rig.platform.accounts.withdraw()

    outcome = await rig.outcome(connector)

    assert isinstance(outcome, CarrierId)
    assert len(rig.platform.messages) == 1
    assert rig.platform.totals().tokens == 2


async def test_account_that_is_refused_keeps_the_link_down_for_five_minutes(
    rehearse: Rehearse, account_file: Path
) -> None:
    rig = await with_account(rehearse, account_file)
    another = rig.platform.service_account() | {"client_email": "stranger@simulate.example"}
    store(account_file, another)
    connector = rig.connector(token=None, service_account_file=str(account_file))
    await connector.open(rig.inbox)
    await rig.inbox.wait_for(lambda inbox: bool(inbox.links))
    assert rig.inbox.links[-1].detail == "token endpoint answers 400 (invalid_grant)"
    assert isinstance(await rig.outcome(connector), Unavailable)

    store(account_file, rig.platform.service_account())
    began = now()
    await rig.inbox.wait_for(lambda inbox: inbox.is_up, within=400)

    assert 299 <= now() - began <= 301


async def test_token_of_the_configuration_that_is_refused_is_the_accounts_fault(rehearse: Rehearse) -> None:
    rig = await rehearse(token="another")

    assert await rig.outcome(await rig.opened()) == Rejected(F.ACCOUNT, "401", "connection", "rcs/401")


# The link


async def test_link_that_is_down_says_why_without_a_number(rig: Rig) -> None:
    await rig.platform.begin_outage()
    connector = rig.connector()
    await connector.open(rig.inbox)
    await rig.inbox.wait_for(lambda inbox: bool(inbox.links))

    assert rig.inbox.links[-1] == (False, 0, f"no connection to {rig.platform.url}: Connection refused")
    assert isinstance(await rig.outcome(connector), Unavailable)


async def test_an_outage_in_between_is_survived_by_messages_in_doubt(rehearse: Rehearse) -> None:
    rig = await rehearse("drop after=1 answered=false", "outage from=1 until=2.2", "lost-event")
    connector = await rig.opened()

    outcome = await rig.outcome(connector)

    assert isinstance(outcome, CarrierId)
    assert rig.platform.totals().duplicates == 0
    assert rig.platform.totals().accepted == 1


# The webhook


def signed(rig: Rig, data: dict[str, Any], token: str = "SJENCPGJESMGUFPY") -> tuple[dict[str, str], bytes]:
    return rig.platform.webhook._envelope(data, {})[1] | {"x-goog-signature": signature(token, json_of(data))}, (
        rig.platform.webhook._envelope(data, {})[0]
    )


def json_of(data: dict[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


DELIVERED = {"senderPhoneNumber": PERSON, "eventType": "DELIVERED", "eventId": "e1", "messageId": "m1"}


async def test_webhook_is_one_route_below_the_connections_name(rig: Rig) -> None:
    (route,) = rig.connector().routes()

    assert (route.method, route.path) == ("POST", "/events")


async def test_handshake_is_answered_with_the_secret_only_for_our_token(rig: Rig) -> None:
    await rig.opened()

    assert await rig.platform.webhook.verify("1234567890") == (200, b"1234567890")
    assert await rig.platform.webhook.verify("1234567890", "another") == (400, b"")


async def test_forged_event_is_refused_and_counted(rig: Rig) -> None:
    connector = await rig.opened()
    with capture_logs() as logs:
        for _ in range(5):
            answer = await connector.receive(*signed(rig, DELIVERED, token="guessed"))
            assert answer.status == 401
        assert (await connector.receive({}, signed(rig, DELIVERED)[1])).status == 401

    assert connector.forged == 6
    assert rig.inbox.offered == []
    assert [entry["so_far"] for entry in logs if entry["event"] == "rcs.forged_event"] == [1, 2, 4]
    assert (await connector.receive(*signed(rig, DELIVERED))).status == 200
    assert len(rig.inbox.stored) == 1


async def test_without_a_client_token_every_event_is_refused_and_the_operator_told(rig: Rig) -> None:
    with capture_logs() as logs:
        connector = await rig.opened(client_token=None)

    assert (await connector.receive(*signed(rig, DELIVERED, token=""))).status == 401
    assert "rcs.no_client_token" in [entry["event"] for entry in logs]


async def test_event_that_is_not_stored_is_asked_for_again(rig: Rig) -> None:
    connector = await rig.opened()
    rig.inbox.failures = 1

    assert (await connector.receive(*signed(rig, DELIVERED))).status == 503
    assert (await connector.receive(*signed(rig, DELIVERED))).status == 200


async def test_events_are_asked_for_again_before_open_and_after_close(rig: Rig) -> None:
    connector = rig.connector()
    assert (await connector.receive(*signed(rig, DELIVERED))).status == 503
    await connector.open(rig.inbox)
    await connector.close()

    assert (await connector.receive(*signed(rig, DELIVERED))).status == 503


async def test_what_the_platform_says_in_new_words_is_acknowledged_and_counted(rig: Rig) -> None:
    connector = await rig.opened()

    assert (await connector.receive(*signed(rig, {"eventType": 5}))).status == 200
    assert (await connector.receive({}, b"nonsense")).status == 400
    assert connector.ignored == 2


async def test_handler_of_the_route_receives(rig: Rig) -> None:
    connector = await rig.opened()
    headers, body = signed(rig, DELIVERED)

    answer = await connector.routes()[0].handle(CallbackRequest("https://sms.example.com/events", headers, body))

    assert answer.status == 200


async def test_texts_and_taps_arrive_at_the_sender_as_it_is_declared(rig: Rig) -> None:
    await rig.opened()
    webhook = rig.platform.webhook

    assert await webhook.send_text(PERSON, "a1", "STOP", message_id="m1")
    assert await webhook.send_text(PERSON, "a1@rbm.goog", "Hello?", message_id="m2")
    assert await webhook.tap(PERSON, "a1", "Yes", "y")
    assert await webhook.send_text(PERSON, "stranger", "Hi", message_id="m4")

    assert rig.inbox.texts[:2] == [
        Inbound(Channel.RCS, PERSON, "a1", "STOP", "m1"),
        Inbound(Channel.RCS, PERSON, "a1", "Hello?", "m2"),
    ]
    assert (rig.inbox.texts[2].text, rig.inbox.texts[2].recipient) == ("Yes", "a1")
    assert rig.inbox.texts[3].recipient == "stranger"


async def test_an_agent_with_a_host_is_found_by_its_name_alone(rig: Rig) -> None:
    settings = rig.settings()
    agents = tuple(SenderSettings(channel=Channel.RCS, address=name) for name in ("shop@rbm.goog", "bank@rbm.goog"))
    connector = RcsConnector(type(settings)(name="g", type="rcs", senders=agents, options=settings.options))

    assert [connector._ours(name) for name in ("bank", "bank@rbm.goog", "", "x")] == [
        "bank@rbm.goog",
        "bank@rbm.goog",
        "",
        "x",
    ]


@pytest.mark.parametrize("event_type", ["IS_TYPING", "SUBSCRIBE", "UNSUBSCRIBE"])
async def test_other_events_are_acknowledged_and_change_nothing(rig: Rig, event_type: str) -> None:
    connector = await rig.opened()

    assert await rig.platform.webhook.tell_event(PERSON, "a1", event_type)
    assert connector.ignored == 1
    assert (rig.inbox.offered, rig.inbox.texts) == ([], [])


# Secrets


async def test_no_credential_text_or_number_is_in_logs_outcomes_or_link_details(
    rehearse: Rehearse, account_file: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    rig = await with_account(rehearse, account_file)
    caplog.set_level("DEBUG")
    with capture_logs() as logs:
        connector = await rig.opened(token=None, service_account_file=str(account_file))
        await rig.outcome(connector, rig.submission(1))
        await connector.receive(*signed(rig, DELIVERED, token="guessed"))
        await connector.receive(*signed(rig, {"text": {"oops": "secret words"}, "senderPhoneNumber": PERSON}))
        rig.inbox.failures = 1
        await connector.receive(*signed(rig, DELIVERED))
        await rig.platform.begin_outage()
        await rig.outcome(connector, rig.submission(2))
        await rig.inbox.wait_for(lambda inbox: not inbox.is_up)
        await connector.close()

    said = json.dumps([logs, rig.inbox.links, [o for _, _, o in rig.inbox.outcome_list]], default=repr)
    said += caplog.text + "".join(capsys.readouterr()) + repr(vars(connector)["_options"])
    for secret in ("ya29", "SJENCPGJESMGUFPY", "PRIVATE", private_key(account_file)[60:90], "Hello", "secret words"):
        assert secret not in said
    assert "7700900" not in said
