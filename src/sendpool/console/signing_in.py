"""`/console/session`: sign in with what HTTP Basic takes, see who is signed in, sign out."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from sendpool.api.auth import Caller
from sendpool.api.bodies import ClientGone, decode_object, read_body
from sendpool.api.exchange import Headers, Reply, refusal, respond
from sendpool.api.forwarded import origin_of
from sendpool.api.problems import METHOD_NOT_ALLOWED, UNAUTHENTICATED
from sendpool.api.services import Services
from sendpool.console.sessions import COOKIE, LASTS, Sessions, cookie_of
from sendpool.domain.request import Problem, Refused

#: Bytes of a body: two short texts.
_MOST = 4_096
_ALLOW: Headers = ((b"allow", b"GET, HEAD, POST, DELETE"),)
_UNSTORED: Headers = ((b"cache-control", b"no-store"),)


class SigningIn:
    """The session as a resource."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            reply = await self._reply(scope, dict(scope["headers"]), receive)
        except Refused as refused:
            reply = refusal(refused)
        except ClientGone:
            return
        await respond(scope, send, reply)

    async def _reply(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Reply:
        method = scope["method"]
        if method == "POST":
            return await self._sign_in(scope, headers, receive)
        if method in ("GET", "HEAD"):
            return self._shown(cookie_of(headers))
        if method == "DELETE":
            _check_site(headers)
            return Reply(204, b"", (*_UNSTORED, self._cookie(scope, headers, "", 0)))
        problem = Problem(METHOD_NOT_ALLOWED, "this path does not take this method; it takes GET, POST, DELETE")
        return refusal(Refused(problem, status=405), _ALLOW)

    async def _sign_in(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Reply:
        # A form of another site can send no JSON.
        _check_site(headers)
        fields = decode_object(await read_body(headers, receive, _MOST))
        sid, secret = fields.get("sid"), fields.get("secret")
        caller = self._caller(sid.strip(), secret.strip()) if isinstance(sid, str) and isinstance(secret, str) else None
        if caller is None:
            message = "no account has this SID with this secret; check both, they are those that your programs use"
            raise Refused(Problem(UNAUTHENTICATED, message), status=401)
        cookie = self._sessions.open(caller)
        shown = self._shown(cookie)
        return shown._replace(headers=(*shown.headers, self._cookie(scope, headers, cookie, LASTS)))

    def _caller(self, sid: str, secret: str) -> Caller | None:
        return self._services.accounts.authenticate(b"Basic " + base64.b64encode(f"{sid}:{secret}".encode()))

    def _shown(self, cookie: str | None) -> Reply:
        session = self._sessions.read(cookie)
        if session is None:
            return Reply(200, b'{"signedIn":false}', _UNSTORED)
        shown = {
            "signedIn": True,
            "sid": session.caller.sid,
            "accountSid": self._services.accounts.sid_of(session.caller.account_id),
            "token": session.token,
            "endsAt": session.ends_at // 1000,
        }
        return Reply(200, json.dumps(shown).encode(), _UNSTORED)

    def _cookie(self, scope: Scope, headers: dict[bytes, bytes], value: str, lasts: int) -> tuple[bytes, bytes]:
        origin = urlsplit(origin_of(scope, headers, self._services.public_url, self._services.trusted_proxies))
        secure = "; Secure" if origin.scheme == "https" else ""
        path = f"{origin.path.rstrip('/')}/console"
        text = f"{COOKIE}={value}; Path={path}; Max-Age={lasts}; HttpOnly; SameSite=Strict{secure}"
        return b"set-cookie", text.encode()


def _check_site(headers: dict[bytes, bytes]) -> None:
    """Refuse what a browser says to come from another site."""
    if headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none"):
        problem = Problem(UNAUTHENTICATED, "this came from another site; open the console itself and sign in there")
        raise Refused(problem, status=403)
