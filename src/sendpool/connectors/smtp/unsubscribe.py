"""The link by which recipients unsubscribe (RFC 8058): asking for it shows a page, only posting to it acts."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from html import escape
from urllib.parse import parse_qs, quote, urlsplit

from sendpool.connectors.base import CallbackAnswer, CallbackRequest, OptedOut
from sendpool.connectors.smtp.tokens import Tokens
from sendpool.domain.sender import Channel

#: What follows /callbacks/<connection name> in the link.
PATH = "/unsubscribe"
RULE = "smtp/unsubscribe"
#: The body that says so; a page of ours posts it too.
ONE_CLICK = ("List-Unsubscribe", "One-Click")
_HTML = "text/html; charset=utf-8"
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="robots" content="noindex">'
    '<meta name="viewport" content="width=device-width"><title>{title}</title>'
    '<body style="font-family:sans-serif;margin:3em auto;max-width:30em;padding:0 1em"><h1>{title}</h1><p>{said}</p>'
    "{form}</body></html>"
)
_FORM = (
    '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
    '<button type="submit">Unsubscribe</button></form>'
)


def link(public_url: str, connection: str, sealed: str) -> str:
    """Where one recipient of one message unsubscribes."""
    return f"{public_url.rstrip('/')}/callbacks/{quote(connection, safe='')}{PATH}?t={sealed}"


def fields(url: str) -> dict[str, str]:
    """The header fields that name the link."""
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "=".join(ONE_CLICK)}


def shown(request: CallbackRequest, tokens: Tokens) -> CallbackAnswer:
    """The page that asks. Links are opened by scanners too, so that it changes nothing."""
    asked = said_by(request, tokens)
    if asked is None:
        return unknown()
    return _page(200, "Unsubscribe?", f"{asked.address} gets no more mailings.", _FORM)


def posted(request: CallbackRequest) -> bool:
    """Whether the body says what one click says, in either form that browsers post (RFC 8058 §3.2)."""
    kind = request.headers.get("content-type", "")
    if kind.lower().startswith("multipart/form-data"):
        posting = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + request.body)
        fields = {part.get_param("name", header="content-disposition"): _said(part) for part in posting.walk()}
        return fields.get(ONE_CLICK[0]) == ONE_CLICK[1]
    try:
        form = parse_qs(request.body.decode("ascii"), strict_parsing=True)
    except ValueError:
        return False
    return form == {ONE_CLICK[0]: [ONE_CLICK[1]]}


def _said(part: Message) -> str:
    payload = part.get_payload()
    return payload.strip() if isinstance(payload, str) else ""


def said_by(request: CallbackRequest, tokens: Tokens) -> OptedOut | None:
    """Who unsubscribes, or None where we have not written the link."""
    given = parse_qs(urlsplit(request.url).query).get("t", [""])
    sealed = tokens.unseal(given[0])
    return None if sealed is None else OptedOut(Channel.EMAIL, sealed.address, RULE)


def done() -> CallbackAnswer:
    """It has been noted."""
    return _page(200, "Unsubscribed", "This address gets no more mailings.")


def refused() -> CallbackAnswer:
    """Something else was posted."""
    return _page(400, "Nothing changed", "Expected a form with List-Unsubscribe=One-Click.")


def not_stored() -> CallbackAnswer:
    """It could not be noted: mailbox providers and people try again."""
    return _page(503, "Not done yet", "Please try again in a minute.")


def unknown() -> CallbackAnswer:
    """We have not written the link."""
    return _page(404, "Unknown link", "The link is incomplete. Copy all of it, or ask the sender.")


def _page(status: int, title: str, said: str, form: str = "") -> CallbackAnswer:
    page = _PAGE.format(title=title, said=escape(said), form=form)
    return CallbackAnswer(status, page.encode(), _HTML)
