"""Requests are written as the API wants them, with an id that is the same for every try."""

from __future__ import annotations

import json
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
import pytest

from sendpool.connectors.base import AttemptKey, Submission
from sendpool.connectors.rcs.content import ContentMessage
from sendpool.connectors.rcs.requests import (
    AgentMessage,
    Requests,
    UnfitSubmission,
    content_message,
    message_id,
    phone_path,
)
from sendpool.connectors.rcs.settings import RcsSettings, Region, Traffic
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel

SETTINGS = RcsSettings(token="t")
PUBLIC_ID = "SM0199a3f2c4d57b8e9f00112233445566"


def submission(**changes: Any) -> Submission:
    return Submission(
        AttemptKey(7, 1),
        Channel.RCS,
        "a1",
        "+447700900123",
        Content(text="Hi"),
        1,
        0,
        600,
        1,
        options={},
        public_id=PUBLIC_ID,
    )._replace(**changes)


def requests(settings: RcsSettings = SETTINGS) -> Requests:
    return Requests(settings, lambda: UUID(int=5))


def test_golden_message_id_is_a_version_5_uuid_of_the_url_namespace(vectors: Any) -> None:
    golden = vectors["requests"]["message_id"]

    assert str(NAMESPACE_URL) == golden["namespace"]
    assert str(uuid5(NAMESPACE_URL, golden["name"])) == golden["uuid"]


def test_golden_text_is_posted_to_the_number_with_a_ttl(vectors: Any) -> None:
    golden = vectors["requests"]["text"]
    said = msgspec.json.encode(json.loads(golden["body"])["contentMessage"])
    message = AgentMessage("id", "", b'{"contentMessage":%s,"messageTrafficType":"TRANSACTION"' % said, 600)
    ours = requests().message(submission())

    assert message.body(0.0).decode() == golden["body"]
    assert ours.url.startswith("https://rcsbusinessmessaging.googleapis.com/v1/phones/%2B447700900123/agentMessages?")
    path = ours.url.removeprefix("https://rcsbusinessmessaging.googleapis.com")
    assert path.replace(ours.message_id, "3571907b-3b0b-5c5a-af00-db62270b8d74") == golden["path"]
    assert json.loads(ours.body(0.0)) == {
        "contentMessage": {"text": "Hi"},
        "messageTrafficType": "TRANSACTION",
        "ttl": "600s",
    }


@pytest.mark.parametrize("name", ["card", "carousel"])
def test_golden_cards_are_written_as_they_were_read(vectors: Any, name: str) -> None:
    golden = json.loads(vectors["requests"][name])["contentMessage"]

    assert json.loads(msgspec.json.encode(msgspec.convert(golden, ContentMessage))) == golden


def test_an_id_is_the_attempts_own_as_a_uuid() -> None:
    assert message_id(PUBLIC_ID) == "0199a3f2-c4d5-7b8e-9f00-112233445566"
    assert requests().message(submission()).message_id == message_id(PUBLIC_ID)


@pytest.mark.parametrize(
    ("validity", "elapsed", "ttl"),
    [
        (600, 0.0, "600s"),
        (600, 31.2, "569s"),
        (20, 15.5, "10s"),
        (3, 0.0, "10s"),
        (30 * 86_400, 0.0, "1296000s"),
        (None, 50.0, None),
    ],
)
def test_ttl_is_what_is_left_within_the_limits_of_the_platform(
    validity: int | None, elapsed: float, ttl: str | None
) -> None:
    body = json.loads(requests().message(submission(validity=validity)).body(elapsed))

    assert body.get("ttl") == ttl


def test_traffic_type_is_the_agents_else_the_connections() -> None:
    made = requests(RcsSettings(token="t", traffic_type=Traffic.PROMOTION))

    def traffic(options: dict[str, str]) -> Any:
        return json.loads(made.message(submission(options=options)).body(0.0))["messageTrafficType"]

    assert traffic({}) == "PROMOTION"
    assert traffic({"traffic_type": "AUTHENTICATION"}) == "AUTHENTICATION"


def test_one_content_is_written_once_for_a_campaign() -> None:
    made, content = requests(), Content(text="Hello")
    first = made.message(submission(content=content))
    made._write_content = None  # type: ignore[method-assign, assignment]

    again = made.message(submission(content=content, recipient="+447700900124"))

    assert again.start == first.start


@pytest.mark.parametrize(
    ("settings", "root"),
    [
        (RcsSettings(token="t"), "https://rcsbusinessmessaging.googleapis.com"),
        (RcsSettings(token="t", region=Region.EUROPE), "https://europe-rcsbusinessmessaging.googleapis.com"),
        (RcsSettings(token="t", base_url="http://127.0.0.1:8790/"), "http://127.0.0.1:8790"),
    ],
)
def test_requests_go_to_the_agents_region_or_base_url(settings: RcsSettings, root: str) -> None:
    made = requests(settings)

    assert made.message(submission()).url.startswith(f"{root}/v1/phones/")
    assert made.sign_of_life() == f"{root}/"
    assert made.bulk_look_up(["+447700900123"], "a1")[0] == f"{root}/v1/users:batchGet"


def test_golden_bulk_look_up(vectors: Any) -> None:
    golden = vectors["capabilities"]["bulk request"]

    assert requests().bulk_look_up(["+447700900123", "+447700900124"], "a1")[1].decode() == golden


def test_look_up_and_revocation_name_number_agent_and_message() -> None:
    made = requests()

    assert made.look_up("%2B447700900123", "name@rbm.goog").endswith(
        "/v1/phones/%2B447700900123/capabilities?requestId=00000000-0000-0000-0000-000000000005&agentId=name%40rbm.goog"
    )
    assert str(made.revocation("id/1", "+447700900123", "a1")).endswith(
        "/v1/phones/%2B447700900123/agentMessages/id%2F1?agentId=a1"
    )
    assert made.revocation("id", "nobody", "a1") is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "+",
        "+1",
        "+0447700900123",
        "447700900123",
        "+44770090012a",
        "nobody@nowhere",
        "+4477009001234567",
        "+４４７７００９０",
    ],
)
def test_what_is_no_number_is_refused_before_it_leaves(address: str) -> None:
    assert phone_path(address) is None
    with pytest.raises(UnfitSubmission) as refused:
        requests().message(submission(recipient=address))
    assert refused.value.outcome.code == "unfit_address"


@pytest.mark.parametrize("text", ["", "x" * 3073])
def test_text_that_breaks_a_limit_is_refused_before_it_leaves(text: str) -> None:
    with pytest.raises(UnfitSubmission) as refused:
        requests().message(submission(content=Content(text=text)))

    assert refused.value.outcome.code == "unfit_content"


def test_longest_text_goes_in_any_alphabet() -> None:
    assert content_message(Content(text="й" * 3072)).text == "й" * 3072
