"""Everything that a carrier may ask of an SMPP connection at once: TLS, pairs, whole texts, TLVs of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.connectors.smtp.certificates import make_certificate
from tests.journeys.conftest import until

from sendpool.connectors.smpp.bodies import Tag

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig

NAME, NUMBER = "ACMEIN", "+12034458910"
LONG = "Sehr geehrte Damen und Herren, " * 12
TLVS = 'tlvs = [{ tag = 0x1400, text = "1101" }, { tag = 0x1401, from_tag = "dlt_template" }]'


async def test_a_carrier_with_every_wish_is_served_and_heard(rig: Rig, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    centre = await rig.centre(certificate_file=str(certificate.file), key_file=str(certificate.key))
    ways = {"tls": True, "ca_file": str(certificate.file), "bind": "transmitter+receiver", "binds": 2}
    connection = rig.smpp("carrier", centre.port, [(NAME, 50), (NUMBER, 50)], long_messages="payload", **ways)
    server = await rig.server(connection.replace('type = "smpp"\n', f'type = "smpp"\n{TLVS}\n'))
    await until(lambda: sum(link.bound for link in centre.links) == 4, what="both pairs are bound")
    pool = await server.pool()

    to = [
        {"address": phone, "channel": "PHONE", "variables": {"kind": f"t{n}"}} for n, phone in enumerate(rig.phones(8))
    ]
    body = {
        "from": {"senderPoolId": pool},
        "to": to,
        "content": {"text": LONG},
        "tags": {"dlt_template": "{{ kind }}"},
    }
    operation = str((await server.call("POST", "/v1/Messages", body, 202))["operationId"])
    await server.wait_stats(operation, delivered=8)
    assert await centre.send_text("+447700900001", NUMBER, LONG) == 0
    (inbound,) = await until(lambda: server.pages("/v1/Messages?status=INBOUND", "messages"), what="a text is heard")

    assert (await server.message(inbound["id"]))["content"]["text"] == LONG
    assert len(centre.submits) == 8, "each text is one submit"
    for submit in centre.submits:
        kind = rig.phones(8).index(submit.destination)
        assert submit.tlvs == {Tag.MESSAGE_PAYLOAD: LONG.encode(), 0x1400: b"1101", 0x1401: f"t{kind}".encode()}
    assert {submit.source for submit in centre.submits} == {NAME, NUMBER}
    assert centre.totals().duplicates == 0
