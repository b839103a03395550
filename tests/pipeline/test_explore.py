from __future__ import annotations
import asyncio, tempfile
from hypothesis import given, settings, strategies as st, HealthCheck, Phase
from tests.pipeline.conftest import *
from sendpool.connectors.base import Throttled, Unavailable, Uncertain

D=ReceiptState.DELIVERED; U=ReceiptState.UNDELIVERED; R=ReceiptState.READ; X=ReceiptState.EXPIRED; P=ReceiptState.PROGRESS; K=ReceiptState.UNKNOWN

class Fate(NamedTuple):
    answer: str
    reports: tuple[tuple[float, ReceiptState], ...]

answers = st.sampled_from(["take","take","take","0x0a","0x45","0x58","0x0b","0x14","0xff","uncertain","late","late-refused","unavailable", "0x01", "0x33"])
reports = st.lists(st.tuples(st.sampled_from([0.0,0.0,0.0,0.05,0.5,3.0]), st.sampled_from([D,D,U,R,X,P,K])), max_size=3).map(tuple)
fates = st.lists(st.builds(Fate, answers, reports), min_size=1, max_size=6)

class Fickle(Carrier):
    def __init__(self, fates, **k):
        super().__init__(**k)
        self.fates = fates
    def fate(self, s, part):
        return self.fates[(s.attempt.message_id*5 + s.attempt.n*3 + part) % len(self.fates)]
    def _answer(self, batch):
        loop = asyncio.get_running_loop()
        out = []
        says = {}
        for s in batch:
            for part in range(1, s.segments+1):
                if not s.parts >> part-1 & 1: continue
                f = self.fate(s, part)
                name = self.name_of(s, part)
                if f.answer in ("take",): o = CarrierId(name)
                elif f.answer == "0x58": o = Throttled("sender", 0.2, "0x58") if len(self.sent) < 200 else CarrierId(name)
                elif f.answer == "uncertain": o = Uncertain("x")
                elif f.answer == "unavailable": o = Unavailable("x") if len(self.sent) < 200 else CarrierId(name)
                elif f.answer == "late":
                    o = Uncertain("x"); loop.call_later(1.0, self.inbox.outcomes, [(s.attempt, part, CarrierId(name))])
                elif f.answer == "late-refused":
                    o = Uncertain("x"); loop.call_later(1.0, self.inbox.outcomes, [(s.attempt, part, refused("0x0a"))])
                else: o = refused(f.answer)
                out.append((s.attempt, part, o))
                if f.answer in ("take","late"):
                    for at, state in f.reports:
                        says.setdefault(at, []).append(receipt(name, state))
        for at, items in says.items():
            if at: loop.call_later(at, self.say, items)
        if 0.0 in says and len(says[0.0]) % 2: self.say(says[0.0])
        self.inbox.outcomes(out)
        if 0.0 in says and not len(says[0.0]) % 2: self.say(says[0.0])

@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(fates, min_size=3, max_size=3), st.integers(1,8), st.booleans())
def test_any(migrated, three, n, long):
    async def run():
        with tempfile.TemporaryDirectory() as d:
            path = Path(d)/"x.db"; shutil.copyfile(migrated, path)
            a,b,c = (Fickle(f) for f in three)
            async with world(path, a=Line(a,{"+1203000001":5,"+1203000002":5}), b=Line(b,{"+1203000003":5}), c=Line(c,{"+1203000004":20})) as w:
                await w.send(*everyone(n), text=LONG_TEXT if long else TEXT, validity=20)
                await asyncio.sleep(8)
                assert not w.engine._running.done(), w.engine._running
                await asyncio.sleep(25)
    run_virtually(run())
