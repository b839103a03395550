"""Every request of the contract is in the client, asked for as the contract has it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from sendpool.client import AsyncClient, Client, Settings, requests
from sendpool.client.calls import Call, Listing

CONTRACT: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[1] / "contract" / "openapi.yaml").read_text(encoding="utf-8")
)
#: An alias of /SenderPools/Operations/{operationId}.
ALIAS = ("GET", "/SenderPools/{}/Senders/Operations/{}")
OURS = {"delete_message", "cancel_message", "explain_message", "cancel_operation", "resume_operation"}
CALLS: dict[str, Call[Any] | Listing[Any]] = {
    "send": requests.send("+447700900123", "Hi"),
    "list_messages": requests.list_messages(
        "op", status="SENT", channel="SMS", session="s", profile="p", since="a", until="b", tags={"a": "b"}
    ),
    "fetch_message": requests.fetch_message("id"),
    "seek_message": requests.seek_message("id"),
    "delete_message": requests.delete_message("id"),
    "cancel_message": requests.cancel_message("id"),
    "explain_message": requests.explain_message("id"),
    "list_receipts": requests.list_receipts("id"),
    "send_emails": requests.send_emails("a@b.example", from_="c@d.example", subject="s", html="h"),
    "list_emails": requests.list_emails("op", status="SENT", since="a", until="b"),
    "fetch_email": requests.fetch_email("id"),
    "delete_email": requests.delete_email("id"),
    "list_operations": requests.list_operations(status="COMPLETED", since="a", until="b"),
    "list_email_operations": requests.list_email_operations(status="COMPLETED", since="a", until="b"),
    "fetch_operation": requests.fetch_operation("id"),
    "fetch_email_operation": requests.fetch_email_operation("id"),
    "list_errors": requests.list_errors("id"),
    "cancel_operation": requests.cancel_operation("id"),
    "resume_operation": requests.resume_operation("id"),
    "list_senders": requests.list_senders(channel="SMS", status="ACTIVATED", since="a", until="b"),
    "fetch_sender": requests.fetch_sender("id"),
    "search_senders": requests.search_senders("+12034458910", "SMS"),
    "resolve_senders": requests.resolve_senders([{"address": "a", "channel": "PHONE"}]),
    "create_pool": requests.create_pool("p", senders=["s"], tags={"a": "b"}),
    "list_pools": requests.list_pools(operation="op", since="a", until="b"),
    "fetch_pool": requests.fetch_pool("id"),
    "update_pool": requests.update_pool("id", name="n"),
    "delete_pool": requests.delete_pool("id"),
    "list_members": requests.list_members("id", channel="SMS", status="ACTIVATED"),
    "add_members": requests.add_members("id", ["s"]),
    "remove_member": requests.remove_member("id", "id"),
    "list_pool_operations": requests.list_pool_operations(status="COMPLETED", since="a", until="b"),
    "fetch_pool_operation": requests.fetch_pool_operation("id"),
}  # fmt: skip


def call_of(made: Call[Any] | Listing[Any]) -> Call[Any]:
    return made.first if isinstance(made, Listing) else made


def asked(call: Call[Any]) -> tuple[str, str]:
    return call.method, re.sub(r"/id(?=/|$)", "/{}", call.path)


def contract() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path)): {"parameters": [], **item, **operation}
        for path, item in CONTRACT["paths"].items()
        for method, operation in item.items()
        if method in ("get", "post", "patch", "delete")
    }


def test_the_client_has_every_request_and_no_other() -> None:
    had = {asked(call_of(made)) for name, made in CALLS.items() if name not in OURS}

    assert had == contract().keys() - {ALIAS}


@pytest.mark.parametrize("name", sorted(CALLS.keys() - OURS))
def test_a_request_has_only_parameters_that_the_contract_has(name: str) -> None:
    call = call_of(CALLS[name])
    parameters = contract()[asked(call)]["parameters"]
    named = {
        (CONTRACT["components"]["parameters"][one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one)["name"]
        for one in parameters
    }

    # Sendpool's own filter of pools, by the operation that made them.
    assert call.query.keys() - {"operationId"} <= named


def test_both_clients_have_every_request() -> None:
    settings = Settings(account_sid="AC", auth_token="x", base_url="http://127.0.0.1:1/v1")
    makers = {getattr(requests, name) for name in CALLS}
    for client in (Client(settings), AsyncClient(settings)):
        groups = [group for group in vars(client).values() if type(group).__module__.startswith("sendpool.client")]
        had = {method._make for group in groups for method in vars(type(group)).values() if hasattr(method, "_make")}
        assert had == makers
