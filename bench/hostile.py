"""Bodies meant to hurt, and texts that are only odd: what a server refuses, and what it carries."""

from __future__ import annotations

from collections.abc import Mapping

#: None of these is a JSON object; some are not even JSON.
BODIES: Mapping[str, bytes] = {
    "objects in objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "lists in lists": b"[" * 10_000 + b"]" * 10_000,
    "lists without an end": b'{"to":' + b"[" * 100_000,
    "lone high surrogate": b'{"name":"\\ud83d"}',
    "lone low surrogate": b'{"name":"\\ude00"}',
    "surrogates the wrong way round": b'{"name":"\\ude00\\ud83d"}',
    "surrogate as a key": b'{"\\ud83d":"x"}',
    "surrogate in UTF-8": b'{"name":"\xed\xa0\xbd"}',
    "overlong UTF-8": b'{"name":"\xc0\xaf"}',
    "UTF-8 cut off": b'{"name":"\xe2\x82"}',
    "Latin-1": '{"name":"Zürich"}'.encode("latin-1"),
    "UTF-16": '{"name":"x"}'.encode("utf-16"),
    "UTF-32": '{"name":"x"}'.encode("utf-32"),
    "byte order mark": b"\xef\xbb\xbf" + b'{"name":"x"}',
    "raw control characters": b'{"name":"a\x00\x01\nb"}',
    "not a number": b'{"pageSize":NaN}',
    "number without an end": b'{"validity":' + b"9" * 100_000 + b"}",
    "infinite number": b'{"validity":1e999}',
    "comment": b'{"name":"x"} // x',
    "two values": b'{"name":"x"}{"name":"y"}',
    "nothing": b"",
}

#: Texts that must arrive as they were sent.
ODD_TEXTS = (
    "שלום \u200f(abc)\u200e \u202eright to left\u202c \u2067isolate\u2069",
    "zero\u200bwidth \u200d joiners 👩‍👩‍👧 \ufeff",
    "combining " + "e" + "\u0301" * 50,
    "emoji 😀 and \U0010ffff beyond",
    "line\nbreaks\r\nand\ttabs",
    "</script><b>&amp;'\"; DROP TABLE message; --",
    "{ { not liquid } }",
    "\\u0000 \\ud83d as letters",
    "\u2028\u2029\u0085",
)
