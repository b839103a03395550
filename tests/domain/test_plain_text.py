"""Documents become texts, whatever clients send, in time that grows with their length alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.measuring import seconds_of

from sendpool.domain.plain_text import LONGEST, plain_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("Hello", "Hello"),
        ("  many \n blanks\t are one ", "many blanks are one"),
        ("<p>Hello, <b>World</b>!</p>", "Hello, World!"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<h1>Title</h1>body", "Title\n\nbody"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("one<BR><br ><br><br>two", "one\n\ntwo"),
        ("<div>one</div><div>two</div>", "one\ntwo"),
        ("<ul><li>one</li><li>two</ul>after", "- one\n- two\nafter"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("Fish &amp; chips &lt;3 &#8364;5", "Fish & chips <3 €5"),
        ("1 < 2 and {x} </3", "1 < 2 and {x} </3"),
        ("<html><head><title>x</title><style>p{}</style></head><body>y</body>", "y"),
        ("a<script>if (1 < 2) {document.write('<p>no</p>')}</script>b", "ab"),
        ("a<!-- <p>no</p> -->b<!doctype html><?xml?>c", "abc"),
        ('<img src="a.png" alt="A logo"> text', "A logo text"),
        ("<img src=a.png> text", "text"),
        ('see <a href="https://x.example/?a=1&amp;b=2">here</a>.', "see here (https://x.example/?a=1&b=2)."),
        ("<a href='https://x.example'>https://x.example</a>", "https://x.example"),
        ("<a href=mailto:a@b.example>write</a>", "write (mailto:a@b.example)"),
        ("<a href='#top'>up</a> <a name=x>here</a> <a data-href='https://no.example'>no</a>", "up here no"),
        ("<a href='javascript:alert(1)'>press</a>", "press"),
        ('<p title="a > b">text</p>', "text"),
        ("<a href='https://x.example'><p>one</p>two</a>", "one\n\ntwo (https://x.example)"),
        ("unclosed <b", "unclosed"),
        ("unclosed <a href='x", "unclosed"),
        ("unclosed <!-- comment", "unclosed"),
    ],
)
def test_a_document_becomes_what_a_reader_sees(html: str, text: str) -> None:
    assert plain_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<p>Hi {{ name | default: "a>b" }},</p>', 'Hi {{ name | default: "a>b" }},'),
        ("{% if a < b %}<p>x</p>{% endif %}", "{% if a < b %}\n\nx\n\n{% endif %}"),
        ("<style>{% if dark %}p{}{% endif %} {{ css }}</style>x", "{% if dark %}{% endif %}x"),
        ('<a href="{{ url }}">go</a>', "go ({{ url }})"),
        ("&#123;&#123; not markup }}", "{ { not markup }}"),
        ("{{ never closed", "{{ never closed"),
    ],
)
def test_liquid_comes_through(html: str, text: str) -> None:
    assert plain_text(html) == text


@given(st.text(st.sampled_from(["<", ">", "p", "a", "/", "!", "-", "=", '"', "'", "&", ";", " ", "{", "}", "%", "é"])))
def test_any_text_at_all_has_a_text_without_tags_that_were_closed(html: str) -> None:
    text = plain_text(html)

    assert re.search(r"<[pa]>", text) is None or "&" in html or "{" in html
    assert "\n\n\n" not in text


@given(st.lists(st.text("abc xyz", min_size=1).map(str.strip).filter(bool), min_size=1))
def test_paragraphs_lose_nothing(paragraphs: list[str]) -> None:
    said = [" ".join(paragraph.split()) for paragraph in paragraphs]

    assert plain_text("".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)) == "\n\n".join(said)


@pytest.mark.parametrize(
    "part", ["<", "<a", "<!--", "{{", '<a href="', "<a x=' ", "href=", "<a href=x>y", "<style>", "&"]
)
def test_what_is_never_closed_takes_no_longer_for_its_length(part: str) -> None:
    most = 30 * seconds_of(lambda: plain_text(part * 10_000)) + 0.05

    assert seconds_of(lambda: plain_text(part * 80_000), enough=most) <= most


def test_of_a_document_without_end_the_beginning_is_read() -> None:
    assert plain_text("<p>x</p>" * LONGEST) == plain_text("<p>x</p>" * (LONGEST // 8))
