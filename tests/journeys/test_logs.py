"""What an operator sees: logs without what is nobody's business, figures behind their token, health and readiness."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sendpool.simulate.script import Refuse

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig

SENDER, REFUSED, LOCKED_OUT = "+12034458910", "+12034458911", "+12034458912"
PHONE, BAD_PHONE, WRITER = "+447700900001", "+447700900002", "+447700900003"
TEXT = "Your secret code is quixotic-4711"
INBOUND_TEXT = "perfectly private words"
WRONG_PASSWORD = "wrong-pw"
METRICS_TOKEN = "figures-for-few-0815"


async def test_debug_log_of_deliveries_and_failures_has_no_text_secret_or_number(rig: Rig) -> None:
    # One phone is refused for itself (ESME_RINVDSTADR), and one connection for its password.
    centre = await rig.centre(Refuse(status="0x0b", destination=BAD_PHONE.removeprefix("+")), receipt_delay=0.05)
    settings = f'log_level = "debug"\nmetrics_token = "{METRICS_TOKEN}"'
    server = await rig.server(
        rig.smpp("carrier", centre.port, [(SENDER, 50), (REFUSED, 50)]),
        rig.smpp("locked-out", centre.port, [(LOCKED_OUT, 50)], password=WRONG_PASSWORD),
        server=settings,
    )
    pool = await server.pool(SENDER, REFUSED)
    await rig.linked(centre)
    await rig.until(lambda: "locked-out" in server.log_text(), what="the refused bind is logged")

    await server.wait_stats(await server.send(pool, [PHONE], TEXT), delivered=1)
    await server.wait_stats(await server.send(pool, [BAD_PHONE], TEXT), failed=1)
    assert await centre.send_text(WRITER, SENDER, INBOUND_TEXT) == 0
    await server.call("POST", "/v1/Messages", {"content": {"text": TEXT}, "to": [{"address": PHONE}]}, expect=400)
    await server.ask("GET", f"/v1/Senders?address={SENDER}", headers={"Authorization": "Basic d3Jvbmc6d3Jvbmc="})
    await server.ask("GET", "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    assert await server.stop() == 0

    log = server.log_text()
    assert {line["connection"] for line in server.events("smpp.link")} == {"carrier", "locked-out"}
    words = [TEXT, "quixotic", INBOUND_TEXT, rig.token, rig.password, WRONG_PASSWORD, METRICS_TOKEN, rig.authorization]
    numbers = [number.removeprefix("+") for number in (SENDER, REFUSED, LOCKED_OUT, PHONE, BAD_PHONE, WRITER)]
    assert [secret for secret in (*words, *numbers) if secret in log] == []
    assert re.findall(r"\+\d{9,}", log) == []


async def test_figures_need_their_token_and_health_and_readiness_need_none(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("SMS", SENDER, 50)]), server=f'metrics_token = "{METRICS_TOKEN}"')
    pool = await server.pool()
    await server.wait_stats(await server.send(pool, [PHONE]), delivered=1)

    assert (await server.ask("GET", "/healthz")).status == 200
    assert (await server.ask("GET", "/readyz")).status == 200
    assert (await server.ask("GET", "/metrics")).status == 401
    wrong = {"Authorization": f"Bearer {METRICS_TOKEN}x"}
    assert (await server.ask("GET", "/metrics", headers=wrong)).status == 401
    assert (await server.ask("GET", "/metrics", headers={"Authorization": rig.authorization})).status == 401
    answer = await server.ask("GET", "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    assert answer.status == 200
    assert b"\n# TYPE " in answer.body


async def test_server_is_ready_although_its_carrier_is_away(rig: Rig) -> None:
    server = await rig.server(rig.smpp("carrier", rig.dead_port(), [(SENDER, 10)]))

    assert (await server.ask("GET", "/readyz")).status == 200
    assert (await server.ask("GET", "/metrics")).status == 200
    assert (await server.senders())[SENDER]["status"] == "ACTIVATED"
