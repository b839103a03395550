"""A client of the API: `Client` for code that waits, `AsyncClient` for asyncio. It serves Sendpool and the hosted API.

from sendpool.client import Client

with Client(account_sid="AC...", auth_token="...", base_url="https://sms.example.com") as client:
    accepted = client.messages.send("+447700900123", "Hello, World!", from_="comms_senderpool_...")
    client.operations.wait(accepted.operation_id)
    for message in client.messages.list(operation=accepted.operation_id):
        print(message.to[0].address, message.status)
"""

from __future__ import annotations

from sendpool.client.errors import (
    BadRequest,
    ClientError,
    Conflict,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    Problem,
    Refused,
    ServerFault,
    TookTooLong,
    TooMany,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from sendpool.client.later import AsyncClient
from sendpool.client.now import Client
from sendpool.client.settings import Settings

__all__ = [
    "AsyncClient",
    "BadRequest",
    "Client",
    "ClientError",
    "Conflict",
    "Forbidden",
    "NotFound",
    "OutcomeUnknown",
    "Problem",
    "Refused",
    "ServerFault",
    "Settings",
    "TooMany",
    "TookTooLong",
    "Unauthorized",
    "UnexpectedAnswer",
    "Unreachable",
]
