"""The HTTP connector by its two examples, and the packages of the vendors whose APIs these are.

Nobody but the vendors serves their APIs, so the platforms are our doubles. The vendors' packages judge both ends: their
types take the connector's requests, and the doubles' answers and events, without a field too many or of the wrong kind.
"""

from __future__ import annotations

import asyncio
from typing import Any, get_type_hints
from urllib.parse import parse_qsl

import pydantic
import telnyx
from telnyx.types import DeliveryUpdateWebhookEvent, MessageSendParams, MessageSendResponse
from tests.connectors.http.conftest import CALLBACK_TOKEN, example
from tests.peers.meetings.base import OF_AN_API, PERSON, TEXT, Meeting, Place, callbacks, live, submission
from tests.peers.recording.conversation import Conversation, Said, json_of
from tests.peers.recording.http import HttpReader
from vonage_http_client import Auth
from vonage_sms import SmsMessage, SmsResponse

from sendpool.connectors.http.connector import HttpConnector
from sendpool.simulate.sms_api import SmsApi, SmsApiScript
from sendpool.simulate.telnyx import TelnyxApi
from sendpool.simulate.vonage import VonageApi

SIGNATURE_SECRET = "signature-secret-16"


async def vonage(place: Place) -> Conversation:
    """Requests, answers and receipts of the SMS API as vonage-sms has them."""
    api = VonageApi(signature_secret=SIGNATURE_SECRET)
    about = "a double of Vonage's SMS API, judged by PyPI's vonage-sms and vonage-http-client"
    talk = Conversation("http", "vonage", about, [api.script.secret, CALLBACK_TOKEN, SIGNATURE_SECRET])
    signed = {"type": "fields", "secret": SIGNATURE_SECRET, "timestamp_field": "timestamp"}
    await _meet(place, talk, api, callback__verify=signed)

    (asked,), (answer,) = talk.said("POST", by_connector=True), talk.said("200", by_connector=False)
    form = dict(parse_qsl(asked.body.decode()))
    # Their package puts the credentials into a header.
    assert (form.pop("api_key"), form.pop("api_secret")) == (api.script.key, api.script.secret)
    names = {field.serialization_alias or name: name for name, field in SmsMessage.model_fields.items()}
    sent = SmsMessage(**{names[name]: value for name, value in form.items()})
    assert (sent.to, sent.text, sent.ttl) == (PERSON.lstrip("+"), TEXT, 3_600_000)
    taken = SmsResponse.model_validate(json_of(answer))
    assert taken.messages[0].client_ref == sent.client_ref
    assert set(json_of(answer)["messages"][0]) <= _aliases(type(taken.messages[0]))
    judge = Auth(api_key=api.script.key, signature_secret=SIGNATURE_SECRET, signature_method="sha256")
    for one in talk.said("POST /callbacks", by_connector=False):
        assert judge.check_signature(json_of(one))
    return talk


async def telnyx_sdk(place: Place) -> Conversation:
    """Requests, answers and signed events as Telnyx's package has them, which also sends the same itself."""
    api = TelnyxApi()
    talk = Conversation(
        "http", "telnyx", "a double of Telnyx's messaging API, judged by PyPI's telnyx", [api.script.secret]
    )
    await _meet(place, talk, api)

    (asked,), (answer,) = talk.said("POST", by_connector=True), talk.said("200", by_connector=False)
    _judge_request(json_of(asked))
    _whole(MessageSendResponse, json_of(answer))
    client = telnyx.Telnyx(
        api_key=api.script.secret, base_url=f"{api.url}/v2", public_key=api.public_key, max_retries=0
    )
    events = talk.said("POST /callbacks", by_connector=False)
    for one in events:
        client.webhooks.unwrap(one.body.decode(), headers=one.headers)
        _whole(DeliveryUpdateWebhookEvent, json_of(one))
    # Another one, whose report would come too late to be heard.
    quiet = TelnyxApi(SmsApiScript(receipt_delay=1000))
    await quiet.start()
    place.stack.push_async_callback(quiet.stop)
    await _says_the_same(place, client, quiet.port, asked)
    return talk


async def _says_the_same(place: Place, client: telnyx.Telnyx, port: int, ours: Said) -> None:
    """Their client, asked to send the same, makes the same request, and reads the double's answer to it."""
    theirs = Conversation("http", "itself", "telnyx")
    relay = await place.stack.enter_async_context(theirs.relay(port, HttpReader))
    body = json_of(ours)
    sent = {"from_" if name == "from" else name: value for name, value in body.items()}
    client = client.with_options(base_url=f"http://127.0.0.1:{relay.port}/v2")
    answer = await asyncio.to_thread(lambda: client.messages.send(**sent))

    (like_it,) = theirs.said("POST", by_connector=True)
    assert answer.data is not None
    assert answer.data.id
    assert (like_it.what, json_of(like_it)) == (ours.what, body)
    assert like_it.headers["authorization"] == ours.headers["authorization"]


def _judge_request(body: dict[str, Any]) -> None:
    """Each field is one that Telnyx knows, of the type that it has."""
    hints = get_type_hints(MessageSendParams)
    known = {"from" if name == "from_" else name: hint for name, hint in hints.items()}
    assert body.keys() <= known.keys()
    for name, value in body.items():
        pydantic.TypeAdapter(known[name]).validate_python(value, strict=True)
    assert {"to", "from", "text"} <= body.keys()


def _whole(model: type[pydantic.BaseModel], document: Any) -> None:
    """The document is of the model, and has nothing that the model does not know."""
    found = model.model_validate(document)
    assert not list(_strange(found, model.__name__))


def _strange(value: Any, path: str) -> Any:
    if isinstance(value, pydantic.BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or ())
        for name in type(value).model_fields:
            yield from _strange(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _strange(one, f"{path}.{number}")


def _aliases(model: type[pydantic.BaseModel]) -> set[str]:
    return {str(field.validation_alias or name) for name, field in model.model_fields.items()}


async def _meet(place: Place, talk: Conversation, api: SmsApi, **more: Any) -> None:
    await api.start()
    place.stack.push_async_callback(api.stop)
    server = await callbacks(place)
    to = await place.stack.enter_async_context(talk.relay(api.port, HttpReader))
    fro = await place.stack.enter_async_context(talk.relay(server.port, HttpReader, from_peer=True))
    settings = example(talk.peer, api, public_url=f"http://127.0.0.1:{fro.port}", **more)
    settings.options["request"]["url"] = settings.options["request"]["url"].replace(str(api.port), str(to.port))
    connector = HttpConnector(settings)
    server.mount(talk.peer, connector)
    await live(connector, submission(sender=settings.senders[0].address))


MEETINGS = {"vonage": Meeting(vonage, OF_AN_API), "telnyx": Meeting(telnyx_sdk, OF_AN_API)}
