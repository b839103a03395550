"""What comes back to us is believed only where we have written it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sendpool.connectors.smtp.addresses import UnfitAddress, from_xtext, mailbox, to_xtext
from sendpool.connectors.smtp.tokens import Tokens, message_uid

UID = f"{0xABC << 6:032x}"
ADDRESSES = st.emails()


def test_golden_xtext(vectors: Any) -> None:
    for plain, written in vectors["xtext"]:
        assert to_xtext(plain) == written
        assert from_xtext(written) == plain


@given(st.text())
def test_any_text_survives_xtext(text: str) -> None:
    text = text.encode(errors="ignore").decode()

    assert to_xtext(text).isascii()
    assert from_xtext(to_xtext(text)) == text


def test_golden_mac(vectors: Any) -> None:
    verp = vectors["verp"]

    assert Tokens(verp["secret"]).mac(verp["id"]) == verp["mac"]


def test_every_try_of_a_message_has_one_name() -> None:
    assert message_uid(f"SM{0xABC << 6 | 1:032x}") == message_uid(f"SM{0xABC << 6 | 63:032x}") == UID


def test_a_bounce_address_is_known_whatever_the_case_and_a_forged_one_is_not() -> None:
    tokens = Tokens("one secret of some length")
    address = f"bounce+{tokens.token(UID)}@bounces.example.com"

    assert tokens.bounced(address, "bounces.example.com") == UID
    assert tokens.bounced(f"<{address.upper()}>", "bounces.example.com") == UID
    assert tokens.bounced(address, "elsewhere.example.com") is None
    assert Tokens("another secret of that sort").bounced(address, "bounces.example.com") is None
    assert tokens.bounced(f"bounce+{UID}-{'0' * 10}@bounces.example.com", "bounces.example.com") is None
    assert tokens.bounced("", "bounces.example.com") is None


@given(ADDRESSES)
def test_a_seal_gives_back_what_it_was_made_of_and_shows_nothing_of_it(address: str) -> None:
    tokens = Tokens("one secret of some length")
    sealed = tokens.seal(UID, address)

    assert tokens.unseal(sealed) == (UID, address)
    assert address not in sealed
    assert Tokens("another secret of that sort").unseal(sealed) is None
    assert tokens.unseal(sealed[:-8]) is None


@given(st.text())
def test_an_address_is_fit_for_a_command_or_refused(text: str) -> None:
    try:
        found = mailbox(text)
    except UnfitAddress:
        return
    assert not set(found.address) & set("\r\n\0<> ")
    assert found.domain.isascii()


def test_domains_are_written_in_ascii() -> None:
    assert mailbox("info@bücher.example").address == "info@xn--bcher-kva.example"
    assert mailbox("bücher@shop.example").international
