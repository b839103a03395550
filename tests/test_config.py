"""The configuration is read whole, or refused in one line that names file, key and remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sendpool.config import SERVER_SETTINGS, Config, ConfigError, ServerSettings, Setting, load, reload
from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain.sender import Channel

Read = Callable[..., Config]

SANDBOX = """
[[connections]]
name = "carrier-a"
type = "sandbox"
"""
SENDER = """
[[connections.senders]]
channel = "SMS"
address = "+12034458910"
"""
SMPP = """
[[connections]]
name = "carrier-a"
type = "smpp"
host = "127.0.0.1"
system_id = "sendpool"
"""


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Load a configuration with this text as sendpool.toml in the working directory."""
    monkeypatch.chdir(tmp_path)

    def read(text: str | bytes, environ: Mapping[str, str] | None = None, **flags: str) -> Config:
        Path("sendpool.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(None, environ or {}, flags)

    return read


def test_nothing_configured_gives_the_defaults_and_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    config = load(None, {})

    assert config == Config(server=ServerSettings(), connections=(), source=None)
    assert config.server.database == "sqlite:///sendpool.db"


def test_whole_file_is_read(read: Read) -> None:
    config = read(
        """
        [server]
        database = "sqlite:///here.db"
        public_url = "https://sms.example.com/comms/"
        trusted_proxies = ["10.0.0.0/8"]
        allow_private_networks = ["127.0.0.0/8", "fd00::/8"]

        [[connections]]
        name = "carrier-a"
        type = "smpp"
        host = "127.0.0.1"
        port = 2775
        system_id = "sendpool"
        password = "${CARRIER_A_PASSWORD}"
        mps = 500
        window = 200
        [connections.receipt_errors]
        "034" = "TRANSIENT"
        [[connections.senders]]
        channel = "SMS"
        address = "+12034458910"
        display_name = "Cool Support"
        mps = 10
        ton = 1

        [[connections]]
        name = "sandbox"
        type = "sandbox"
        [[connections.senders]]
        channel = "whatsapp"
        address = "+12034458910"
        """,
        {"CARRIER_A_PASSWORD": "hush"},
    )

    assert config.server.public_url == "https://sms.example.com/comms"
    assert config.server.trusted_proxies == ("10.0.0.0/8",)
    assert config.server.allow_private_networks == ("127.0.0.0/8", "fd00::/8")
    assert config.connections == (
        ConnectionSettings(
            name="carrier-a",
            type="smpp",
            mps=500,
            window=200,
            senders=(
                SenderSettings(
                    channel=Channel.SMS,
                    address="+12034458910",
                    display_name="Cool Support",
                    mps=10,
                    options={"ton": 1},
                ),
            ),
            options={
                "host": "127.0.0.1",
                "port": 2775,
                "system_id": "sendpool",
                "password": "hush",
                "receipt_errors": {"034": "TRANSIENT"},
            },
        ),
        ConnectionSettings(
            name="sandbox",
            type="sandbox",
            senders=(SenderSettings(channel=Channel.WHATSAPP, address="+12034458910"),),
        ),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[server\nport = 1",
            "line 1, column 8: Expected ']' at the end of a table declaration; correct the TOML there",
        ),
        ("port = ", "end of document: Invalid value; correct the TOML there"),
        (b"name = '\xff'", "it is not UTF-8; save it as UTF-8"),
        ("a = " + "[" * 2000, "it is nested too deeply; write tables instead"),
        ("[sever]\nport = 1", "sever: no such table; did you mean server?"),
        ("port = 1", "port: no such table; known are server, connections, pools, scopes"),
        ("server = 3", "server: expected a table, got 3; write [server] above it"),
        ("[server]\nprot = 1", "server.prot: no such setting; did you mean port?"),
        (
            "[server]\nport = 70000",
            "server.port: expected a whole number from 0 to 65535, got 70000; write for example port = 8080",
        ),
        (
            "[server]\nport = '80'",
            'server.port: expected a whole number from 0 to 65535, got "80"; write for example port = 8080',
        ),
        (
            "[server]\nport = true",
            "server.port: expected a whole number from 0 to 65535, got true; write for example port = 8080",
        ),
        (
            "[server]\ndatabase = 'sendpool.db'",
            'server.database: expected sqlite:/// and a path, or postgresql:// and a server, got "sendpool.db";'
            ' write for example database = "sqlite:///sendpool.db"',
        ),
        (
            "[server]\ndatabase = 'postgresql://localhost'",
            "server.database: it names no database; write postgresql://USER@HOST/NAME",
        ),
        (
            "[server]\nrole = 'send'",
            'server.role: role "send" needs PostgreSQL, and server.database is sqlite:///sendpool.db; on SQLite one'
            " process does all: leave the role out",
        ),
        (
            "[server]\npublic_url = 'sms.example.com'",
            'server.public_url: expected http:// or https://, a host and perhaps a path, got "sms.example.com";'
            ' write for example public_url = "https://sms.example.com"',
        ),
        (
            "[server]\npublic_url = 'https://me:it@sms.example.com'",
            "server.public_url: it has more than scheme, host and path; leave out user, query and fragment",
        ),
        (
            "[server]\nallow_private_networks = '10.0.0.0/8'",
            'server.allow_private_networks: expected a list of networks, got "10.0.0.0/8";'
            ' write for example allow_private_networks = ["127.0.0.0/8"]',
        ),
        (
            "[server]\nallow_private_networks = ['10.0.0.1/8']",
            'server.allow_private_networks: "10.0.0.1/8" is no network (10.0.0.1/8 has host bits set);'
            ' write for example "127.0.0.0/8"',
        ),
        (
            "[server]\naccount_sid = 'AC:1'",
            'server.account_sid: expected 1 to 64 printable ASCII characters without a colon, got "AC:1";'
            ' write for example account_sid = "AC0123456789abcdef0123456789abcdef"',
        ),
        (
            "[server]\nauth_token = 17",
            "server.auth_token: expected a text that is not empty, got something else;"
            ' write for example auth_token = "a-long-random-text"',
        ),
        (
            "[connections]\nname = 'a'",
            "connections: expected a list of tables; write [[connections]], in two brackets, above each",
        ),
        (
            "[[connections]]\ntype = 'sandbox'",
            'connections[0].name: it is missing; write for example name = "carrier-a"',
        ),
        (
            "[[connections]]\nname = 'a'\ntype = 'kannel'",
            'connections[0].type: type "kannel" is not available yet;'
            " available: smpp, whatsapp, rcs, smtp, twilio, http, sandbox",
        ),
        (
            SANDBOX + SANDBOX,
            'connections[1].name: connections[0] is called "carrier-a" too; give each connection a name of its own',
        ),
        (SANDBOX + "mps = -1", "connections[0].mps: expected a number above 0, got -1; write for example mps = 500"),
        (SANDBOX + "mps = inf", "connections[0].mps: expected a number above 0, got inf; write for example mps = 500"),
        (SANDBOX + "mps = nan", "connections[0].mps: expected a number above 0, got nan; write for example mps = 500"),
        (
            SANDBOX + "burst = 0",
            "connections[0].burst: expected a number of at least 1, got 0; write for example burst = 25",
        ),
        (
            SANDBOX + "window = 1.5",
            "connections[0].window: expected a whole number from 1 to 100000, got 1.5; write for example window = 200",
        ),
        (SANDBOX + "dely = 0.1", "connections[0].dely: not a setting here; known are delay"),
        (
            SANDBOX + "senders = 3",
            "connections[0].senders: expected a list of tables;"
            " write [[connections.senders]], in two brackets, above each",
        ),
        (
            SANDBOX + SENDER + "mps = 'fast'",
            'connections[0].senders[0].mps: expected a number above 0, got "fast"; write for example mps = 10',
        ),
        (
            SANDBOX + "[[connections.senders]]\nchannel = 'SMS'",
            'connections[0].senders[0].address: it is missing; write for example address = "+12034458910"',
        ),
        (
            SANDBOX + "[[connections.senders]]\nchannel = 'FAX'\naddress = '1'",
            'connections[0].senders[0].channel: expected "SMS", "RCS", "WHATSAPP" or "EMAIL", got "FAX";'
            ' write for example channel = "SMS"',
        ),
        (
            SANDBOX + SENDER + SENDER,
            'connections[0].senders[1].address: SMS sender +12034458910 stands in connection "carrier-a" already;'
            " leave one of the two out",
        ),
        (
            SANDBOX + SENDER + SANDBOX.replace("carrier-a", "carrier-b") + SENDER,
            'connections[1].senders[0].address: SMS sender +12034458910 stands in connection "carrier-a" already;'
            " leave one of the two out",
        ),
        (
            SANDBOX + 'colour = "${NOWHERE}"',
            "connections[0].colour: the environment has no variable NOWHERE; set it, or write the value here",
        ),
        (
            SANDBOX + 'colours = ["red", "${green"]',
            "connections[0].colours[1]: expected ${NAME}; write $${ where ${ itself is meant",
        ),
    ],
)
def test_bad_file_is_refused_in_one_line_with_its_remedy(read: Read, text: str | bytes, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(text)

    assert str(refused.value) == f"sendpool.toml: {problem}"


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("+12034458910", True),
        ("+447700900123", True),
        ("62442", True),
        ("123", True),
        ("12345678", True),
        ("INFO", True),
        ("Café Ö", True),
        ("Bakery 24", True),
        ("ABCDEFGHIJK", True),
        ("12034458910", False),
        ("+1 203 445 8910", False),
        ("+0123456789", False),
        ("+1234567890123456", False),
        ("12", False),
        ("123456789", False),
        ("ABCDEFGHIJKL", False),
        ("ИНФО", False),
        ("INFO\u200b", False),
        ("-", False),
    ],
)
def test_sms_sender_is_a_number_a_short_code_or_a_name(read: Read, address: str, good: bool) -> None:
    text = f'{SANDBOX}\n[[connections.senders]]\nchannel = "SMS"\naddress = "{address}"\n'

    if good:
        assert read(text).connections[0].senders[0].address == address
    else:
        with pytest.raises(
            ConfigError, match=r"^sendpool\.toml: connections\[0\]\.senders\[0\]\.address: .*; "
        ) as refused:
            read(text)
        assert "\n" not in str(refused.value)


def test_number_without_plus_is_offered_with_one(read: Read) -> None:
    with pytest.raises(ConfigError, match=r'write a number in full, for example "\+12034458910"'):
        read(SANDBOX + SENDER.replace("+12034458910", "1 (203) 445-8910"))


def test_what_the_connector_refuses_is_named_by_its_path_in_the_file(read: Read) -> None:
    with pytest.raises(ConfigError, match=r"^sendpool\.toml: connections\[0\]\.host: .*; "):
        read(SMPP.replace('host = "127.0.0.1"\n', ""))
    with pytest.raises(ConfigError, match=r"^sendpool\.toml: connections\[0\]\.senders\[0\]\.ton: .*; "):
        read(SMPP + SENDER + "ton = 300")


def test_variable_of_the_environment_may_stand_for_a_number(read: Read) -> None:
    environ = {"PORT": "2776", "MPS": "2.5", "HOST": "127.0.0.1", "USER": "12345"}

    connection = read(
        SMPP.replace("127.0.0.1", "${HOST}").replace('"sendpool"', '"${USER}"')
        + 'port = "${PORT}"\nmps = "${MPS}"\n'
        + SENDER
        + 'mps = "${MPS}"',
        environ,
    ).connections[0]

    assert connection.options["port"] == 2776
    assert connection.options["system_id"] == "12345"
    assert connection.mps == connection.senders[0].mps == 2.5


def test_doubled_dollar_stands_for_itself(read: Read) -> None:
    assert read(SMPP + 'password = "a$${b}c$d"').connections[0].options["password"] == "a${b}c$d"


def test_flag_goes_before_variable_before_file_before_default(read: Read) -> None:
    text = "[server]\nport = 1\nhost = 'file'\ndatabase = 'sqlite:///file'"
    environ = {"SENDPOOL_PORT": "2", "SENDPOOL_HOST": "variable", "SENDPOOL_ROLE": ""}

    server = read(text, environ, port="3").server

    assert (server.port, server.host, server.database, server.role) == (3, "variable", "sqlite:///file", "all")


@pytest.mark.parametrize("setting", SERVER_SETTINGS, ids=lambda setting: setting.key)
def test_every_server_setting_has_a_variable_and_a_working_example(read: Read, setting: Setting) -> None:
    example = setting.example
    text = ",".join(example) if isinstance(example, list) else str(example)

    value = getattr(read("", {setting.variable: f" {text} "}).server, setting.key)

    assert value == (tuple(example) if isinstance(example, list) else example)


def test_bad_variable_and_bad_flag_are_named_as_such(read: Read) -> None:
    with pytest.raises(ConfigError) as by_variable:
        read("", {"SENDPOOL_PORT": "x"})
    with pytest.raises(ConfigError) as by_flag:
        read("", {"SENDPOOL_PORT": "1"}, port="99999")

    expected = "expected a whole number from 0 to 65535, got"
    assert str(by_variable.value) == f'environment: SENDPOOL_PORT: {expected} "x"; write for example SENDPOOL_PORT=8080'
    assert str(by_flag.value) == f'command line: --port: {expected} "99999"; write for example --port 8080'


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "no.toml"

    for config, environ in ((missing, {}), (None, {"SENDPOOL_CONFIG": str(missing)})):
        with pytest.raises(ConfigError, match=r"no\.toml: it cannot be read \(No such file or directory\); .*--config"):
            load(config, environ)


def test_reload_reads_the_same_file_again_and_keeps_the_flags(read: Read) -> None:
    config = read(SANDBOX, {}, port="3")
    Path("sendpool.toml").write_text(SANDBOX + "mps = 7\n[server]\nport = 4")

    again = reload(config, {})

    assert again.connections[0].mps == 7
    assert again.server.port == 3


def test_secrets_are_listed_to_be_hidden_and_never_shown(read: Read) -> None:
    config = read(
        "[server]\nauth_token = 'token-of-us'\nmetrics_token = 'token-of-them'\n" + SMPP + "password = 'hush-hush'"
    )

    assert sorted(config.secrets()) == ["hush-hush", "token-of-them", "token-of-us"]
    assert not any(secret in repr(config) + repr(config.server) for secret in config.secrets())


def test_a_number_may_stand_in_the_connections_of_two_accounts(read: Read) -> None:
    other = SANDBOX.replace("carrier-a", "carrier-b") + 'account = "AC2"\n'

    config = read(SANDBOX + SENDER + other + SENDER)

    assert [(one.name, one.account) for one in config.connections] == [("carrier-a", None), ("carrier-b", "AC2")]
    with pytest.raises(ConfigError, match=r"connections\[1\].senders\[1\].address: .* stands in .* already"):
        read(SANDBOX + SENDER + other + SENDER + SENDER)
