"""A page for each error code, where `infoUrl` points, and one that lists them: the guide for when something failed."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.types import Scope

from sendpool.api.exchange import Reply, refusal
from sendpool.api.problems import not_found
from sendpool.api.reference.codes import AttemptError, ErrorCode, RequestError, error_codes
from sendpool.api.reference.fixed import html
from sendpool.api.reference.html import code, page, prose, table
from sendpool.domain.consequences import what_follows
from sendpool.domain.failures import CLASSES, FailureClass

#: Digits of a code; longer ones are not looked at.
_LONGEST = 8
_CARRIERS = {
    "sendpool": "found by Sendpool itself",
    "smpp": "SMPP command_status",
    "smpp.stat": "SMPP receipt, stat",
    "smpp.map": "SMPP receipt, network error code",
    "smpp.err": "SMPP receipt, err (one vendor's)",
    "smpp.reason": "SMPP delivery_failure_reason",
    "smpp.session": "SMPP session",
    "rcs": "RCS Business Messaging",
    "whatsapp": "WhatsApp Cloud API",
    "twilio": "Twilio",
    "smtp": "SMTP",
    "http": "any HTTP carrier",
    "sandbox": "sandbox",
}
_BACK = '<p><a href="../errors">All error codes</a></p>'


def error_page(scope: Scope) -> Reply:
    """What an `error.code` means, what Sendpool did about it and what to do."""
    text = scope["path_params"]["code"]
    known = text.isascii() and text.isdigit() and len(text) <= _LONGEST
    found = error_codes().get(int(text)) if known else None
    if found is None:
        return refusal(not_found("error code"))
    return html(page(f"Error {found.code}", prose(found.means), *_parts(found), above=_BACK))


def _parts(found: ErrorCode) -> Iterator[str]:
    both = found.request is not None and found.attempt is not None
    if found.request is not None:
        yield from _of_request(found.request, both)
    if found.attempt is not None:
        yield from _of_attempt(found.attempt, both)


def _of_request(told: RequestError, both: bool) -> Iterator[str]:
    yield "<h2>In an answer to a request</h2>"
    if both:
        yield f"<p>{prose(told.means)}</p>"
    yield f"<p>Status {code(told.status)}. Nothing of the request was carried out.</p>"
    yield f"<h3>What to do</h3><p>{prose(told.remedy)}</p>"


def _of_attempt(told: AttemptError, both: bool) -> Iterator[str]:
    yield "<h2>On an attempt or message</h2>"
    if both:
        yield f"<p>{prose(told.means)}</p>"
    about = CLASSES[told.failure].means
    yield f'<p>Class <a href="../errors#{told.failure}">{told.failure}</a>: {prose(about)}.</p>'
    yield f"<p>{prose(told.more)}</p>" if told.more else ""
    yield f"<h3>What Sendpool does</h3><p>{prose(' '.join(told.done))}</p>"
    yield f"<h3>What to do</h3><p>{prose(told.remedy)}</p><p>{prose(told.advice)}</p>"
    rows = [(_CARRIERS.get(provider, provider), code(own), prose(means)) for provider, own, means in _carriers(told)]
    if rows:
        yield "<h3>Carriers' codes that are shown as this one</h3>"
        yield "<p>The message of an attempt repeats the carrier's own code. A row may ask for more patience or less "
        yield "than its class.</p>"
        yield table(("Carrier", "Code", "Means"), rows)


def _carriers(told: AttemptError) -> Iterator[tuple[str, str, str]]:
    for row in told.rows:
        provider, _, own = row.rule.partition("/")
        note = "" if row.failure is told.failure else f" ({row.failure})"
        yield provider, own, row.meaning + note


def errors_page() -> bytes:
    """The page of all codes and classes."""
    found = error_codes()
    ours = [one for one in found.values() if one.request is not None]
    theirs = [(one.code, one.attempt) for one in found.values() if one.attempt is not None]
    return page(
        "Error codes",
        "What each code means, what Sendpool does about it by itself, and what you can do.",
        "<p>A failed attempt has a code in <code>error.code</code>, and its <code>infoUrl</code> leads to the page ",
        "here. The code's class alone decides what follows: a retry, another sender (failover), another channel ",
        "(fallback), or an end. <code>sendpool classes</code> prints the same on the command line.</p>",
        "<h2>Answers to requests</h2>",
        table(("Code", "Status", ""), ((_link(one.code), code(_status(one)), prose(_means(one))) for one in ours)),
        "<h2>Attempts and messages</h2>",
        table(("Code", "Class", ""), ((_link(number), told.failure, prose(told.means)) for number, told in theirs)),
        "<h2>Classes</h2>",
        *map(_class, FailureClass),
        above='<p><a href="../docs">The API</a></p>',
    )


def _link(number: int) -> str:
    return f'<a href="errors/{number}">{number}</a>'


def _status(one: ErrorCode) -> int:
    return one.request.status if one.request is not None else 0


def _means(one: ErrorCode) -> str:
    return one.request.means if one.request is not None else ""


def _class(failure: FailureClass) -> str:
    about = CLASSES[failure].means
    return f'<h3 id="{failure}">{failure}</h3><p>{prose(about)}. {prose(" ".join(what_follows(failure)))}</p>'
