"""The request that sends a message, written from the templates of a connection. Pure."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from sendpool.connectors.base import Outcome, Rejected, Submission
from sendpool.connectors.http.checks import SIGNED, fields_of
from sendpool.connectors.http.settings import Basic, Bearer, Header, Hmac, HttpSettings, Token
from sendpool.connectors.http.templates import Template, compiled, filled
from sendpool.connectors.web import callback_url
from sendpool.domain.failures import FailureClass
from sendpool.domain.segments import is_gsm

#: What follows /callbacks/<connection name> in the address that the carrier is given, and names the attempt there.
EVENTS_PATH, ATTEMPT = "/events", "m"
#: The recipient is no number; the content is not for SMS, empty or too long; a template has no value for its URL.
UNFIT_ADDRESS = Rejected(FailureClass.RECIPIENT, "unfit_address", "pair")
UNFIT_CONTENT = Rejected(FailureClass.CONTENT, "unfit_content", "message")
UNFIT_TEMPLATE = Rejected(FailureClass.REQUEST, "unfit_template", "message")


class UnfitSubmission(Exception):
    """A submission that this carrier cannot be asked to carry; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


class Post(NamedTuple):
    """A request ready to be made."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class Requests:
    """Writes the requests of one connection by its options, which have been checked."""

    def __init__(self, options: HttpSettings, connection: str) -> None:
        self._options, self._request = options, options.request
        known = fields_of(options)
        self._url = Template(options.request.url, known)
        self._headers = {name: Template(text, known) for name, text in options.request.headers.items()}
        self._json = compiled(options.request.json, known)
        self._form = compiled(options.request.form, known)
        self._secrets = {f"secret.{name}": secret for name, secret in options.secrets.items()}
        self._callback = self._address(connection)
        parts = urlsplit(options.request.url.partition("{{")[0])
        #: A URL that the host answers, whatever it says.
        self.sign_of_life = f"{parts.scheme}://{parts.netloc}/"

    def message(self, submission: Submission, now: float) -> Post:
        """The request for an attempt; *now* is the time in seconds since 1970. Raises `UnfitSubmission`."""
        values = self._values(submission)
        url = self._url.text(values, lambda text: quote(text, safe=""))
        if url is None:
            raise UnfitSubmission(UNFIT_TEMPLATE)
        body, kind = self._body(values)
        headers = {name: said for name, text in self._headers.items() if (said := text.text(values)) is not None}
        if not all(_is_header(said) for said in headers.values()):
            raise UnfitSubmission(UNFIT_TEMPLATE)
        if kind:
            headers.setdefault("Content-Type", kind)
        return Post(self._request.method, url, {**headers, **self._auth(url, body, now)}, body)

    def _values(self, submission: Submission) -> dict[str, Any]:
        text, digits = submission.content.text, submission.recipient[1:]
        if not (submission.recipient[:1] == "+" and digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 15):
            raise UnfitSubmission(UNFIT_ADDRESS)
        if submission.content.rich is not None or not 0 < len(text) <= self._request.longest_text:
            raise UnfitSubmission(UNFIT_CONTENT)
        validity = submission.validity
        if validity is not None:
            validity = min(max(validity, self._request.shortest_validity), self._request.longest_validity)
        return {
            "to": submission.recipient,
            "to_digits": digits,
            "sender": submission.sender,
            "sender_digits": submission.sender.lstrip("+"),
            "text": text,
            "message_id": submission.public_id,
            "callback_url": self._callback.replace(_PLACE, submission.public_id) if self._callback else None,
            "validity": validity,
            "validity_ms": None if validity is None else validity * 1000,
            "segments": submission.segments,
            "encoding": self._request.gsm if is_gsm(text) else self._request.ucs2,
            **self._secrets,
        }

    def _body(self, values: dict[str, Any]) -> tuple[bytes, str]:
        if self._json is not None:
            return msgspec.json.encode(filled(self._json, values)), "application/json"
        if self._form is not None:
            return urlencode(filled(self._form, values), doseq=True).encode(), "application/x-www-form-urlencoded"
        return b"", ""

    def _auth(self, url: str, body: bytes, now: float) -> dict[str, str]:
        match self._options.auth:
            case Basic(username=user, password=password):
                return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
            case Bearer(token=token):
                return {"Authorization": f"Bearer {token}"}
            case Header(name=name, value=value):
                return {name: value}
            case Hmac() as given:
                stamp = str(int(now))
                said = {given.header: keyed_hash(given, signed(given.input, self._request.method, url, body, stamp))}
                return {**said, given.timestamp_header: stamp} if given.timestamp_header else said
        return {}

    def _address(self, connection: str) -> str | None:
        options = self._options
        if options.public_url is None or options.callback is None:
            return None
        verify, url = options.callback.verify, callback_url(options.public_url, connection, EVENTS_PATH)
        # Carriers have a longest address (Vonage: 100 characters): it names the attempt only where nothing else does.
        query = [] if options.callback.reference else [f"{ATTEMPT}={_PLACE}"]
        if isinstance(verify, Token) and verify.query:
            query.append(f"{verify.query}={quote(verify.value, safe='')}")
        return f"{url}?{'&'.join(query)}" if query else url


_PLACE = "{}"


def keyed_hash(given: Hmac, octets: bytes) -> str:
    """What the header holds for what is signed."""
    hashed = hmac.digest(given.secret.encode(), octets, given.algorithm)
    return given.prefix + (hashed.hex() if given.encoding == "hex" else base64.b64encode(hashed).decode())


def signed(pattern: str, method: str, url: str, body: bytes, timestamp: str) -> bytes:
    """The octets that a hash or a signature is made of."""
    path = urlsplit(url)._replace(scheme="", netloc="", fragment="").geturl()
    # Octets as Latin-1 and back, for a body need not be text.
    values = {
        "body": body.decode("latin-1"),
        "timestamp": timestamp.encode().decode("latin-1"),
        "method": method,
        "url": url,
        "path": path,
    }
    return (Template(pattern, SIGNED).text(values) or "").encode("latin-1", "replace")


def _is_header(said: str) -> bool:
    """Whether a header can hold it: one line of Latin-1, so that no text of a client makes another header."""
    return all((" " <= one <= "\xff" and one != "\x7f") or one == "\t" for one in said)
