"""What people ask for with a word, in the languages of their country."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.domain.keywords import Keywords, Said, Use, Wish, keyword_in, plain
from sendpool.domain.segments import is_gsm


@pytest.mark.parametrize("country", ["", "US", "DE", "JP"])
@pytest.mark.parametrize("text", ["STOP", "stop", " Stop. ", "STOP ALL", "Unsubscribe!", "end", '"Stop"\n', "ＳＴＯＰ"])
def test_english_stops_everywhere(text: str, country: str) -> None:
    assert keyword_in(text, country) == Said(Wish.STOP, "en")


@pytest.mark.parametrize(
    ("text", "country", "said"),
    [
        ("Arrêt", "FR", Said(Wish.STOP, "fr")),
        ("ARRÊTER", "CA", Said(Wish.STOP, "fr")),
        ("baja", "MX", Said(Wish.STOP, "es")),
        ("Stopp", "DE", Said(Wish.STOP, "de")),
        ("começar", "BR", Said(Wish.START, "pt")),
        ("Démarrer", "BE", Said(Wish.START, "fr")),
        ("Hilfe?", "AT", Said(Wish.HELP, "de")),
        ("ayuda", "US", Said(Wish.HELP, "es")),
        ("HELP", "FR", Said(Wish.HELP, "en")),
        ("unstop", "", Said(Wish.START, "en")),
    ],
)
def test_other_languages_are_understood_where_they_are_spoken(text: str, country: str, said: Said) -> None:
    assert keyword_in(text, country) == said


@pytest.mark.parametrize("text", ["Arrêt", "Hilfe", "baja", "Stopp"])
def test_and_nowhere_else(text: str) -> None:
    assert keyword_in(text, "JP") is None


@pytest.mark.parametrize("text", ["", "please stop sending", "stopover", "no", "yes", "STOP " * 20, "когда", "1"])
def test_other_texts_say_something_else(text: str) -> None:
    assert keyword_in(text, "US") is None


@given(st.text(), st.sampled_from(["", "DE", "FR", "US", "BR"]))
def test_any_text_is_read_and_case_signs_and_blanks_say_nothing(text: str, country: str) -> None:
    said = keyword_in(text, country)

    if said is not None:
        assert keyword_in(plain(text), country) == said
        assert keyword_in(f" {plain(text).lower()}!", country) == said


@pytest.mark.parametrize("language", ["en", "fr", "es", "de", "pt", "nl", "it", "sv"])
@pytest.mark.parametrize("wish", list(Wish))
def test_every_language_has_an_answer_that_fits_one_segment_or_two(language: str, wish: Wish) -> None:
    reply = Keywords().reply_to(Said(wish, language))

    assert 20 < len(reply) <= 160
    assert ("START" if wish is Wish.STOP else "STOP") in reply
    assert language != "en" or is_gsm(reply)


def test_a_connection_may_answer_in_its_own_words_or_not_at_all() -> None:
    own = Keywords(replies={Wish.STOP: "Bye.", Wish.HELP: ""})

    assert own.reply_to(Said(Wish.STOP, "de")) == "Bye."
    assert own.reply_to(Said(Wish.HELP, "de")) == ""
    assert "STOP" in own.reply_to(Said(Wish.START, "de"))
    assert Keywords(Use.RECORD).reply_to(Said(Wish.STOP, "en")) == ""
