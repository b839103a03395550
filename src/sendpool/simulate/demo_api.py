"""The demo's client: Sendpool's public HTTP API and nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp

from sendpool.simulate.demo_server import DemoFailed

PAGE_SIZE = 1000
#: Fetches of single messages at one time.
AT_ONCE = 16
Json = dict[str, Any]


class DemoApi:
    """A client of one server."""

    def __init__(self, base: str, account: str, token: str) -> None:
        self._http = aiohttp.ClientSession(
            base_url=base,
            headers={"Authorization": aiohttp.encode_basic_auth(account, token)},
            timeout=aiohttp.ClientTimeout(total=30),
            connector=aiohttp.TCPConnector(limit=AT_ONCE),
        )

    async def __aenter__(self) -> Self:
        """Nothing to do."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._http.close()

    async def active_senders(self) -> list[Json]:
        """Every activated Sender."""
        return await self._pages("/v1/Senders", "senders", {"status": "ACTIVATED"})

    async def create_pool(self, name: str, tags: Json, sender_ids: Sequence[str], fallback_after: float) -> str:
        """Create a Sender Pool with these senders; return its id, looked up by the operation that made it.

        *fallback_after*: seconds without a delivery after which the next channel has its turn.
        """
        senders = [{"senderId": sender_id} for sender_id in sender_ids]
        body = {"name": name, "tags": tags, "senders": senders, "fallbackAfter": fallback_after}
        accepted = await self._call("POST", "/v1/SenderPools", body=body)
        pools = await self._pages("/v1/SenderPools", "senderPools", {"operationId": accepted["operationId"]})
        if len(pools) != 1:
            raise DemoFailed(f"creating one sender pool made {len(pools)}")
        return str(pools[0]["id"])

    async def send(self, pool_id: str, recipients: Sequence[Json], text: str) -> str:
        """Send a text to *recipients* through the pool; return the id of the operation."""
        body = {"from": {"senderPoolId": pool_id}, "to": list(recipients), "content": {"text": text}}
        accepted = await self._call("POST", "/v1/Messages", body=body)
        return str(accepted["operationId"])

    async def operation(self, operation_id: str) -> Json:
        """An operation with its counters."""
        return await self._call("GET", f"/v1/Messages/Operations/{operation_id}")

    async def messages(self, operation_id: str) -> list[Json]:
        """Every message of an operation, as listed: without attempts."""
        return await self._pages("/v1/Messages", "messages", {"operationId": operation_id})

    async def revokes(self) -> int:
        """How many attempts were taken back, as /metrics has it."""
        try:
            async with self._http.get("/metrics") as answer:
                found = re.search(
                    r'^sendpool_revokes_total\{answer="revoked"\} (\S+)$', await answer.text(), re.MULTILINE
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DemoFailed(f"GET /metrics failed: {str(error) or type(error).__name__}") from error
        return int(float(found[1])) if found else 0

    async def fetch_all(self, message_ids: Sequence[str]) -> list[Json]:
        """Each message with its attempts, `AT_ONCE` at a time."""
        found: list[Json] = []
        waiting = iter(message_ids)

        async def fetch_one_after_another() -> None:
            for message_id in waiting:
                found.append(await self._call("GET", f"/v1/Messages/{message_id}"))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(fetch_one_after_another())
        return found

    async def _pages(self, path: str, key: str, query: dict[str, str]) -> list[Json]:
        items: list[Json] = []
        token = None
        while True:
            page = await self._call(
                "GET", path, query={**query, "pageSize": str(PAGE_SIZE), **({"pageToken": token} if token else {})}
            )
            items += page[key]
            token = page["pagination"].get("next")
            if not token:
                return items

    async def _call(
        self, method: str, path: str, *, query: dict[str, str] | None = None, body: Json | None = None
    ) -> Json:
        try:
            async with self._http.request(method, path, params=query, json=body) as answer:
                if answer.status >= 300:
                    raise DemoFailed(f"{method} {path} was answered {answer.status}: {await answer.text()}")
                found: Json = await answer.json()
                return found
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DemoFailed(f"{method} {path} failed: {str(error) or type(error).__name__}") from error
