from __future__ import annotations

from sendpool.domain.message import Content, at_step, on_channel, space_at_step
from sendpool.domain.rcs_content import read_module
from sendpool.domain.sender import Channel


def test_only_address_is_that_of_every_step() -> None:
    assert [at_step("+447700900001", step) for step in range(3)] == ["+447700900001"] * 3
    assert [space_at_step("P", step) for step in range(3)] == ["P"] * 3


def test_each_step_has_its_own_address_where_there_are_several() -> None:
    assert [at_step("+1 +1 a@b.example", step) for step in range(3)] == ["+1", "+1", "a@b.example"]
    assert [space_at_step("PPE", step) for step in range(3)] == ["P", "P", "E"]


def test_address_that_was_taken_away_is_none_at_any_step() -> None:
    assert [at_step("", step) for step in range(3)] == ["", "", ""]


URLS = ("https://a.example/1.png", "https://a.example/2.pdf")


def test_by_sms_the_urls_of_media_follow_the_text_on_lines_of_their_own() -> None:
    assert on_channel(Content(text="Look", media=URLS), Channel.SMS).text == "Look\n" + "\n".join(URLS)
    assert on_channel(Content(media=URLS[:1]), Channel.SMS).text == URLS[0]
    sms = {"text": "Look", "media": [{"url": URLS[0]}]}
    assert on_channel(Content(modules={"SMS": sms}), Channel.SMS).text == f"Look\n{URLS[0]}"


def test_rcs_shows_the_first_file_with_the_text_below_it() -> None:
    alone = on_channel(Content(media=URLS[:1]), Channel.RCS).rich
    card = on_channel(Content(text="Look", media=URLS), Channel.RCS).rich

    assert alone == {"media": {"contentInfo": {"fileUrl": URLS[0]}}}
    assert card is not None
    assert read_module(card).rich_card is not None
    content = card["richCard"]["standaloneCard"]["cardContent"]
    assert content["description"] == f"Look\n{URLS[1]}"
    assert content["media"]["contentInfo"] == {"fileUrl": URLS[0]}


def test_rcs_says_a_text_that_no_card_has_room_for_with_links() -> None:
    said = on_channel(Content(text="x" * 2_001, media=URLS[:1]), Channel.RCS)

    assert said.rich is None
    assert said.text.endswith(f"\n{URLS[0]}")


def test_on_other_channels_media_stay_beside_the_text() -> None:
    content = Content(text="Look", media=URLS)

    assert on_channel(content, Channel.WHATSAPP) is content


def test_a_text_without_media_is_the_same_object_on_every_channel() -> None:
    content = Content(text="Look")

    assert all(on_channel(content, channel) is content for channel in Channel)
