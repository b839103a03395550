"""The SMPP connector against a message centre by npm's smpp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.connectors.smtp.certificates import Certificate, make_certificate
from tests.peers.npm import Peer, modules_with, running

from sendpool.connectors.base import AttemptKey, CarrierId, ConnectionSettings, SenderSettings, Submission
from sendpool.connectors.smpp.connector import SmppConnector
from sendpool.domain.message import Content
from sendpool.domain.segments import count
from sendpool.domain.sender import Channel
from sendpool.testing.inbox import RecordingInbox

pytestmark = pytest.mark.peer

OURS = "+12034458910"
VERSION = "0.5.1"


@pytest.fixture(scope="session")
def modules() -> Path:
    """Where smpp is installed."""
    return modules_with("smpp", VERSION)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


class Met(NamedTuple):
    peer: Peer
    connector: SmppConnector
    inbox: RecordingInbox


@asynccontextmanager
async def meeting(modules: Path, certificate: Certificate | None = None, **options: Any) -> AsyncIterator[Met]:
    """The centre, with TLS where it has a certificate, and a connector that has tried to reach it."""
    behaves = options.pop("centre", {})
    if certificate is not None:
        cert, key = (path.read_text(encoding="utf-8") for path in certificate)
        behaves = {"cert": cert, "key": key, **behaves}
    async with running("smpp_server.cjs", modules, **behaves) as peer:
        access = {"host": "127.0.0.1", "port": peer.port, "system_id": "pool1", "password": "secret08"}
        senders = (SenderSettings(channel=Channel.SMS, address=OURS),)
        settings = ConnectionSettings(
            name="carrier", type="smpp", window=20, senders=senders, options={**access, **options}
        )
        connector, inbox = SmppConnector(settings, random=lambda: 0.05), RecordingInbox()
        await connector.open(inbox)
        try:
            await inbox.wait_for(lambda inbox: bool(inbox.links), 10)
            yield Met(peer, connector, inbox)
        finally:
            await connector.close()


def submission(number: int, text: str = "hi", **changes: Any) -> Submission:
    return Submission(
        attempt=AttemptKey(number, 1),
        channel=Channel.SMS,
        sender=OURS,
        recipient=f"+4477009000{number:02}",
        content=Content(text=text),
        segments=count(text),
        reference=number,
        validity=3600,
        parts=(1 << count(text)) - 1,
        options={},
    )._replace(**changes)


async def test_credentials_messages_and_receipts_travel_encrypted(modules: Path, certificate: Certificate) -> None:
    trusted = {"tls": True, "ca_file": str(certificate.file)}
    async with meeting(modules, certificate, centre={"receipts": True}, **trusted) as (peer, connector, inbox):
        bound = await peer.said()
        await connector.submit([submission(n) for n in range(3)])
        await inbox.wait_for(lambda inbox: len(inbox.stored) == 3, 10)

    assert bound == {"kind": "bind_transceiver", "system_id": "pool1", "password": "secret08", "encrypted": True}
    assert [outcome for _, _, outcome in inbox.outcome_list] == [CarrierId(f"npm-{n}") for n in (1, 2, 3)]
    assert [receipt.carrier_id for receipt in inbox.stored] == ["npm-1", "npm-2", "npm-3"]


async def test_a_stranger_gets_no_password(modules: Path, certificate: Certificate) -> None:
    async with meeting(modules, certificate, tls=True) as (peer, _, inbox):
        assert "its certificate is not trusted: self-signed certificate" in inbox.links[0].detail
        with pytest.raises(TimeoutError):
            await peer.said(within=1)


async def test_a_centre_that_wants_a_certificate_says_so(modules: Path, certificate: Certificate) -> None:
    strict = {"requestCert": True, "ca": certificate.file.read_text(encoding="utf-8")}
    known = {"tls": True, "ca_file": str(certificate.file)}
    mine = {"certificate_file": str(certificate.file), "key_file": str(certificate.key)}

    async with meeting(modules, certificate, centre=strict, **known) as (_, _, inbox):
        wanted = "the carrier wants a client certificate; set certificate_file and key_file"
        assert inbox.links[0].detail == f"the link was lost: {wanted}"
    async with meeting(modules, certificate, centre=strict, **known, **mine) as (_, _, inbox):
        assert inbox.is_up, inbox.links


async def test_pairs_submit_by_one_session_and_hear_by_the_other(modules: Path) -> None:
    pairs: dict[str, Any] = {"bind": "transmitter+receiver", "binds": 2}
    async with meeting(modules, centre={"receipts": True}, **pairs) as (peer, connector, inbox):
        await inbox.wait_for(lambda inbox: inbox.window == 40, 10)
        binds = [(await peer.said())["kind"] for _ in range(4)]
        await connector.submit([submission(n) for n in range(6)])
        await inbox.wait_for(lambda inbox: len(inbox.stored) == 6, 10)
        sessions = [(await peer.said())["session"] for _ in range(6)]

    assert binds == ["bind_receiver", "bind_transmitter"] * 2
    assert sorted(sessions) == [2] * 3 + [4] * 3
    assert {outcome.id for _, _, outcome in inbox.outcome_list if isinstance(outcome, CarrierId)} == {
        receipt.carrier_id for receipt in inbox.stored
    }


async def test_long_texts_and_tlvs_are_read_as_they_are_meant(modules: Path) -> None:
    own = {"tlvs": [{"tag": 0x1400, "text": "1101"}, {"tag": 0x1401, "from_tag": "dlt_template"}]}
    for form, parts in (("udh", 2), ("sar", 2), ("payload", 1)):
        options: dict[str, Any] = {"long_messages": form, **own}
        async with meeting(modules, **options) as (peer, connector, inbox):
            await peer.said()
            item = submission(7, "A" * 153 + "{B}", tags={"dlt_template": "1107"})
            await connector.submit([item._replace(segments=1, parts=1)])
            await connector.submit([item._replace(content=Content(text="A" * 160 + "{B}"), segments=2, parts=3)])
            await inbox.wait_for(lambda inbox: len(inbox.outcome_list) == 3, 10)
            single, *long = [await peer.said() for _ in range(1 + parts)]

        text = "".join(one["payload"] if form == "payload" else one["text"] for one in long)
        assert (single["text"], text) == ("A" * 153 + "{B}", "A" * 160 + "{B}")
        assert [one["tlvs"] for one in (single, *long)] == [{"5120": "1101", "5121": "1107"}] * (1 + parts)
        assert [one["sar"] for one in long] == ([[7, 2, 1], [7, 2, 2]] if form == "sar" else [[]] * parts)
        assert [one["udh"] for one in long] == (["0003070201", "0003070202"] if form == "udh" else [""] * parts)
