"""What is posted is signed so that the vendor's client and the one of Standard Webhooks take it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from twilio.request_validator import RequestValidator

from sendpool.domain.signing import SECRET_BYTES, signed_url, spell_secret, standard_signature, twilio_signature

BODIES = st.text(max_size=200).map(str.encode)
URLS = st.sampled_from(
    ["https://sink.example/", "https://sink.example:8443/a?b=c", "http://127.0.0.1:99/x%20y?z=%C3%A9", "https://a/b#c"]
)


@given(url=URLS, body=BODIES, token=st.text(min_size=1, max_size=40))
def test_the_vendors_validator_takes_it_and_no_other_body(url: str, body: bytes, token: str) -> None:
    signed = signed_url(url, body)
    signature = twilio_signature(signed, token)

    assert RequestValidator(token).validate(signed, body.decode(), signature)
    assert not RequestValidator(token).validate(signed, body.decode() + "x", signature)
    assert not RequestValidator(token + "x").validate(signed, body.decode(), signature)


@given(body=BODIES, secrets=st.lists(st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES), min_size=1, max_size=2))
def test_standard_webhooks_takes_it_with_each_of_the_secrets(body: bytes, secrets: list[bytes]) -> None:
    now = int(datetime.now(UTC).timestamp())
    spelt = [spell_secret(secret) for secret in secrets]
    headers = {
        "webhook-id": "DG1.1.2",
        "webhook-timestamp": str(now),
        "webhook-signature": standard_signature(spelt, "DG1.1.2", now, b'{"a":' + str(len(body)).encode() + b"}"),
    }
    for secret in spelt:
        assert Webhook(secret).verify(b'{"a":%d}' % len(body), headers) == {"a": len(body)}
    with pytest.raises(WebhookVerificationError):
        Webhook(spell_secret(b"\0" * SECRET_BYTES)).verify(b"{}", headers)
