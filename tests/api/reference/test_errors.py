"""Every code that this server can emit has a page that says what it means, what was done and what to do."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import sendpool
from sendpool.api.reference.codes import error_codes
from sendpool.domain.failures import CLASSES, ROWS, FailureClass

SOURCE = Path(sendpool.__file__).parent
CODES = error_codes()
#: Ranges that codes lie in.
_LEAST, _MOST = 10_001, 99_999


def named_codes() -> dict[int, str]:
    """Codes that stand as constants in the code, with the name that they have there."""
    found = {}
    for path in [*(SOURCE / "api").rglob("*.py"), *(SOURCE / "pipeline").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign):
                for name, value in _assigned(node):
                    if _LEAST <= value <= _MOST and not re.search(r"MAX|MOST|LONGEST|LARGEST|VALIDITY|SECONDS", name):
                        found[value] = f"{path.name}: {name}"
    return found


def _assigned(node: ast.Assign) -> list[tuple[str, int]]:
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = zip(target.elts, node.value.elts, strict=False)
        else:
            pairs = iter([(target, node.value)])  # type: ignore[assignment]
        return [
            (name.id, value.value)
            for name, value in pairs
            if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and type(value.value) is int
        ]
    return []


def test_constants_of_the_code_are_found() -> None:
    assert {60701, 21211, 20003, 20500, 30410, 30008} <= named_codes().keys()


@pytest.mark.parametrize(("code", "where"), sorted(named_codes().items()))
def test_every_code_in_the_code_is_explained(code: int, where: str) -> None:
    assert code in CODES, f"{where}: explain it in src/sendpool/api/reference/codes.toml"


def test_every_code_of_the_failure_table_is_explained() -> None:
    shown = {row.wire_code for table in ROWS.values() for row in table.values()}
    shown |= {actions.wire for actions in CLASSES.values()}

    assert shown - {None} <= CODES.keys()


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_says_what_it_means_and_what_to_do(code: int) -> None:
    told = CODES[code]

    sentences = [told.means]
    sentences += [told.request.remedy] if told.request else []
    sentences += [told.attempt.remedy, told.attempt.advice] if told.attempt else []
    assert all(re.fullmatch(r"[A-Z].*[.]", sentence, re.DOTALL) for sentence in sentences)
    if told.attempt is not None:
        assert told.attempt.failure is not FailureClass.OK
        assert told.attempt.done


def test_most_specific_class_is_taken_for_a_code() -> None:
    assert _class(30022) is FailureClass.THROTTLED
    assert _class(30001) is FailureClass.THROTTLED
    assert _class(21703) is FailureClass.SENDER
    assert _class(61337) is FailureClass.CHANNEL
    assert _class(60701) is None


def _class(code: int) -> FailureClass | None:
    attempt = CODES[code].attempt
    return attempt.failure if attempt else None


@pytest.mark.parametrize("code", sorted(CODES))
async def test_every_code_has_a_page(code: int, still: Any) -> None:
    answer = await still.get(f"/docs/errors/{code}")

    assert answer.status == 200
    assert f"<h1>Error {code}</h1>" in answer.body.decode()


async def test_the_list_leads_to_every_page_and_explains_every_class(still: Any) -> None:
    text = (await still.get("/docs/errors")).body.decode()

    assert {int(code) for code in re.findall(r'href="errors/(\d+)"', text)} == CODES.keys()
    assert set(re.findall(r'<h3 id="(\w+)">', text)) == set(FailureClass)


async def test_a_page_says_what_was_done_in_the_words_of_its_class(still: Any) -> None:
    text = (await still.get("/docs/errors/61337")).body.decode()

    assert "Then the recipient's next channel is tried (fallback)." in text
    assert "RCS Business Messaging" in text


async def test_an_attempt_and_a_request_can_have_the_same_code(still: Any) -> None:
    text = (await still.get("/docs/errors/21614")).body.decode()

    assert "In an answer to a request" in text
    assert "On an attempt or message" in text


@pytest.mark.parametrize("code", ["1", "x", "99999999999999999999", "%D9%A3", "-1", "30008.0"])
async def test_an_unknown_code_is_a_404(code: str, still: Any, conforms: Any) -> None:
    answer = await still.get(f"/docs/errors/{code}")

    assert answer.status == 404
    conforms(answer.json, "ErrorResponse")
