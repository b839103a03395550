"""Sends that say something else to each: accepted over HTTP, and read as each recipient has them."""

from __future__ import annotations

from typing import Any

PHONE = {"address": "+19143188062", "channel": "PHONE"}


def people(*variables: dict[str, str]) -> list[dict[str, Any]]:
    return [{**PHONE, "address": f"+1914318{i:04}", "variables": one} for i, one in enumerate(variables)]


async def fetched(client: Any, operation_id: str) -> list[dict[str, Any]]:
    """Its messages in the order of their recipients."""
    listed = await client.listed(f"?operationId={operation_id}")
    answers = [await client.get(f"/v1/Messages/{one['id']}") for one in listed]
    return [answer.json for answer in reversed(answers)]


async def test_a_fetch_shows_what_the_recipient_is_told(client: Any, conforms: Any) -> None:
    content = {
        "text": "Hello {{ name | default: 'there' }}",
        "media": [{"url": "https://media.example/{{ name | url_encode }}.jpg"}],
    }
    operation_id = await client.sent(to=people({"name": "Ana B"}, {}), content=content)

    ana, other = await fetched(client, operation_id)

    conforms(ana, "Message")
    assert ana["content"] == {"text": "Hello Ana B", "media": [{"url": "https://media.example/Ana+B.jpg"}]}
    assert other["content"] == {"text": "Hello there", "media": [{"url": "https://media.example/.jpg"}]}


async def test_a_long_url_of_media_is_shown_filled_in(client: Any) -> None:
    long = "x" * 2_000
    media = [{"url": "https://media.example/{{ id }}"}]
    operation_id = await client.sent(to=people({"id": long}), content={"media": media})

    (message,) = await fetched(client, operation_id)

    assert message["content"] == {"media": [{"url": f"https://media.example/{long}"}]}


async def test_modules_are_shown_as_they_read_for_the_recipient(client: Any) -> None:
    card = {"richCard": {"standaloneCard": {"cardContent": {"title": "{{ name }}"}}}}
    modules = [{"rcs": card}, {"sms": {"text": "Hi {{ name }}"}}, {"whatsapp": {"text": {"body": "{{ name }}"}}}]
    operation_id = await client.sent(to=people({"name": "Ana"}), content={"modules": modules})

    (ana,) = await fetched(client, operation_id)

    assert ana["content"]["modules"] == [
        {"rcs": {"richCard": {"standaloneCard": {"cardContent": {"title": "Ana"}}}}},
        {"sms": {"text": "Hi Ana"}},
        {"whatsapp": {"text": {"body": "Ana"}}},
    ]


async def test_who_gets_nothing_readable_fails_alone_and_is_listed_with_the_reason(client: Any) -> None:
    operation_id = await client.sent(to=people({}, {"name": "Ana"}), content={"text": "{{ name }}"})

    operation = (await client.get(f"/v1/Messages/Operations/{operation_id}")).json
    errors = (await client.get(f"/v1/Messages/Operations/{operation_id}/Errors")).json
    (failed,) = await client.listed(f"?operationId={operation_id}&status=FAILED")

    assert (operation["stats"]["total"], operation["stats"]["failed"]) == (2, 1)
    assert 21602 in [error["code"] for entry in errors["errors"] for error in entry.get("errors", [entry])]
    assert failed["to"][0]["address"] == "+19143180000"
    message = (await client.get(f"/v1/Messages/{failed['id']}")).json
    assert (message["content"], message["attempts"]) == ({"text": "{{ name }}"}, [])


async def test_tags_may_be_different_for_each_and_are_found_so(client: Any) -> None:
    tags = {"shop": "berlin", "group": "g-{{ group }}", "kind": "{{ kind | default: 'new' }}"}
    to = people({"group": "1"}, {"group": "2", "kind": "old"}, {"group": "not a tag"})
    operation_id = await client.sent(to=to, content={"text": "Hi"}, tags=tags)

    first, second, failed = await fetched(client, operation_id)

    assert first["tags"] == {"shop": "berlin", "group": "g-1", "kind": "new"}
    assert second["tags"] == {"shop": "berlin", "group": "g-2", "kind": "old"}
    assert (failed["status"], failed["tags"]) == ("FAILED", {"shop": "berlin", "kind": "new"})
    for query, found in (
        ("group:g-2;", [second["id"]]),
        ("shop:berlin;kind:new;", [failed["id"], first["id"]]),
        ("group:g-3;", []),
        ("shop:paris;", []),
        ("colour:red;", []),
    ):
        listed = await client.listed(f"?operationId={operation_id}&tags={query}")
        assert [one["id"] for one in listed] == found


async def test_a_page_of_messages_with_tags_of_their_own_goes_on_where_it_ended(client: Any) -> None:
    to = people(*({"n": str(i % 2)} for i in range(10)))
    operation_id = await client.sent(to=to, content={"text": "Hi"}, tags={"n": "{{ n }}"})
    query = f"/v1/Messages?operationId={operation_id}&tags=n:1;&pageSize=2"

    page = (await client.get(query)).json
    found = page["messages"]
    while page["pagination"]["next"] is not None:
        page = (await client.get(f"{query}&pageToken={page['pagination']['next']}")).json
        found += page["messages"]

    assert [one["to"][0]["address"] for one in found] == [f"+1914318{i:04}" for i in (9, 7, 5, 3, 1)]
