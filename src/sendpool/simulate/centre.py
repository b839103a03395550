"""A simulated SMPP 3.4 message centre on a real socket, with the faults of a script. For tests and rehearsals.

async with MessageCentre(Script(port=0, faults=(Refuse(share=0.1),))) as centre:
    ...                          # bind to 127.0.0.1:centre.port
    assert centre.submits[0].text == "Hello"
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from math import inf
from types import TracebackType
from typing import Self

from sendpool.connectors.smpp.bodies import UDHI, Address, Bind, Command, Sm
from sendpool.connectors.smpp.pdu import encode_body
from sendpool.connectors.smpp.status import Status
from sendpool.domain.segments import Encoding, split
from sendpool.simulate.agenda import Agenda
from sendpool.simulate.fates import Fate, Fates
from sendpool.simulate.link import Delivery, Link, message_id_body
from sendpool.simulate.postbox import Postbox
from sendpool.simulate.receipts import is_wanted, receipt_body, spell_id
from sendpool.simulate.record import Ledger, Submit, SubmitLog, Totals, body_of, full_address
from sendpool.simulate.script import Drop, Outage, Script, pick

#: Seconds that a link may stay unbound.
BIND_WITHIN = 30.0
#: Seconds between looks at links and unacknowledged receipts.
ROUND = 0.25
#: Seconds until a receipt is sent again that the peer could not store (status 0x64).
REPEAT_AFTER = 0.5


class MessageCentre:
    """One centre: listens, answers by its script, reports, and remembers every submit in `submits`."""

    def __init__(
        self, script: Script | None = None, *, log: SubmitLog | None = None, keep_submits: bool = True
    ) -> None:
        self.script = script or Script(port=0)
        #: The port it listens on, once started; the same after an outage.
        self.port = self.script.port
        #: Every submit in order of arrival; empty without *keep_submits*, for long runs.
        self.submits: list[Submit] = []
        self.links: set[Link] = set()
        #: True between `freeze` and `thaw`.
        self.frozen = False
        #: The largest number of submits that were unanswered on one link.
        self.most_unanswered = 0
        #: The reference of the last long text that was sent.
        self._reference = 0
        self._log = log
        self._keep = keep_submits
        self._fates = Fates(self.script)
        self._drops_left = Counter({n: fault.times for n, fault in enumerate(pick(self.script.faults, Drop))})
        self._ledger = Ledger()
        self._postbox = Postbox(window=self.script.receipt_window, resend_after=self.script.resend_after)
        self._agenda = Agenda()
        self._held: list[Callable[[], None]] | None = None
        self._server: asyncio.Server | None = None
        self._alone = asyncio.Event()
        self._alone.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._started_at = 0.0
        # Ids must differ from those of an earlier run: the peer may still wait for receipts of these.
        self._last_id = int(time.time() * 1000)

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Listen. The script's times count from now. Raises `OSError` if the port is taken."""
        loop = asyncio.get_running_loop()
        self._started_at = loop.time()
        await self._listen()
        self._spawn(self._look_after_links())
        for outage in pick(self.script.faults, Outage):
            self._spawn(self._follow(outage))

    async def stop(self) -> None:
        """Close the port and every link."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._agenda.clear()
        await self.begin_outage()
        if self._log is not None:
            self._log.flush()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return asyncio.get_running_loop().time() - self._started_at

    @property
    def unacknowledged(self) -> int:
        """Receipts and texts that were sent and not answered, or wait to be sent."""
        return self._postbox.in_flight + self._postbox.waiting

    @property
    def accepted_by_source(self) -> dict[str, int]:
        """How many submits were accepted from each source."""
        return dict(self._ledger.accepted_by_source)

    def totals(self) -> Totals:
        """The counts up to now."""
        post = self._postbox
        return self._ledger.totals(
            sent=post.sent, acked=post.acked, rejected=post.rejected, waiting=post.waiting, texts=post.texts_sent
        )

    def hold_answers(self) -> None:
        """Take submits from now on, but answer none until `release_answers`."""
        if self._held is None:
            self._held = []

    def release_answers(self) -> None:
        """Answer what is held (on links that are still up), and from now on as the script says."""
        held, self._held = self._held or [], None
        for answer in held:
            answer()

    def freeze(self) -> None:
        """Stop reading on every link, as a centre that hangs; links stay up and nobody answers."""
        self._freeze(frozen=True)

    def thaw(self) -> None:
        """Read on."""
        self._freeze(frozen=False)

    def cut_links(self) -> None:
        """Break every link without a word; the port stays open."""
        for link in list(self.links):
            self._ledger.drops += 1
            link.cut()

    async def begin_outage(self) -> None:
        """Close the port and break every link."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in list(self.links):
            link.cut()
        await self._alone.wait()

    async def end_outage(self) -> None:
        """Listen again on the same port. Raises `OSError` if somebody else took it."""
        if self._server is None:
            await self._listen()

    async def send_text(
        self, source: str, destination: str, text: str, *, system_id: str | None = None, within: float = 30.0
    ) -> int:
        """Deliver an inbound text to a bind; return the command_status with which its last part was acknowledged.

        A long one goes as phones send it, in parts with a header each.

        Without *system_id* it goes to whoever is bound. Raises `TimeoutError` if nobody answers in *within* seconds.
        """
        cut = split(text)
        coding = 0 if cut.encoding is Encoding.GSM7 else 8
        self._reference = self._reference + 1 & 0xFF
        status = 0
        for number, octets in enumerate(cut.parts, 1):
            header = bytes((5, 0, 3, self._reference, len(cut.parts), number)) if len(cut.parts) > 1 else b""
            sm = Sm(
                source=_address(source),
                destination=_address(destination),
                esm_class=UDHI if header else 0,
                data_coding=coding,
                short_message=header + octets,
            )
            status = await self._deliver(sm, system_id, within)
        return status

    async def _deliver(self, sm: Sm, system_id: str | None, within: float) -> int:
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        receiver = next((link.system_id for link in self.links if link.may_receive), "")
        body = encode_body(sm, Command.DELIVER_SM)
        self._postbox.post(Delivery(system_id or receiver, body, answered=answered), self._now())
        return await asyncio.wait_for(answered, within)

    def link_opened(self, link: Link) -> None:
        """A link came up (called by the link)."""
        self.links.add(link)
        self._alone.clear()
        if self.frozen:
            link.freeze(frozen=True)

    def link_bound(self, link: Link) -> None:
        """A bind was accepted (called by the link)."""
        self._ledger.binds += 1
        self._postbox.link_bound(link, self._now())

    def link_lost(self, link: Link) -> None:
        """A link is gone (called by the link)."""
        self.links.discard(link)
        if not self.links:
            self._alone.set()
        self._postbox.link_lost(link, self._now())

    def judge_bind(self, bind: Bind) -> int:
        """The command_status that a bind gets (called by the link)."""
        accounts = self.script.accounts
        if accounts and bind.system_id not in accounts:
            return Status.RINVSYSID
        if accounts and accounts[bind.system_id] != bind.password:
            return Status.RINVPASWD
        return self._fates.of_bind(bind.system_id, self.elapsed)

    def delivery_answered(self, link: Link, sequence: int, status: int) -> None:
        """A deliver_sm was answered (called by the link)."""
        again = self._postbox.answered(link, sequence, status)
        if again is not None:
            self._agenda.call_later(REPEAT_AFTER, lambda: self._postbox.post(again, self._now()))
        self._postbox.room(link.system_id, self._now())

    def submitted(self, link: Link, sequence: int, sm: Sm) -> None:
        """A submit_sm arrived on a link that may submit (called by the link)."""
        self.most_unanswered = max(self.most_unanswered, link.unanswered)
        place, octets = body_of(sm)
        source = full_address(sm.source.ton, sm.source.value)
        destination = full_address(sm.destination.ton, sm.destination.value)
        body = b"%d\0%s" % (place.part, octets)
        fate = self._fates.of_submit(link.system_id, source, destination, body, self.elapsed)
        if not fate.status:
            self._last_id += 1
        submit = Submit(
            at=time.time(),
            system_id=link.system_id,
            source=source,
            destination=destination,
            octets=octets,
            data_coding=sm.data_coding,
            place=place,
            registered_delivery=sm.registered_delivery,
            validity=sm.validity,
            status=fate.status,
            message_id="" if fate.status else spell_id(self._last_id, self.script.ids),
            answered=fate.answered,
            tlvs=sm.tlvs,
        )
        self._ledger.enter(submit)
        if self._keep:
            self.submits.append(submit)
        if self._log is not None:
            self._log.write(submit, sm.source.value, sm.destination.value, sm.text)
        self._reply(link, sequence, sm, submit, fate)

    def _reply(self, link: Link, sequence: int, sm: Sm, submit: Submit, fate: Fate) -> None:
        """Report, answer and drop the link, in the order that the fate asks for."""
        drop = self._drop_now(link)
        wanted = self.script.always_report or is_wanted(sm.registered_delivery, fate.stat)
        if fate.receipts and wanted:
            self._report(link, sm, submit, fate)
        if fate.answered and (drop is None or drop.answered):
            body = b"" if fate.status else message_id_body(submit.message_id, fate.congestion)
            answer = functools.partial(link.answer_submit, fate.status, sequence, body)
            if self._held is not None:
                self._held.append(answer)
            elif fate.answer_after:
                self._agenda.call_later(fate.answer_after, answer)
            else:
                answer()
        if drop is not None:
            self._ledger.drops += 1
            link.hang_up()

    def _report(self, link: Link, sm: Sm, submit: Submit, fate: Fate) -> None:
        number = self._last_id
        after = 0.0 if fate.early else fate.receipt_after
        body = receipt_body(self.script, sm, number, fate._replace(receipt_after=after), submit.at)
        delivery = Delivery(link.system_id, body, preferred=link)
        for _ in range(fate.receipts):
            if fate.early:
                self._postbox.post(delivery, self._now())
            else:
                self._agenda.call_later(after, functools.partial(self._post, delivery))

    def _post(self, delivery: Delivery) -> None:
        self._postbox.post(delivery, self._now())

    def _drop_now(self, link: Link) -> Drop | None:
        for n, fault in enumerate(pick(self.script.faults, Drop)):
            due = link.submits % fault.after == 0 and fault.befalls(link.system_id, "", "", self.elapsed)
            if due and self._drops_left[n] > 0:
                self._drops_left[n] -= 1
                return fault
        return None

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _freeze(self, *, frozen: bool) -> None:
        self.frozen = frozen
        for link in self.links:
            link.freeze(frozen=frozen)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        tls = _tls_of(self.script)
        self._server = await loop.create_server(lambda: Link(self), self.script.host, self.port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _follow(self, outage: Outage) -> None:
        await asyncio.sleep(max(outage.since - self.elapsed, 0))
        await self.begin_outage()
        if outage.until < inf:
            await asyncio.sleep(max(outage.until - self.elapsed, 0))
            await self.end_outage()

    async def _look_after_links(self) -> None:
        while True:
            await asyncio.sleep(ROUND)
            now = self._now()
            self._postbox.repeat_overdue(now)
            if self._log is not None:
                self._log.flush()
            for link in list(self.links):
                if not link.bound and now - link.opened_at > BIND_WITHIN:
                    link.hang_up()
                elif self.script.enquire_link and link.bound:
                    self._enquire(link, now)

    def _enquire(self, link: Link, now: float) -> None:
        """Ask a quiet peer; cut the link if it did not answer by the next time."""
        last = link.enquired_at
        if last is None:
            link.enquire(now)
        elif now - last >= self.script.enquire_link:
            self._ledger.drops += 1
            link.cut()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _tls_of(script: Script) -> ssl.SSLContext | None:
    """What links are encrypted with. Raises `OSError` for a file that cannot be used."""
    if script.certificate_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=script.client_ca_file)
    context.load_cert_chain(script.certificate_file, script.key_file)
    if script.client_ca_file is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _address(address: str) -> Address:
    """An address with its numbering: international for "+" and digits, else unknown."""
    digits = address.removeprefix("+")
    return Address(1, 1, digits) if address.startswith("+") and digits.isdigit() else Address(0, 0, address)
