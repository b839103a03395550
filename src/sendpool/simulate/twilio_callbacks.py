"""How a simulated Twilio posts callbacks: signed forms, repeated only where their address asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode

from sendpool.connectors.twilio.callbacks import SETTINGS, SIGNATURE, signature
from sendpool.simulate.poster import Poster
from sendpool.simulate.twilio_script import TwilioScript

#: Repeats of a callback whose address says nothing of them, and after what (Twilio, connection overrides).
_USUAL_REPEATS, _USUAL_REASONS = 1, "ct"


class TwilioCallbacks(Poster):
    """Posts the callbacks of one account."""

    def __init__(self, script: TwilioScript) -> None:
        super().__init__(script.inbound, window=script.callback_window, resend_after=script.resend_after)
        self._script = script

    def tell(self, url: str, fields: Mapping[str, str]) -> asyncio.Task[int]:
        """Post a callback; the task returns the status of its last answer (0: none)."""
        return self._spawn(self._tell(url, fields))

    def signed(self, url: str, fields: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a callback."""
        form = {name: [value] for name, value in fields.items()}
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
        if self._script.signing_key is None:
            headers[SIGNATURE] = signature(url, form, self._script.auth_token)
        else:
            key, secret = self._script.signing_key
            headers[SETTINGS] = f"key={key},algorithm=HMAC_SHA256"
            headers[SIGNATURE] = signature(url, form, secret, "sha256")
        return urlencode(fields).encode(), headers

    async def _tell(self, url: str, fields: Mapping[str, str]) -> int:
        target, _, fragment = url.partition("#")
        overrides = parse_qs(fragment)
        repeats = int(overrides.get("rc", [str(_USUAL_REPEATS)])[0])
        reasons = overrides.get("rp", [_USUAL_REASONS])[0].split(",")
        envelope = self.signed(target, fields)
        wait = self._resend_after
        while True:
            await self._speaks.wait()
            async with self._room:
                status = await self._post(*envelope, target)
            reason = "ct" if not status else f"{status // 100}xx"
            if repeats <= 0 or (reason not in reasons and "all" not in reasons) or 200 <= status < 300:
                return status
            await asyncio.sleep(wait)
            repeats, wait = repeats - 1, wait * 2
