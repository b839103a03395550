"""TLS: credentials go only to a centre whose certificate is trusted, and what is wrong is told in plain words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.connectors.smpp.conftest import OURS, PERSON, Rig
from tests.connectors.smtp.certificates import Certificate, make_certificate

from sendpool.connectors.base import CarrierId, ConnectionSettings
from sendpool.connectors.smpp.connector import SmppConnector
from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.script import Script, ScriptError
from sendpool.testing.connector_suite import until
from sendpool.testing.inbox import Link, RecordingInbox


class Certificates(NamedTuple):
    centre: Certificate
    named: Certificate
    client: Certificate


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("tls")
    return Certificates(*(make_certificate(folder, name) for name in ("127.0.0.1", "smsc.example", "sendpool.example")))


def connector(port: int, **options: Any) -> SmppConnector:
    access = {"host": "127.0.0.1", "port": port, "system_id": "pool1", "password": "secret08", "tls": True}
    settings = ConnectionSettings(name="carrier", type="smpp", options={**access, **options})
    SmppConnector.check(settings)
    return SmppConnector(settings, random=lambda: 1.0)


@asynccontextmanager
async def meeting(
    certificate: Certificate, client_ca: Certificate | None = None, **options: Any
) -> AsyncIterator[tuple[MessageCentre, SmppConnector, RecordingInbox]]:
    """A centre with a certificate, and a connector that has tried to reach it."""
    script = Script(
        port=0,
        certificate_file=str(certificate.file),
        key_file=str(certificate.key),
        client_ca_file=client_ca and str(client_ca.file),
    )
    inbox = RecordingInbox()
    async with MessageCentre(script) as centre:
        made = connector(centre.port, **options)
        await made.open(inbox)
        await inbox.wait_for(lambda inbox: bool(inbox.links))
        yield centre, made, inbox
        await made.close()


async def test_messages_receipts_and_texts_travel_encrypted(rig: Rig, certificates: Certificates) -> None:
    async with meeting(certificates.centre, ca_file=str(certificates.centre.file)) as (centre, made, inbox):
        await made.submit([rig.submission(n) for n in range(3)])
        await inbox.wait_for(lambda inbox: len(inbox.stored) == 3)
        assert await centre.send_text(PERSON, OURS, "hello") == 0

    assert all(isinstance(outcome, CarrierId) for _, _, outcome in inbox.outcome_list)
    assert [text.text for text in inbox.texts] == ["hello"]
    assert centre.totals().binds == 1


async def test_the_certificate_of_another_name_is_taken_under_that_name(certificates: Certificates) -> None:
    trusted: dict[str, Any] = {"ca_file": str(certificates.named.file), "server_name": "smsc.example"}
    async with meeting(certificates.named, **trusted) as (_, _, inbox):
        assert inbox.is_up, inbox.links


async def test_without_verification_any_certificate_will_do(certificates: Certificates) -> None:
    async with meeting(certificates.named, tls_verify=False) as (_, _, inbox):
        assert inbox.is_up, inbox.links


@pytest.mark.parametrize(
    ("ca", "why"),
    [("centre", "IP address mismatch, certificate is not valid for '127.0.0.1'"), (None, "self-signed certificate")],
)
async def test_a_stranger_gets_no_credentials(certificates: Certificates, ca: str | None, why: str) -> None:
    """The certificate is that of another host, or nobody has said that it is to be trusted."""
    known: dict[str, Any] = {"ca_file": str(certificates.named.file)} if ca else {}
    async with meeting(certificates.named, **known) as (centre, made, inbox):
        assert not inbox.is_up
        place = f"no connection to 127.0.0.1:{centre.port}: its certificate is not trusted: "
        assert inbox.links == [Link(False, 0, f"{place}{why}; look at ca_file and server_name")]
        heard = centre.totals()
        await made.close()

    assert (heard.binds, heard.submits) == (0, 0)


async def test_a_client_certificate_is_shown_where_the_centre_wants_one(certificates: Certificates) -> None:
    known = {"ca_file": str(certificates.centre.file)}
    mine = {"certificate_file": str(certificates.client.file), "key_file": str(certificates.client.key)}
    async with meeting(certificates.centre, certificates.client, **known, **mine) as (_, _, inbox):
        assert inbox.is_up, inbox.links


async def test_a_missing_client_certificate_is_told(certificates: Certificates) -> None:
    known = {"ca_file": str(certificates.centre.file)}
    async with meeting(certificates.centre, certificates.client, **known) as (centre, _, inbox):
        assert centre.totals().binds == 0

    assert inbox.links[0].detail.endswith("if it wants a client certificate, set certificate_file")


async def test_a_centre_without_tls_is_told(rig: Rig) -> None:
    async with MessageCentre(Script(port=0)) as centre:
        made, inbox = connector(centre.port), RecordingInbox()
        await made.open(inbox)
        await inbox.wait_for(lambda inbox: bool(inbox.links))
        await made.close()

    assert inbox.links[0].detail.startswith(f"no connection to 127.0.0.1:{centre.port}: it does not speak TLS")
    assert inbox.links[0].detail.endswith("look at tls and port")


async def test_a_certificate_that_was_renewed_is_taken_up(certificates: Certificates, tmp_path: Path) -> None:
    known = tmp_path / "ca.pem"
    known.write_bytes(certificates.named.file.read_bytes())
    async with meeting(certificates.centre, ca_file=str(known)) as (_, _, inbox):
        assert not inbox.is_up
        known.write_bytes(certificates.centre.file.read_bytes())
        await until(lambda: inbox.is_up, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tls": False, "ca_file": "ca.pem"}, "key 'ca_file': it needs tls = true"),
        ({"tls": False, "tls_verify": False}, "key 'tls_verify': it needs tls = true"),
        ({"tls": False, "server_name": "a"}, "key 'server_name': it needs tls = true"),
        ({"key_file": "key.pem"}, "key 'key_file': it needs certificate_file"),
        ({"tls_verify": False, "ca_file": "ca.pem"}, "key 'tls_verify': without it ca_file and server_name check"),
        ({"ca_file": "/nowhere/ca.pem"}, "key 'ca_file': /nowhere/ca.pem cannot be used: No such file or directory"),
        ({"certificate_file": "/nowhere/a.pem"}, "key 'certificate_file': /nowhere/a.pem cannot be used: No such file"),
    ],
)
def test_bad_settings_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        connector(2775, **options)

    assert str(caught.value).startswith(message)


def test_files_that_are_no_certificates_are_named(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    pair = {"certificate_file": str(certificates.client.file), "key_file": str(certificates.centre.key)}

    with pytest.raises(ValueError, match=r"key 'certificate_file': .* cannot be used: key values mismatch"):
        connector(2775, **pair)
    with pytest.raises(ValueError, match=r"key 'ca_file': .*empty.pem cannot be used: "):
        connector(2775, ca_file=str(tmp_path / "empty.pem"))


def test_a_simulated_key_needs_its_certificate() -> None:
    with pytest.raises(ScriptError, match="need a certificate_file"):
        Script(port=0, key_file="centre.key")
