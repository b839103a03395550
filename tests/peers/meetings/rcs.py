"""The RCS connector and Google's own package for service accounts.

Nobody but Google serves RCS Business Messaging, so the platform is our double. google-auth reads the grant that the
connector signs, and gets a token with one of its own from the same endpoint.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from google.auth import jwt
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from tests.connectors.rcs.conftest import AGENT, CLIENT_TOKEN
from tests.peers.meetings.base import OF_AN_API, Meeting, Place, callbacks, live, submission
from tests.peers.recording.conversation import HEARS, SAYS, Conversation
from tests.peers.recording.http import HttpReader

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.rcs.access import SCOPE
from sendpool.connectors.rcs.connector import RcsConnector
from sendpool.domain.sender import Channel
from sendpool.simulate.rcs import RcsPlatform
from sendpool.simulate.rcs_script import RcsScript

_LIFE = ((SAYS, "POST /token"), (HEARS, "200"), *OF_AN_API)


async def google(place: Place) -> Conversation:
    """A token for a signed grant, then a message with it."""
    talk = Conversation("rcs", "google-auth", "a double of Google's platform, its grants judged by google-auth")
    server = await callbacks(place)
    fro = await place.stack.enter_async_context(talk.relay(server.port, HttpReader, from_peer=True))
    webhook = f"http://127.0.0.1:{fro.port}/callbacks/google/events"
    script = RcsScript(port=0, webhook=webhook, client_token=CLIENT_TOKEN, token="only for grants", receipt_delay=0.05)
    platform = await place.stack.enter_async_context(RcsPlatform(script))
    to = await place.stack.enter_async_context(talk.relay(platform.port, HttpReader))
    platform.public_url = f"http://127.0.0.1:{to.port}"
    account = platform.service_account()
    talk.secrets = (CLIENT_TOKEN, account["private_key"])
    file = place.folder / "account.json"
    file.write_text(json.dumps(account), encoding="utf-8")
    file.chmod(0o600)
    connector = _connector(to.port, str(file))
    server.mount("google", connector)

    await live(connector, submission(channel=Channel.RCS, sender=AGENT))
    await asyncio.to_thread(_judge, talk, account, f"{platform.url}/token")
    return talk


def _connector(port: int, account_file: str) -> RcsConnector:
    options = {"service_account_file": account_file, "client_token": CLIENT_TOKEN}
    return RcsConnector(
        ConnectionSettings(
            name="google",
            type="rcs",
            senders=(SenderSettings(channel=Channel.RCS, address=AGENT),),
            options={**options, "base_url": f"http://127.0.0.1:{port}"},
        )
    )


def _judge(talk: Conversation, account: dict[str, Any], token_uri: str) -> None:
    """The connector's grant is one, and the double's endpoint serves Google's package as well."""
    key = serialization.load_pem_private_key(account["private_key"].encode(), None)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (asked,) = talk.said("POST /token", by_connector=True)
    form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
    read: Any = jwt.decode
    claims = read(form["assertion"], certs=public, audience=account["token_uri"])
    made: Any = service_account.Credentials.from_service_account_info
    theirs = made({**account, "token_uri": token_uri}, scopes=[SCOPE])
    theirs.refresh(Request())

    assert (claims["iss"], claims["scope"], claims["exp"] - claims["iat"]) == (account["client_email"], SCOPE, 3600)
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert theirs.token


MEETINGS = {"google-auth": Meeting(google, _LIFE)}
