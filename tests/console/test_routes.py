"""The console's paths: files under a strict policy, data behind the session, each account apart."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from tests.api.conftest import OTHER_SID, SID
from tests.console.conftest import Site

from sendpool.api.app import ROUTES
from sendpool.store.database import Query, Script

NUMBER = "+12034458910"


async def _files(site: Site) -> dict[str, bytes]:
    """The page and everything that it and its scripts name."""
    found: dict[str, bytes] = {}
    wanted = ["/console/"]
    while wanted:
        path = wanted.pop()
        answer = await site.client.get(path)
        assert answer.status == 200, path
        found[path] = answer.body
        text = answer.body.decode()
        names = re.findall(r'"(?:assets|\.)/([a-z]+\.(?:js|css|svg))"', text)
        wanted += [one for name in names if (one := f"/console/assets/{name}") not in found and one not in wanted]
    return found


async def test_the_first_page_weighs_less_than_150_kb(site: Site) -> None:
    files = await _files(site)

    assert len(files) >= 12
    assert sum(map(len, files.values())) < 150_000


async def test_nothing_is_loaded_from_elsewhere_and_nothing_stands_in_line(site: Site) -> None:
    files = await _files(site)

    page = files["/console/"].decode()
    assert "<style" not in page
    assert " style=" not in page
    assert not re.search(r"<script(?![^>]* src=)", page)
    assert not re.search(r" on[a-z]+=", page)
    for path, body in files.items():
        loaded = re.findall(rb"""(?:src|href|url|import|from|fetch|EventSource)[=(\s"']+(?:https?:)?//""", body)
        assert loaded == [], path


async def test_every_file_comes_with_a_policy_and_an_etag(site: Site) -> None:
    for path in await _files(site):
        answer = await site.client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = await site.client.get(path, headers={"if-none-match": answer.headers["etag"]})
        assert again.status == 304


async def test_without_its_slash_the_console_leads_to_itself(site: Site) -> None:
    answer = await site.client.get("/console", scope={"root_path": "/switch"})

    assert (answer.status, answer.headers["location"]) == (307, "/switch/console/")


def _paths() -> list[tuple[str, str]]:
    own = [("GET", "Live"), ("POST", "Search"), ("GET", "SendersNow"), ("GET", "ConnectionsNow"), ("GET", "SinksNow")]
    own += [("GET", "OptedOut"), ("POST", "Replay"), ("POST", "Act/opt-out")]
    api = [(method, f"v1{re.sub('{[^}]*}', 'x', path)}") for path, methods in ROUTES.items() for method in methods]
    return own + api


@pytest.mark.parametrize(("method", "path"), _paths())
async def test_nobody_gets_in_without_a_session(still_site: Site, method: str, path: str) -> None:
    answer = await still_site.client.request(method, f"/console/api/{path}")

    assert answer.status == 401
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize(("method", "path"), [one for one in _paths() if one[0] != "GET"])
async def test_nothing_is_changed_without_the_token(still_site: Site, method: str, path: str) -> None:
    browser = await still_site.sign_in()
    for token in ("", "x", (await still_site.sign_in()).token):
        answer = await browser._replace(token=token).ask(method, f"/console/api/{path}")
        assert answer.status == 403, token


async def test_credentials_of_programs_open_no_path_of_the_console(site: Site) -> None:
    assert (await site.world.client.get("/console/api/v1/Senders")).status == 401


async def test_the_api_is_there_for_who_is_signed_in(site: Site) -> None:
    browser = await site.sign_in()

    sent = await browser.ask(
        "POST",
        "/console/api/v1/Messages",
        {"to": [{"address": "+19143188062", "channel": "PHONE"}], "content": {"text": "Hi"}},
    )

    assert sent.status == 202
    assert [one["to"][0]["address"] for one in await site.world.client.listed()] == ["+19143188062"]


async def test_messages_are_found_by_number_tag_operation_and_state(site: Site) -> None:
    browser = await site.sign_in()
    first = await site.world.client.sent(tags={"campaign": "spring"})
    await site.world.client.sent(to=[{"address": "+19143188063", "channel": "PHONE"}])

    async def found(**wanted: object) -> list[str]:
        answer = await browser.ask("POST", "/console/api/Search", wanted)
        assert answer.status == 200, answer.body
        return [one["to"][0]["address"] for one in answer.json["messages"]]

    assert await found() == ["+19143188063", "+19143188062"]
    assert await found(address="+19143188063") == ["+19143188063"]
    assert await found(tags={"campaign": "spring"}) == ["+19143188062"]
    assert await found(operationId=first) == ["+19143188062"]
    assert await found(status="DELIVERED") == []
    first_page = await browser.ask("POST", "/console/api/Search", {"pageSize": 1})
    assert await found(pageSize=1, pageToken=first_page.json["pagination"]["next"]) == ["+19143188062"]


@pytest.mark.parametrize(
    "body", [{"status": "x"}, {"tags": 1}, {"unknown": 1}, {"pageToken": "x"}, {"operationId": "x"}]
)
async def test_a_search_that_means_nothing_is_refused_in_words(site: Site, body: object) -> None:
    browser = await site.sign_in()

    answer = await browser.ask("POST", "/console/api/Search", body)

    assert answer.status == 400
    assert answer.json["errors"][0]["message"]


async def test_senders_tell_their_state_pace_and_what_holds_them(site: Site) -> None:
    browser = await site.sign_in()

    found = (await browser.ask("GET", "/console/api/SendersNow")).json["senders"]

    one = next(row for row in found if row["address"] == NUMBER)
    assert (one["status"], one["connection"], one["mps"]) == ("active", "carrier-a", 10.0)
    assert one["now"]["text"]


async def test_draining_from_the_console_is_told_on_and_logged_with_who_did_it(site: Site) -> None:
    browser = await site.sign_in()

    answer = await browser.ask("POST", "/console/api/Act/drain-connection", {"name": "carrier-a"})

    assert answer.json["status"] == "drained"
    assert site.changes == ["changed"]
    found = (await browser.ask("GET", "/console/api/ConnectionsNow")).json["connections"]
    assert [one["status"] for one in found] == ["drained", "active"]
    rows = await site.world.engine.database.read(_log())
    assert rows[-1] == [SID, "connection.drained", "carrier-a"]


def _log() -> Script[list[list[str]]]:
    rows = yield Query("SELECT actor, action, subject FROM admin_log ORDER BY id")
    return [list(row) for row in rows]


async def test_a_body_cannot_say_whose_things_are_meant(site: Site) -> None:
    other = await site.sign_in_other()

    for body in ({"name": "carrier-a"}, {"name": "carrier-a", "account": SID}):
        answer = await other.ask("POST", "/console/api/Act/drain-connection", body)
        assert answer.status == 400
    assert site.changes == []


async def test_each_account_sees_its_own_alone(site: Site) -> None:
    await site.world.client.sent()
    mine, other = await site.sign_in(), await site.sign_in_other()
    entry = {"entries": [{"space": "P", "address": "+447700900001"}]}
    assert (await mine.ask("POST", "/console/api/Act/opt-out", entry)).json == {"added": 1, "known": 0}

    for path, name, least in (
        ("SendersNow", "senders", 5),
        ("ConnectionsNow", "connections", 2),
        ("OptedOut", "entries", 1),
        ("v1/Messages", "messages", 1),
    ):
        assert len((await mine.ask("GET", f"/console/api/{path}")).json[name]) == least, path
        assert (await other.ask("GET", f"/console/api/{path}")).json[name] == [], path
    assert (await other.ask("POST", "/console/api/Search", {})).json["messages"] == []
    assert (await other.ask("GET", "/console/session")).json["accountSid"] == OTHER_SID


async def test_consent_is_given_back(site: Site) -> None:
    browser = await site.sign_in()
    entry = {"entries": [{"space": "P", "address": "+447700900001"}]}
    await browser.ask("POST", "/console/api/Act/opt-out", entry)

    assert (await browser.ask("POST", "/console/api/Act/opt-in", entry)).json == {"removed": 1}
    assert (await browser.ask("GET", "/console/api/OptedOut")).json == {"entries": []}


async def test_another_accounts_sink_is_not_replayed(site: Site) -> None:
    mine, other = await site.sign_in(), await site.sign_in_other()
    form = urlencode(
        {"Description": "x", "SinkType": "webhook", "SinkConfiguration": '{"destination":"https://hooks.example.com/"}'}
    ).encode()
    headers = {
        "cookie": mine.cookie,
        "x-sendpool-token": mine.token,
        "content-type": "application/x-www-form-urlencoded",
    }
    made = await site.client.request("POST", "/console/api/v1/Sinks", form, headers=headers)
    assert made.status == 201, made.body
    await site.world.client.sent()
    sid = made.json["sid"]

    assert (await other.ask("POST", "/console/api/Replay", {"sink": sid})).status == 404
    assert (await other.ask("GET", "/console/api/SinksNow")).json == {"sinks": []}
    assert (await mine.ask("POST", "/console/api/Replay", {"sink": sid})).json["sink"] == sid
    assert [one["sid"] for one in (await mine.ask("GET", "/console/api/SinksNow")).json["sinks"]] == [sid]


async def test_what_cannot_be_done_says_what_can(site: Site) -> None:
    browser = await site.sign_in()

    answer = await browser.ask("POST", "/console/api/Act/anything", {})

    assert answer.status == 404
    assert "drain-sender" in answer.json["errors"][0]["message"]
