"""An example of the repository in the real server: answers get lost, long texts are reported once, people answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sendpool.simulate.sms_api import SmsApiScript
from sendpool.simulate.vonage import VonageApi
from sendpool.simulate.web_faults import parse_web_fault

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig

EXAMPLE = (Path(__file__).parents[2] / "examples" / "vonage.toml").read_text(encoding="utf-8")
TOKEN, OURS = "callback-token-16", "+447700900000"


async def test_the_example_carries_messages_both_ways_though_answers_get_lost(rig: Rig) -> None:
    faults = (parse_web_fault("drop after=2 times=1 answered=false"),)
    async with VonageApi(SmsApiScript(faults=faults)) as api:
        text = EXAMPLE.replace("https://rest.nexmo.com", api.url)
        server = await rig.server(text, start=False)
        server.variables = {
            "VONAGE_API_KEY": api.script.key,
            "VONAGE_API_SECRET": api.script.secret,
            "VONAGE_CALLBACK_TOKEN": TOKEN,
        }
        await server.start()
        server.write(text.replace("https://send.example.com", server.base).replace("mps = 1\n", "mps = 50\n"))
        assert (await server.reload())["event"] == "configuration applied"
        pool = await server.pool()

        operation = await server.send(pool, rig.phones(3), "A text of several parts. " * 20)
        await server.wait_stats(operation, delivered=3)

        assert sorted(one.to for one in api.messages) == rig.phones(3)
        assert api.drops == 1
        report = api.received("+447700900123", OURS, "Thanks")
        url = f"{server.base}/callbacks/vonage/events"
        assert await api.reporter.tell_once(f"{url}?key={TOKEN}x", report) == 403
        assert await api.reporter.tell_once(f"{url}?key={TOKEN}", report) == 200
        (listed,) = await server.pages("/v1/Messages?status=INBOUND", "messages")
        assert (await server.message(listed["id"]))["content"]["text"] == "Thanks"
