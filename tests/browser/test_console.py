"""A journey on each page of the console, in the order in which a newcomer meets them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import SID, Window

pytestmark = pytest.mark.peer

NUMBER = "+19143188062"


@pytest.fixture
def signed_in(window: Window) -> Window:
    window.sign_in()
    return window


def test_wrong_credentials_are_told_in_words(window: Window) -> None:
    page = window.page
    page.goto(f"{window.served.base}/console/")
    page.wait_for_selector("form")
    window.shoot("sign-in")
    page.get_by_label("Account SID or API key SID").fill(SID)
    page.get_by_label("Auth token or key secret").fill("wrong")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("alert")).to_contain_text("No account has this SID with this secret")
    # The browser itself notes every 401.
    assert all("401" in one for one in window.complaints)
    window.complaints.clear()


def test_a_newcomer_makes_a_pool_and_sees_a_first_message_delivered(signed_in: Window) -> None:
    page = signed_in.page
    expect(page.get_by_role("heading", name="First steps")).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    signed_in.shoot("first-steps")

    page.get_by_role("link", name="Make a pool").click()
    signed_in.write("Name", "Alerts")
    page.get_by_role("button", name="Make the pool").click()
    expect(page.get_by_text("Nobody is in this pool")).to_be_visible()
    for number in ("+12034458910", "+12034458911", "+12034458920"):
        before = page.locator("tbody tr").count()
        choice = page.get_by_label("A sender to add")
        choice.select_option(choice.locator("option", has_text=number).get_attribute("value"))
        page.get_by_role("button", name="Add to the pool").click()
        expect(page.locator("tbody tr")).to_have_count(before + 1)
    page.get_by_role("link", name="Send from it").click()
    signed_in.write("To Numbers", NUMBER)
    signed_in.write("Text", "Hello, World!")
    signed_in.shoot("send")
    page.get_by_role("button", name="Send", exact=True).click()

    expect(page.get_by_text("100 % delivered")).to_be_visible()
    page.get_by_role("link", name="See its messages").click()
    page.get_by_role("link", name=NUMBER).click()
    expect(page.get_by_text(re.compile(r"Delivered over SMS by \+1203445\d{4}, with one attempt"))).to_be_visible()
    expect(page.get_by_text("Hello, World!")).to_be_visible()
    signed_in.shoot("message")


def _campaign(window: Window) -> str:
    pool = window.served.call("GET", "/v1/SenderPools")["senderPools"][0]["id"]
    numbers = [f"+1914318{number}" for number in range(7000, 7060)] + [f"+1500555{n:04d}" for n in range(1, 31)]
    body = {
        "from": {"senderPoolId": pool},
        "to": [{"address": number, "channel": "PHONE"} for number in numbers],
        "content": {"text": "Your parcel arrives today."},
        "tags": {"campaign": "spring"},
    }
    found: str = window.served.call("POST", "/v1/Messages", body)["operationId"]
    return found


def test_the_overview_tells_what_is_going_on(signed_in: Window) -> None:
    page = signed_in.page
    operation = _campaign(signed_in)

    expect(page.locator(".figure", has_text="Sent now")).to_contain_text(re.compile(r"[1-9].* in 15 min"))
    expect(page.get_by_role("img", name=re.compile("Messages a second over the last minute"))).to_be_visible()
    expect(page.get_by_role("table", name="Throughput by sender")).to_contain_text("+12034458910")
    delivered = page.get_by_role("list", name="Messages by how far they have come").locator("li").nth(2)
    expect(delivered).to_contain_text("Delivered")
    expect(delivered.locator(".num")).not_to_have_text("0")
    expect(page.get_by_role("link", name=f"Operation {operation}")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Failover, from whom to whom"))).to_be_visible()
    signed_in.shoot("overview")


def test_messages_are_found_and_explained(signed_in: Window) -> None:
    page = signed_in.page
    signed_in.go("messages")
    page.get_by_label("Tag").fill("campaign")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("alert")).to_contain_text("Write a tag as name:value")
    page.get_by_label("Tag").fill("campaign:spring")
    page.get_by_label("Number").fill("+1 (914) 318-7001")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Number").fill("")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_role("button", name="Show older ones").click()
    expect(page.locator("tbody tr")).not_to_have_count(50)

    page.get_by_label("State").select_option("FAILED")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr").nth(10)).to_have_count(0)
    signed_in.shoot("messages")
    page.locator("tbody tr a").first.click()
    expect(page.locator(".timeline").first).to_contain_text("Rejected")
    page.get_by_text("Who was looked at").or_(page.get_by_text("Who else was looked at")).first.click()
    signed_in.shoot("message-failed")


def _emails(window: Window) -> None:
    people = [{"address": f"reader{number}@example.org", "name": f"Reader {number}"} for number in range(30)]
    content = {"subject": "Your order", "html": "<p>Dear {{ name }}</p>", "text": "Dear reader, it is on its way."}
    files = [{"filename": "order.txt", "content": "b25lIGNha2U=", "type": "text/plain"}]
    mailbox = {"address": "shop@example.com"}
    call = window.served.call
    call("POST", "/v1/Emails", {"from": mailbox, "to": people, "content": content, "tags": {"campaign": "order"}})
    later = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {"from": mailbox, "to": [{"address": "ana@example.org"}], "content": {**content, "attachments": files}}
    call("POST", "/v1/Emails", {**body, "schedule": {"sendAt": [later]}})


def test_emails_are_found_read_and_canceled(signed_in: Window) -> None:
    page = signed_in.page
    signed_in.go("emails")
    expect(page.get_by_text("No emails yet")).to_be_visible()
    _emails(signed_in)
    page.get_by_label("Tag").fill("order")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("alert")).to_contain_text("Write a tag as name:value")
    page.get_by_label("Tag").fill("campaign:order")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(25)
    page.get_by_role("button", name="Show older ones").click()
    expect(page.locator("tbody tr")).to_have_count(30)
    signed_in.shoot("emails")
    page.get_by_label("Tag").fill("")
    page.get_by_label("Address").fill("reader7@example.org")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="reader7@example.org").click()
    expect(page.locator("h1")).to_contain_text("Delivered")
    expect(page.get_by_text("Dear reader, it is on its way.")).to_be_visible()
    assert all("reader7" not in url for url in signed_in.asked), "addresses stay out of URLs"

    signed_in.go("emails")
    page.get_by_label("State").select_option("SCHEDULED")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="ana@example.org").click()
    expect(page.get_by_text("order.txt")).to_be_visible()
    signed_in.shoot("email")
    page.get_by_role("button", name="Cancel it").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel it").click()
    expect(page.locator("h1")).to_contain_text("Canceled")


def test_operations_show_progress_and_errors_and_are_canceled(signed_in: Window) -> None:
    page, call = signed_in.page, signed_in.served.call
    signed_in.go("operations")
    expect(page.locator("tbody tr").first).to_contain_text("delivered")
    signed_in.shoot("operations")
    due = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "to": [{"address": NUMBER, "channel": "PHONE"}],
        "content": {"text": "Later"},
        "schedule": {"sendAt": [due]},
    }
    made = call("POST", "/v1/Messages", body)["operationId"]
    signed_in.go(f"operations/{made}")
    page.get_by_role("button", name="Cancel what waits").click()
    page.get_by_role("button", name="Cancel them").click()
    expect(page.locator("h1")).to_contain_text("Canceled")
    signed_in.shoot("operation")


def test_members_of_a_pool_are_weighed_and_a_send_is_rehearsed(signed_in: Window) -> None:
    page = signed_in.page
    signed_in.go("pools")
    signed_in.shoot("pools")
    page.get_by_role("link", name="Alerts").click()
    weight = page.get_by_label("Weight of +12034458920")
    weight.fill("3")
    page.get_by_role("button", name="Save weight and tier of +12034458920").click()
    expect(page.locator("tr", has_text="+12034458920")).to_contain_text("60 %")
    signed_in.write("To Numbers", NUMBER)
    page.get_by_role("button", name="Rehearse").click()
    expect(page.get_by_text("1 message, 1 segment")).to_be_visible()
    signed_in.shoot("pool")
    page.get_by_role("button", name="Take +12034458911 out of the pool").click()
    page.get_by_role("button", name="Take it out").click()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_a_sender_is_drained_and_resumed(signed_in: Window) -> None:
    page = signed_in.page
    signed_in.go("senders")
    page.get_by_role("button", name="Drain +12034458911").click()
    page.get_by_role("button", name="Drain it").click()
    row = page.locator("tr", has_text="+12034458911")
    expect(row).to_contain_text("Drained")
    expect(row).to_contain_text("is being drained and takes nothing new")
    # The carrier's codes of the campaign, by the sender that met them.
    expect(page.get_by_role("table", name="Senders").get_by_role("link").first).to_have_text(re.compile(r"\d{5}"))
    signed_in.shoot("senders")
    page.get_by_role("button", name="Resume +12034458911").click()
    expect(row).to_contain_text("Active")


def test_a_webhook_is_made_and_events_are_replayed(signed_in: Window) -> None:
    page = signed_in.page
    signed_in.go("events")
    signed_in.write("Name", "Orders")
    signed_in.write("URL", "https://hooks.example.com/sendpool")
    page.get_by_role("button", name="Make the webhook").click()
    expect(page.get_by_role("table", name="Sinks")).to_contain_text("hooks.example.com")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("are offered again")).to_be_visible()
    signed_in.shoot("events")


def test_who_opted_out_is_entered_and_let_in_again(signed_in: Window) -> None:
    page = signed_in.page
    signed_in.go("consent")
    signed_in.write("Address", "+447700900001")
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_role("table", name="Opted out")).to_contain_text("+447700900001")
    signed_in.shoot("consent")
    page.get_by_role("button", name="Let +447700900001 be sent to again").click()
    page.get_by_role("button", name="They have agreed").click()
    expect(page.get_by_text("+447700900001")).to_have_count(0)


def test_the_keyboard_is_enough(signed_in: Window) -> None:
    page = signed_in.page
    page.locator("body").press("Tab")
    for _ in range(20):
        if page.evaluate("document.activeElement.textContent") == "Consent":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Consent")
    expect(page.locator("main")).to_be_focused()


def test_the_switch_keeps_its_scheme_over_a_reload(signed_in: Window) -> None:
    page = signed_in.page
    page.get_by_role("button", name="Switch to dark colours").click()
    page.reload()

    expect(page.get_by_role("button", name="Switch to light colours")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_signing_out_ends_it(signed_in: Window) -> None:
    page = signed_in.page
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
