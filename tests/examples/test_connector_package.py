"""The example of the guide is a package of its own: it is built, installed beside Sendpool, and passes the suite."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.examples.elks import Elks
from tests.journeys.conftest import Rig, rig  # noqa: F401 - a fixture

from sendpool.connectors.base import (
    AttemptKey,
    ConnectionSettings,
    Connector,
    Rejected,
    SenderSettings,
    Submission,
    Throttled,
    Uncertain,
)
from sendpool.connectors.registry import available, connector_type
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.testing import connector_suite as suite
from sendpool.testing.callbacks import Callbacks
from sendpool.testing.inbox import RecordingInbox

PACKAGE = Path(__file__).parents[2] / "examples" / "connector"
NUMBER, KEY = "+46766861004", "a-key-of-16-chars"
# 46elks takes a message whole: there are no parts of which some could go alone.
CHECKS = [check for check in suite.checks(with_peer=True) if check is not suite.only_wanted_parts_leave]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the package is installed, as pip does it for users; on the path for as long as this file's tests run."""
    place = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(place), str(PACKAGE)], check=True, timeout=120)
    sys.path.insert(0, str(place))
    yield place
    sys.path.remove(str(place))
    sys.modules.pop("sendpool_46elks", None)


class ElksRig:
    """What the suite asks for: connectors, and the carrier's side."""

    window = 10

    def __init__(self, elks: Elks, callbacks: Callbacks) -> None:
        self.elks = elks
        self.callbacks = callbacks

    @property
    def peer(self) -> ElksRig:
        return self

    def settings(self, **options: Any) -> ConnectionSettings:
        given = {
            "base_url": f"http://127.0.0.1:{self.elks.port}",
            "username": "u1",
            "password": "secret",
            "callback_url": f"{self.callbacks.url}/callbacks/elks",
            "callback_key": KEY,
            "response_timeout": 2.0,
            "idle": 1.0,
            "reconnect_max": 0.5,
            **options,
        }
        sender = SenderSettings(channel=Channel.SMS, address=NUMBER)
        return ConnectionSettings(name="elks", type="46elks", window=self.window, senders=(sender,), options=given)

    def connector(self, **options: Any) -> Connector:
        made: Any = connector_type("46elks")(self.settings(**options))
        self.callbacks.mount("elks", made)
        return cast(Connector, made)

    @staticmethod
    def submission(number: int, *, segments: int = 1) -> Submission:
        attempt = AttemptKey(1_000 + number, 1)
        recipient, public_id, text = f"+4477009{number:05}", f"SM{number:032x}", Content(text="Hi")
        return Submission(attempt, Channel.SMS, NUMBER, recipient, text, 1, 0, None, 1, {}, public_id=public_id)

    # ---------------------------------------------------------------- the carrier's side

    def hold(self) -> None:
        self.elks.hold()

    def answer(self) -> None:
        self.elks.answer()

    async def vanish(self) -> None:
        await self.elks.stop()

    async def come_back(self) -> None:
        await self.elks.start()

    def taken(self) -> int:
        return len(self.elks.messages)

    def most_unanswered(self) -> int:
        return self.elks.most_unanswered

    def unacknowledged(self) -> int:
        return len(self.elks.reports)

    async def send_text(self, sender: str, recipient: str, text: str) -> bool:
        self.elks.sms_url = f"{self.callbacks.url}/callbacks/elks/texts?key={KEY}"
        return await self.elks.send_text(sender, NUMBER, text) == 204


@pytest.fixture
async def elks_rig(installed: Path) -> AsyncIterator[ElksRig]:
    elks, callbacks = Elks(), Callbacks()
    await elks.start()
    await callbacks.listen()
    yield ElksRig(elks, callbacks)
    await elks.close()
    await callbacks.stop()


def test_its_type_is_known_once_it_is_installed(installed: Path) -> None:
    assert "46elks" in available()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_it_passes_the_connector_suite(check: suite.Check, elks_rig: ElksRig) -> None:
    await check(elks_rig)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (403, Rejected(FailureClass.ACCOUNT, "403", "account")),
        (400, Rejected(FailureClass.REQUEST, "400")),
        (429, Throttled("connection", 2.0, "429")),
        (500, Uncertain("status 500")),
    ],
)
async def test_what_46elks_refuses_has_its_class(status: int, outcome: object, elks_rig: ElksRig) -> None:
    elks_rig.elks.status = status
    connector, inbox, sent = elks_rig.connector(), RecordingInbox(), elks_rig.submission(1)
    await connector.open(inbox)
    await inbox.wait_for(lambda inbox: inbox.is_up)
    await connector.submit([sent])
    await inbox.wait_for(lambda inbox: bool(inbox.outcome_list))
    await connector.close()

    assert inbox.outcomes_of(sent.attempt) == [outcome]


async def test_a_wrong_password_is_told_in_words_and_nowhere_shown(elks_rig: ElksRig) -> None:
    connector, inbox = elks_rig.connector(password="wr0ng"), RecordingInbox()
    await connector.open(inbox)
    await inbox.wait_for(lambda inbox: bool(inbox.links))
    await connector.close()

    assert "does not know this username and password" in inbox.links[0].detail
    assert "wr0ng" not in str(inbox.links)


async def test_a_callback_without_the_key_is_refused_and_counted(elks_rig: ElksRig) -> None:
    connector: Any = elks_rig.connector()
    inbox = RecordingInbox()
    await connector.open(inbox)
    elks_rig.elks.sms_url = f"{elks_rig.callbacks.url}/callbacks/elks/texts?key=guessed-16-chars!"

    assert await elks_rig.elks.send_text("+46700000000", NUMBER, "hello") == 403
    await connector.close()
    assert (connector.forged, inbox.texts) == (1, [])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"password": 5}, "key 'password'"),
        ({"callback_key": "short"}, "key 'callback_key': too short"),
        ({"passwrod": "x"}, "key 'passwrod': not a setting here"),
    ],
)
async def test_wrong_settings_are_told_by_their_key(options: dict[str, Any], said: str, installed: Path) -> None:
    settings = ElksRig(Elks(), Callbacks()).settings(**options)

    with pytest.raises(ValueError, match=said):
        connector_type("46elks").check(settings)


async def test_a_server_sends_by_it(rig: Rig, installed: Path) -> None:  # noqa: F811
    elks = Elks()
    await elks.start()
    server = await rig.server(start=False)
    server.variables["PYTHONPATH"] = f"{rig.environment()['PYTHONPATH']}:{installed}"
    server.write(
        '[[connections]]\nname = "elks"\ntype = "46elks"\nusername = "u1"\npassword = "secret"\n'
        f'base_url = "http://127.0.0.1:{elks.port}"\ncallback_url = "https://sms.example/callbacks/elks"\n'
        f'callback_key = "{KEY}"\n[[connections.senders]]\nchannel = "SMS"\naddress = "{NUMBER}"\nmps = 50\n',
    )
    await server.start()
    elks.names["https://sms.example"] = server.base
    pool = await server.pool()
    operation = await server.send(pool, rig.phones(5))

    await server.wait_stats(operation, delivered=5)
    await elks.close()
    assert {sms.form["from"] for sms in elks.messages} == {NUMBER}
