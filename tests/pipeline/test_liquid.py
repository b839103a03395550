"""Liquid as anybody may write it: what it does, and that nothing it can be made to do costs much."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.measuring import seconds_of

from sendpool.domain.message import has_markup
from sendpool.pipeline import liquid
from sendpool.pipeline.liquid import (
    BUDGET,
    LONGEST_MARKUP,
    MAX_VALUE,
    BadLiquid,
    Template,
    Unrenderable,
    compile_template,
)

#: 14 November 2023, 22:13:20 UTC.
MOMENT = 1_700_000_000_000_000
ROOM = 1_600


def rendered(source: str, **values: str) -> str:
    return compile_template(source).render(values, MOMENT, ROOM)


@pytest.mark.parametrize(
    ("source", "values", "text"),
    [
        ("Hello {{name}}", {"name": "Ada"}, "Hello Ada"),
        ("Hello {{ name }}!", {}, "Hello !"),
        ("Hello {{ name | default: 'there' }}", {}, "Hello there"),
        ("Hello {{ name | default: 'there' }}", {"name": ""}, "Hello there"),
        ("Hello {{ name | default: 'there' }}", {"name": "Ada"}, "Hello Ada"),
        ("{{ name | upcase | append: '!' }}", {"name": "ada"}, "ADA!"),
        ("{% if vip == 'yes' %}Dear{% else %}Hi{% endif %}", {"vip": "yes"}, "Dear"),
        ("{% unless vip %}Hi{% endunless %}", {}, "Hi"),
        ("{% for i in (1..3) %}{{ i }}{% endfor %}", {}, "123"),
        ("{% assign all = items | split: ',' %}{{ all[1] }}", {"items": "a,b"}, "b"),
        ("Your code is {{1}}, {{ 2 | upcase }}", {"1": "4711", "2": "a"}, "Your code is 4711, A"),
        ("{{- name -}} .", {"name": "a"}, "a."),
        ("{% raw %}{{ as it is {% endraw %}", {}, "{{ as it is "),
        ("{{ now }}{{ today }}", {}, ""),
        ("{{ 'now' | date: '%d.%m.%Y %H:%M' }}", {}, "14.11.2023 22:13"),
        ("{{ name }}", {"name": "{{ other }}"}, "{{ other }}"),
        ("{{ name.size }}", {"name": "four"}, "4"),
        ("\u202eabc {{ name }}\u200f", {"name": "\u061c٣"}, "\u202eabc \u061c٣\u200f"),
        ("{{ forloop }}{{ empty }}{{ nil }}", {}, ""),
    ],
)
def test_templates_say(source: str, values: dict[str, str], text: str) -> None:
    assert compile_template(source).render(values, MOMENT, ROOM) == text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ name", "never closed"),
        ("{% if a %}x", "endif"),
        ("{% include 'secret' %}", "include"),
        ("{% render 'secret' %}", "render"),
        ("{{ name | nofilter }}", "unknown filter"),
        ("{% if a | nofilter %}{% endif %}", ""),
        ("{{ }}", ""),
        ("line one\n{{ a b }}", "line 2"),
        ("{% raw %}{{", "never closed"),
        ("{% for x in %}{% endfor %}", ""),
        ("{% endfor %}", ""),
        ("{{" + "a" * (LONGEST_MARKUP + 1) + "}}", "longer"),
        ("{{" + " " * 200 + "}}", "blanks"),
        ("{% if " + "a and " * 160 + "a %}{% endif %}", ""),
    ],
)
def test_what_is_no_liquid_is_refused_before_anything_is_sent(source: str, said: str) -> None:
    try:
        compile_template(source).render({}, MOMENT, ROOM)
    except BadLiquid as error:
        problem = str(error)
    else:
        problem = ""

    assert said in problem
    assert problem.isascii()


RANGES_ANYWHERE = [
    "{% for i in (1..999999999) %}{% endfor %}",
    "{% for i in (1..999999999) reversed %}{% endfor %}",
    "{% for i in (1..999999999) limit: 1 offset: 99999999 %}{% endfor %}",
    "{% tablerow i in (1..999999999) %}{% endtablerow %}",
    "{{ (1..999999999) | join: ',' }}",
    "{% assign a = (1..999999999) | reverse %}",
    "{% assign a = (1..999999999) %}{% for i in a %}{% endfor %}",
    "{{ '' | default: (1..999999999) }}",
    "{{ 'a' | append: (1..999999999) | size }}{% for i in (1..999999999) %}{% endfor %}",
    "{% if (1..999999999) contains 'x' %}{% endif %}",
    "{% unless (1..999999999) contains 'x' %}{% endunless %}",
    "{% if false %}{% elsif (1..999999999) contains 'x' %}{% endif %}",
    "{% case (1..999999999) %}{% when (1..999999999) %}{% endcase %}",
    "{% echo (1..999999999) | reverse %}",
    "{% liquid\nassign a = (1..999999999) | reverse\n%}",
    "{% capture a %}{{ (1..999999999) | reverse }}{% endcapture %}",
    "{% assign n = 999999999 %}{{ (1..n) | reverse }}",
    "{% ifchanged %}{{ (1..999999999) | reverse }}{% endifchanged %}",
    "{% for i in (1..2) %}{% for j in (1..999999999) reversed %}{% endfor %}{% else %}{% endfor %}",
]
DOUBLINGS = "{% assign a = a | append: a %}" * 40
BOMBS = [
    *RANGES_ANYWHERE,
    "{% for i in (1..1000) %}{% for j in (1..1000) %}{% for k in (1..1000) %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for i in (1..1000) %}" * 25 + "{% endfor %}" * 25,
    "{% for i in (1..1000) %}{% if true %}" + "{% if true %}{% endif %}" * 200 + "{% endif %}{% endfor %}" * 1,
    "{% assign a = 'aaaaaaaaaa' %}" + DOUBLINGS,
    "{% assign a = 'aaaaaaaaaa' %}" + "{% capture a %}{{ a }}{{ a }}{{ a }}{% endcapture %}" * 25,
    "{% assign a = 'a,b' | split: ',' %}" + "{% assign a = a | concat: a %}" * 40,
    "{% assign a = 99999999 %}" + "{% assign a = a | times: a %}" * 30 + "{{ a }}",
    "{% assign a = long | replace: 'a', long %}{{ a }}",
    "{% assign a = long | split: '' %}{{ a | join: long }}",
    "{% for i in (1..1000) %}{{ long }}{% endfor %}",
    "{% for i in (1..1000) %}{{ 'a' }}{{ '' }}{% endfor %}" * 20,
    "{% for i in (1..1000) %}{% assign a = long | strip_html | squish | escape %}{% endfor %}",
    "{{ tags | strip_html | size }}" * 40,
    "{% for i in (1..1000) %}{{ i | date: '%99999999d' }}{% endfor %}",
    "{{ long | date: '%Y' }}",
    "{{ '9' | times: '1e999999' }}{{ '1e9999999' | round }}{{ 1 | round: 99999999 }}",
    "{{ long | slice: 0, 999999999999 }}{{ 'a' | truncate: 99999999999999 }}",
    "{% cycle " + ",".join("'a'" for _ in range(200)) + " %}" * 1,
    "{% increment a %}" * 90 + "{% for i in (1..1000) %}{% increment a %}{% endfor %}",
    "{{ 1 | divided_by: 0 }}",
    "{{ a" + "[a" * 300 + "]" * 300 + "}}",
    "{% if " + "(" * 300 + "a" + ")" * 300 + " %}{% endif %}",
]


@pytest.mark.parametrize("source", BOMBS)
def test_no_template_costs_more_than_its_budget(source: str) -> None:
    """Whatever it does, it ends: with a text that fits, as unrenderable, or as no Liquid at all."""
    values = {"long": "a" * 2_000, "tags": "<script" * 280}
    texts = [""]

    def try_it() -> None:
        liquid._compile_kept.cache_clear()
        with contextlib.suppress(BadLiquid, Unrenderable):
            texts.append(compile_template(source).render(values, MOMENT, ROOM))

    assert seconds_of(try_it, enough=3 * BUDGET) <= 3 * BUDGET
    assert len(texts[-1]) <= ROOM


@pytest.mark.parametrize("source", RANGES_ANYWHERE)
def test_ranges_are_bounded_wherever_they_stand(source: str) -> None:
    template = compile_template(source)

    try:
        text = template.render({}, MOMENT, ROOM)
    except Unrenderable:
        return
    assert "999999999" in text or not text, "never gone through, at most named"


ADVERSARIAL = [
    "{{",
    "{% ",
    "{{ ",
    "{{ a }}",
    "{% raw %}",
    "{%raw%}{%endraw%}",
    "{% doc %}",
    "{{'",
    "{%if a%}",
    "{",
    "}}",
]


@pytest.mark.parametrize("piece", [*ADVERSARIAL, "{{ a |", "{{" + " " * 99, "{% comment %}", "{{ \t-"])
def test_scanning_takes_time_in_proportion_to_the_source(piece: str) -> None:
    source = (piece * 20_000)[:20_000]

    def try_it() -> None:
        with contextlib.suppress(BadLiquid):
            compile_template(source)

    assert seconds_of(try_it, enough=2.0) <= 2.0


_PIECES = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        "{{a}}",
        "{{ a | upcase }}",
        "{%if a%}",
        "{%endif%}",
        "{%for i in (1..9)%}",
        "{%endfor%}",
        "{{ a | split: '' }}",
        " ",
        "-",
        "|\n    ",
        "{%assign a = a | append: a%}",
        "{% raw %}",
        "{% endraw %}",
        "'",
        '"',
        "{{ 1 }}",
        "{% cycle 'a', 'b' %}",
        "{% liquid assign a = 1 %}\n    ",
        "{{ a[0] }}",
        "\u202e",
        "é",
        "😀",
        "x",
    ]
)


@given(
    st.lists(_PIECES, max_size=30).map("".join) | st.text(max_size=50),
    st.dictionaries(st.sampled_from(["a", "i", "1"]), st.text(max_size=20)),
)
def test_any_source_is_refused_or_renders_within_its_room_and_the_same_again(
    source: str, values: dict[str, str]
) -> None:
    try:
        template = compile_template(source)
        text = template.render(values, MOMENT, ROOM)
    except (BadLiquid, Unrenderable):
        return

    assert len(text) <= ROOM
    assert template.render(values, MOMENT, ROOM) == text
    if not has_markup(source):
        assert text == source


_PLAIN = st.sampled_from(["{{a}}", "{{ b }}", "{{- a -}}", "{{ a | default: 'x' }}", ' {{b | default: "" }} ', "t \n"])


@given(st.lists(_PLAIN, max_size=8).map("".join), st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=9)))
def test_the_quick_way_says_the_same_as_the_library(source: str, values: dict[str, str]) -> None:
    quick = compile_template(source)
    slow = Template(quick._bound)
    slow._plain = None

    assert quick._plain is not None
    assert quick.render(values, MOMENT, ROOM) == slow.render(values, MOMENT, ROOM)


def test_a_text_that_grows_too_long_is_no_text() -> None:
    with pytest.raises(Unrenderable, match="too long"):
        rendered("{{ a }}{{ a }}", a="x" * 801)
    with pytest.raises(Unrenderable, match="too long"):
        rendered("{{ a | upcase }}{{ a | upcase }}", a="x" * 801)
    with pytest.raises(Unrenderable, match="too large"):
        rendered("{{ a | upcase }}", a="x" * (MAX_VALUE + 1))


def test_what_is_wrong_repeats_no_value() -> None:
    with pytest.raises(Unrenderable) as caught:
        rendered("{{ a | times: 'x' | divided_by: 0 }}", a="4711")

    assert "4711" not in str(caught.value)


EVIL = '<script>"x"&\''


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<b>{{ name }}</b>", "<b>&lt;i&gt;A &amp; B&lt;/i&gt;</b>"),
        ("{{ name | upcase }}", "&lt;I&gt;A &amp; B&lt;/I&gt;"),
        ("{{ name | escape }}", "&lt;i&gt;A &amp; B&lt;/i&gt;"),
        ("{{ name | safe }}", "<i>A & B</i>"),
        ("{{ other | default: '<b>you</b>' }}", "<b>you</b>"),
        ("{% capture x %}<p>{{ name }}</p>{% endcapture %}{{ x }}", "<p>&lt;i&gt;A &amp; B&lt;/i&gt;</p>"),
        ("{{ name | append: '<br>' }}", "&lt;i&gt;A &amp; B&lt;/i&gt;<br>"),
    ],
)
def test_in_a_document_values_are_text(source: str, text: str) -> None:
    assert compile_template(source, html=True).render({"name": "<i>A & B</i>"}, MOMENT, 1_000) == text


@pytest.mark.parametrize("arguments", ["", ": 'a'", ": v", ": 'a', v", ": 'a', 'b'", ": 2"])
@pytest.mark.parametrize("value", ["v", "'<i>own'", "'a,b' | split: ','", "v | split: ','", "v | url_encode"])
def test_in_a_document_no_filter_lets_a_values_markup_through(value: str, arguments: str) -> None:
    names = set(liquid._HTML.filters) - {"safe"}
    found = []
    for name in names:
        try:
            template = compile_template(f"{{{{ {value} | {name}{arguments} }}}}", html=True)
            found.append(template.render({"v": EVIL}, MOMENT, 1_000))
        except (BadLiquid, Unrenderable):
            continue

    assert found
    assert not [text for text in found if "<script" in text]


def test_a_document_and_a_text_of_the_same_words_are_two_templates() -> None:
    source = "{{ name }}"

    assert compile_template(source).render({"name": "A & B"}, MOMENT, 99) == "A & B"
    assert compile_template(source, html=True).render({"name": "A & B"}, MOMENT, 99) == "A &amp; B"
