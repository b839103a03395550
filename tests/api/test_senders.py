from __future__ import annotations

from typing import Any

import pytest


async def test_smoke(world: Any, conforms: Any) -> None:
    client = world.client
    answer = await client.get("/preview/Senders?status=ACTIVATED")
    print(answer)
    conforms(answer.json, "SenderPage")
    answer = await client.post("/v1/Messages", {"to": [{"address": "+19143188062", "channel": "PHONE"}], "content": {"text": "Hi"}})
    print(answer)
    answer = await client.get("/v1/Messages")
    print(answer)
    conforms(answer.json, "MessagePage")
