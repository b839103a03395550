"""Emails with Liquid in them: subject, html and text filled in for one recipient."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sendpool.domain.email_content import LONGEST_SUBJECT
from sendpool.domain.plain_text import plain_text
from sendpool.pipeline.liquid import Template, Unrenderable, compile_template

#: Characters that filling in may add to an html or a text.
_GROWTH = 1_000_000
#: What would end a header, or hide in it: a value with line breaks must not write headers of its own.
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


class EmptyEmail(Unrenderable):
    """Values that leave nothing of the subject, or of the html."""


class EmailTemplate:
    """A module of the channel EMAIL whose strings are templates. Filling it in is pure."""

    def __init__(self, module: Mapping[str, Any]) -> None:
        """Compile a module. Raises `BadLiquid`."""
        self._module = module
        self._subject = compile_template(module["subject"])
        self._html = compile_template(module["html"], html=True)
        self._text: Template | None = compile_template(module["text"]) if module.get("text") else None

    def fill(self, values: Mapping[str, str], moment: int) -> dict[str, Any]:
        """The module that says it to one recipient; *moment* as in `Template.render`. Raises `Unrenderable`."""
        subject = _BREAKS.sub(" ", self._subject.render(values, moment, LONGEST_SUBJECT)).strip()
        html = self._html.render(values, moment, len(self._module["html"]) + _GROWTH)
        if not subject or not html.strip():
            raise EmptyEmail("its subject or its html is empty once its variables are filled in")
        if self._text is None:
            text = plain_text(html)
        else:
            text = self._text.render(values, moment, len(self._module["text"]) + _GROWTH)
        if "\0" in html or "\0" in text:
            raise Unrenderable("it holds a NUL character once its variables are filled in")
        return {**self._module, "subject": subject, "html": html, "text": text}
