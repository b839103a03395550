"""`sendpool explain`: why a message went the way it did, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from sendpool.cli.asking import ask, one
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

#: Candidates of one choice that are told one by one; of the others only how many there are.
_FEW = 10


def explain(
    message_id: Annotated[str, Parameter(help="The id of a message, an email, or one of its attempts.")],
    /,
    *,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Say why a message went the way it did, or what it waits for; the server may be running or not."""
    show = one(_in_words, as_json=json)
    return ask(show, "explain.message", config=config, database=database, id=message_id)


def _in_words(found: Mapping[str, Any]) -> str:
    return "\n".join(_lines(found))


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['messageId']}: {found['status']}"
    yield found["text"]
    if found["plan"]:
        yield "\nPlan"
    for number, step in enumerate(found["plan"], 1):
        place = "-" if step["outcome"] == "left_out" else f"{number}."
        outcome = step["outcome"].replace("_", " ")
        yield f"  {place} {step['channel']} to {step['address'] or '(removed)'}: {outcome}. {step['text']}"
    for attempt in found["attempts"]:
        yield f"\nAttempt {attempt['attemptId']}, {attempt['startedAt']}"
        yield f"  {attempt['channel']} by {attempt['senderAddress']}: {attempt['state']}. {attempt['text']}"
        yield from _candidates(attempt.get("candidates", ()))
    if found["candidates"]:
        yield "\nSenders now" if _waits(found) else "\nSenders looked at"
        yield from _candidates(found["candidates"], found.get("candidatesLeftOut", 0))


def _waits(found: Mapping[str, Any]) -> bool:
    return all(one["verdict"] != "taken" for one in found["candidates"])


def _candidates(candidates: Sequence[Mapping[str, Any]], left_out: int = 0) -> Iterator[str]:
    for one_of_them in candidates[:_FEW]:
        yield f"  {one_of_them['address']}: {one_of_them['verdict']}. {one_of_them['text']}"
    more = len(candidates) - _FEW + left_out
    if more > 0:
        yield f"  and {more} more"
