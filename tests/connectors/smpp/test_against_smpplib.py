"""Our codec, on a centre's side, understands a client that is not ours: PyPI's smpplib, over a real socket."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import smpplib.gsm

from sendpool.domain.segments import split
from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.script import Script

TEXTS = ["Hi @ {}", "A" * 200, "Привет, 😀", "я" * 100]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Their client blocks a thread, so time here is real."""
    return "asyncio", {}


def talk(port: int, receipts: list[bytes], enough: threading.Event) -> list[bytes]:
    """Bind, submit every text, read until *enough* is set; return the ids of the answers."""
    ids: list[bytes] = []

    def received(pdu: Any) -> int:
        receipts.append(pdu.receipted_message_id)
        return 0

    client = smpplib.client.Client("127.0.0.1", port, timeout=5, allow_unknown_opt_params=True)
    client.set_message_sent_handler(lambda pdu: ids.append(pdu.message_id))
    client.set_message_received_handler(received)
    client.connect()
    try:
        client.bind_transceiver(system_id="pool1", password="secret08")
        for text in TEXTS:
            # smpplib packs a user data header in front of each part by itself.
            parts, data_coding, esm_class = smpplib.gsm.make_parts(text)
            for part in parts:
                client.send_message(
                    source_addr_ton=smpplib.consts.SMPP_TON_ALNUM,
                    source_addr="INFO",
                    dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
                    dest_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
                    destination_addr="447700900123",
                    short_message=part,
                    data_coding=data_coding,
                    esm_class=esm_class,
                    registered_delivery=True,
                )
        while not enough.is_set():
            client.read_once()
        client.unbind()
    finally:
        client.disconnect()
    return ids


async def test_their_client_binds_submits_and_gets_receipts() -> None:
    wanted = sum(len(split(text).parts) for text in TEXTS)
    receipts: list[bytes] = []
    enough = threading.Event()

    async with asyncio.timeout(30), MessageCentre(Script(port=0, receipt_delay=0.05)) as centre:
        talking = asyncio.get_running_loop().run_in_executor(None, talk, centre.port, receipts, enough)
        while centre.totals().receipts_acked < wanted and not talking.done():
            await asyncio.sleep(0.01)
        enough.set()
        # The client waits in a read: one more PDU lets it see that this was enough.
        for link in centre.links:
            link.enquire(0.0)
        ids = await talking

        assert sorted(ids) == sorted(submit.message_id.encode() for submit in centre.submits)
        assert sorted(receipts) == sorted(ids)
        texts: dict[int | None, str] = {}
        whole = []
        for submit in centre.submits:
            if submit.place.parts == 1:
                whole.append(submit.text)
            else:
                texts[submit.place.reference] = texts.get(submit.place.reference, "") + submit.text
        assert sorted(whole + list(texts.values())) == sorted(TEXTS)
