"""Every row of the failure table against a second copy of what the carriers' documents say, written apart from it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

import msgspec
import pytest

from sendpool.domain.failures import (
    API_CODES,
    CLASSES,
    ROUTE_FAULTS,
    ROWS,
    SCOPES,
    TABLE_VERSION,
    Classified,
    FailureClass,
    Hard,
    OtherChannel,
    Repair,
    api_code,
    by_rule,
    classify,
    of_class,
    overrides_from,
)

F = FailureClass

#: Codes by table and class. "a..b" is a range of numbers; SMPP command_status is in hex without "0x".
EXPECTED = {
    "sendpool": {
        F.EXPIRED: "deadline revoked",
        F.SENDER: "no_sender destination country campaign",
        F.CONSENT: "suppressed",
        F.RECIPIENT: "quarantined",
        F.CONTENT: "window empty unsayable",
        F.TRANSIENT: "unavailable exhausted",
        F.AMBIGUOUS: "uncertain crash silence closed",
    },
    "sandbox": {
        F.TRANSIENT: "transient",
        F.THROTTLED: "throttled",
        F.CAP: "cap",
        F.SENDER: "sender",
        F.ACCOUNT: "account",
        F.CHANNEL: "channel no_rcs no_whatsapp",
        F.RECIPIENT: "recipient refused undelivered",
        F.ABSENT: "absent",
        F.CONSENT: "consent",
        F.CONTENT: "content",
        F.POLICY: "policy",
        F.REQUEST: "request",
        F.EXPIRED: "expired",
        F.AMBIGUOUS: "ambiguous",
    },
    "smpp": {
        F.OK: "00",
        F.CONTENT: "01 65 66 c3 104",
        F.TRANSIENT: "04 05 08 0d 64 ff 102",
        F.SENDER: "0a 45 48 49 100 101 103",
        F.RECIPIENT: "0b 50 51 fe",
        F.THROTTLED: "14 58",
        F.ACCOUNT: "0e 0f 15 53 67",
        F.REQUEST: "02 03 06 07 0c 11 13 33 34 40 42 43 44 54 55 61 62 63 c0 c1 c2 c4"
        " 105 106 107 108 109 10a 10b 10c 10d 10e 10f 110 111 112",
    },
    "smpp.stat": {
        F.OK: "DELIVRD ENROUTE ACCEPTD SCHEDULED",
        F.EXPIRED: "EXPIRED",
        F.RECIPIENT: "DELETED UNDELIV FAILED",
        F.SENDER: "REJECTD",
        F.AMBIGUOUS: "UNKNOWN SKIPPED",
    },
    "smpp.map": {
        F.RECIPIENT: "1 5 9 12 13",
        F.CHANNEL: "11 21",
        F.ABSENT: "6 27 31 32 33",
        F.TRANSIENT: "34",
        F.SENDER: "35 36",
    },
    "smpp.err": {F.ABSENT: "1 2 11", F.CHANNEL: "4 7 10", F.RECIPIENT: "5 6 8 9", F.TRANSIENT: "12"},
    "smpp.reason": {F.ABSENT: "0", F.RECIPIENT: "1", F.TRANSIENT: "2 3"},
    "smpp.session": {F.TRANSIENT: "down", F.AMBIGUOUS: "timeout cut"},
    "rcs": {
        F.CONTENT: "400",
        F.SENDER: "400/FAILED_PRECONDITION 403 412",
        F.ACCOUNT: "401",
        F.CHANNEL: "404",
        F.OK: "409",
        F.THROTTLED: "429",
        F.CAP: "429/user",
        F.TRANSIENT: "499 500 502 503 504",
        F.EXPIRED: "TTL_EXPIRATION_REVOKED",
        F.AMBIGUOUS: "TTL_EXPIRATION_REVOKE_FAILED timeout",
        F.CONSENT: "UNSUBSCRIBE",
    },
    "whatsapp": {
        F.ACCOUNT: "0 3 10 190 200..299 368 131005 131030 131031 131042 131044 130403 134011",
        F.TRANSIENT: "1 2 131000 131016 131057 133004 http/500 http/503",
        F.THROTTLED: "4 613 80007 130429 131056 132069 http/429",
        F.SENDER: "33 471 130497 131037 131045 131048 131063 131064 133000..133003 133005..133016",
        F.CONTENT: "100 470 1006 2000..2009 131008 131009 131047 131051..131053 131062"
        " 132000 132001 132005 132008 132012 132015 132016 132018 132068 135000",
        F.POLICY: "132007",
        F.CHANNEL: "472 1013 130472 131026",
        F.RECIPIENT: "480 131021 137000",
        F.CAP: "131049",
        F.CONSENT: "131050",
        F.AMBIGUOUS: "http/502 http/504 timeout",
    },
    "twilio": {
        F.ACCOUNT: "401 10001 20003 20005 21607 21608 30002 30037 30044 63051 63062",
        F.REQUEST: "20404 21624 21626 21627 21664..21667 21910 30012..30016 30028..30031 30100..30133"
        " 30400 30404 30409 63031",
        F.THROTTLED: "429 14107 20429 21611 30001 30022 30454 63017 63018",
        F.AMBIGUOUS: "500 502 503 504 20500 20503 30410 timeout",
        F.RECIPIENT: "21211 21217 21401 21421 21604 30005",
        F.SENDER: "21212 21408 21603 21606 21612 21621 21622 21659 21660 21701..21705 21709"
        " 30018 30024 30032..30035 30040..30043 30440..30449 30451 30460..30464"
        " 63001 63002 63007 63008 63015 63020 63022 63035",
        F.CONTENT: "12300 21602 21605 21617..21620 21623 21654..21656 21658 30010 30011 30019 30039"
        " 63005 63006 63011 63016 63019 63021 63025 63027..63030 63034 63037 63040 63041",
        F.CONSENT: "21610 30004 63014 63033",
        F.CHANNEL: "21614 21635 30006 61337 63003 63024 63032 63036",
        F.TRANSIENT: "21730 30008 30017 30020 30021 30485 30500 63009 63010 63012 63023",
        F.ABSENT: "30003 30450",
        F.POLICY: "30007 30038 30453 30990 63013 63026 63039",
        F.CAP: "30023 30027 63038 63049",
        F.EXPIRED: "30036",
        F.OK: "30009 30025 30026",
    },
    "smtp": {
        F.TRANSIENT: "4.2.0 4.3.1 4.3.2 4.4.x 4.5.3 4.7.0 4.7.1 421 450 450/mail 451 451/mail 452/data 452/mail"
        " 454 lost",
        F.THROTTLED: "4.2.1 4.7.28 5.7.28",
        F.ABSENT: "4.2.2 452",
        F.EXPIRED: "4.4.7",
        F.RECIPIENT: "5.0.0 5.1.1 5.1.2 5.1.3 5.1.6 5.1.10 5.2.1 5.2.2 5.4.1 5.4.4 5.4.6 550 551 553"
        " 554/rcpt 556 no-utf8",
        F.SENDER: "5.1.7 5.1.8 5.7.0 5.7.1 5.7.20 5.7.21 5.7.22 5.7.23 5.7.24 5.7.25 5.7.26 5.7.27"
        " 550/greeting 550/mail 553/mail 554/greeting 554/mail",
        F.CONTENT: "5.2.3 5.3.4 5.6.x 550/data 552 554",
        F.POLICY: "5.7.1/content",
        F.REQUEST: "5.5.x 500 501 502 503 504",
        F.ACCOUNT: "4.7.12 5.7.8 5.7.10 5.7.11 5.7.30 432 530 535 538",
        F.CONSENT: "complaint unsubscribe",
        F.AMBIGUOUS: "timeout",
    },
    "telnyx": {
        F.CHANNEL: "40001",
        F.POLICY: "40002 40003",
        F.TRANSIENT: "40004 40006 40008",
        F.EXPIRED: "40005",
        F.CONTENT: "40009",
    },
    "http": {
        F.CONTENT: "400 402..428 430..499",
        F.ACCOUNT: "401",
        F.THROTTLED: "429",
        F.TRANSIENT: "500 501 503 refused",
        F.AMBIGUOUS: "502 504 timeout",
    },
}

#: Scopes that differ from the class's own: (message of the class) SENDER sender, ACCOUNT account, CAP account, ...
SCOPE = {
    "connection": "smpp/0x04 smpp/0x05 smpp/0x0d smpp/0x0e smpp/0x0f smpp/0x14 smpp/0x15 smpp/0x53 smpp/0x58"
    " smpp.session/down sendpool/unavailable http/refused rcs/401 whatsapp/0 whatsapp/190 smtp/530 smtp/535 smtp/538"
    " smtp/5.7.8 smtp/5.7.10 smtp/5.7.11 smtp/5.7.30 twilio/401 twilio/10001 twilio/20003 twilio/20005 http/401",
    "pair": "smpp/0x45 rcs/429/user whatsapp/131049 whatsapp/131056 twilio/21612 twilio/63049 smtp/4.2.1",
    "sender_country": "whatsapp/130497 twilio/21408 twilio/30040 twilio/30041 twilio/30042 twilio/30043"
    " sendpool/destination sendpool/country sendpool/campaign",
    "account": "whatsapp/4 whatsapp/613 whatsapp/80007 twilio/429 twilio/14107 twilio/20429 twilio/30022 twilio/30454",
    "sender": "whatsapp/131057",
    "message": "sendpool/no_sender",
}

#: Codes on the wire that are not the class's own (Twilio's rows show their own code).
WIRE = {
    21614: "smpp/0x0b smpp/0x50 smpp/0x51 smpp.map/11 smpp.map/21 smpp.err/4 smpp.err/7 smpp.err/10 sandbox/refused"
    " telnyx/40001",
    21408: "sendpool/country",
    21612: "sendpool/destination",
    30034: "sendpool/campaign",
    21703: "sendpool/no_sender",
    21602: "sendpool/empty",
    30001: "smpp/0x14",
    30008: "smpp.stat/UNDELIV smpp.stat/DELETED smpp.stat/FAILED",
    61337: "rcs/404 sandbox/no_rcs",
    63016: "sendpool/window whatsapp/131047 whatsapp/470",
    63018: "rcs/429/user whatsapp/4 whatsapp/613 whatsapp/80007 whatsapp/130429 whatsapp/131056 whatsapp/132069"
    " whatsapp/http/429",
    63049: "whatsapp/131049",
}

#: Whatever else a row says: tries by one sender, senders, seconds, repair, next channel, invalid number.
EXTRAS: dict[str, dict[str, object]] = {
    "cap": {
        "smpp/0x08": 3,
        "smpp/0xff": 3,
        "smpp/0x45": 2,
        "rcs/499": 3,
        "rcs/500": 3,
        "rcs/502": 3,
        "rcs/503": 3,
        "rcs/504": 3,
        "whatsapp/1": 2,
        "whatsapp/131052": 2,
        "whatsapp/131053": 2,
        "whatsapp/135000": 2,
        "twilio/30008": 1,
        "twilio/30485": 1,
        "twilio/63009": 1,
        "twilio/63010": 1,
        "twilio/63012": 1,
        "twilio/63023": 1,
    },
    "senders": {
        "smpp/0x0b": 2,
        "twilio/30008": 2,
        "twilio/30485": 2,
        "twilio/63009": 2,
        "twilio/63010": 2,
        "twilio/63012": 2,
        "twilio/63023": 2,
    },
    "after": {
        "smpp/0x0d": 60,
        "smpp/0x0e": 300,
        "smpp/0x0f": 300,
        "rcs/429/user": 86_400,
        "whatsapp/131048": 14_400,
        "whatsapp/471": 14_400,
        "whatsapp/131049": 86_400,
        "whatsapp/131057": 60,
        "whatsapp/131064": 14_400,
        "twilio/30023": 86_400,
        "twilio/30027": 86_400,
        "twilio/30450": 1_800,
        "twilio/63038": 86_400,
        "twilio/63049": 86_400,
        "smtp/4.2.0": 300,
        "smtp/4.7.0": 300,
        "smtp/4.7.1": 300,
        "smtp/450": 300,
        "smtp/451": 300,
    },
    "repair": {
        "smpp/0x43": Repair.MESSAGE_PAYLOAD,
        "smpp/0x62": Repair.NO_VALIDITY,
        "smpp/0x104": Repair.UCS2,
        "rcs/400": Repair.PLAIN_TEXT,
        "whatsapp/131047": Repair.TEMPLATE,
        "whatsapp/470": Repair.TEMPLATE,
        "twilio/63016": Repair.TEMPLATE,
    },
    "channel": dict.fromkeys(
        ["sendpool/window", "rcs/400", "whatsapp/131047", "whatsapp/470", "twilio/63016"], OtherChannel.NEXT
    ),
    "invalid": dict.fromkeys(
        [f"twilio/{code}" for code in (21211, 21217, 21401, 21421, 21604)]
        + [f"smtp/{code}" for code in ("5.1.2", "5.1.3", "5.1.6")],
        True,
    ),
    "lasts": {
        **dict.fromkeys(["whatsapp/131026", "whatsapp/1013"], 86_400),
        **dict.fromkeys(["whatsapp/130472", "whatsapp/472", "twilio/30006", "twilio/63032", "telnyx/40001"], 0),
        **dict.fromkeys([f"sandbox/{word}" for word in ("channel", "no_rcs", "no_whatsapp")], 0),
    },
    "hard": {
        **dict.fromkeys(["smpp/0x0b", "smtp/550"], Hard.OTHER),
        **dict.fromkeys(["smpp.map/1", "smpp.err/5", "twilio/30005"], Hard.DAY),
        **dict.fromkeys([f"twilio/{code}" for code in (21211, 21217, 21401, 21421)], Hard.DAY),
        **dict.fromkeys([f"smtp/5.{code}" for code in ("1.1", "1.10", "2.1", "1.2", "1.3", "1.6")], Hard.DAY),
    },
}


def spread(provider: str, codes: str) -> Iterator[str]:
    for part in codes.split():
        first, dots, last = part.partition("..")
        if provider == "smpp":
            yield f"0x{part}"
        elif dots and first.isdigit():
            yield from (str(n) for n in range(int(first), int(last) + 1))
        else:
            yield part


CLASS_OF = {
    f"{provider}/{code}": failure
    for provider, classes in EXPECTED.items()
    for failure, codes in classes.items()
    for code in spread(provider, codes)
}
SCOPE_OF = {rule: scope for scope, rules in SCOPE.items() for rule in rules.split()}
WIRE_OF = {rule: code for code, rules in WIRE.items() for rule in rules.split()}
ALL_ROWS = {row.rule: row for table in ROWS.values() for row in table.values()}
#: What a class indicts where the row does not say.
CLASS_SCOPE = {
    F.SENDER: "sender",
    F.THROTTLED: "sender",
    F.ACCOUNT: "account",
    F.CAP: "account",
    F.CHANNEL: "pair",
    F.RECIPIENT: "pair",
    F.ABSENT: "pair",
    F.CONSENT: "pair",
}
CLASS_WIRE = {
    F.OK: None,
    F.TRANSIENT: 30008,
    F.THROTTLED: 30022,
    F.CAP: 30023,
    F.SENDER: 21606,
    F.ACCOUNT: 30002,
    F.CHANNEL: 63003,
    F.RECIPIENT: 30005,
    F.ABSENT: 30003,
    F.CONSENT: 21610,
    F.CONTENT: 21617,
    F.POLICY: 30007,
    F.REQUEST: 30400,
    F.EXPIRED: 30036,
    F.AMBIGUOUS: 30410,
}


def test_the_file_and_the_expectations_name_the_same_codes() -> None:
    assert ALL_ROWS.keys() == CLASS_OF.keys()


@pytest.mark.parametrize("rule", sorted(ALL_ROWS))
def test_row_says_what_the_documents_say(rule: str) -> None:
    row = ALL_ROWS[rule]
    failure = CLASS_OF[rule]
    provider, _, code = rule.partition("/")
    its_own = provider == "twilio" and code.isdigit() and len(code) == 5 and failure is not F.OK
    own_code = int(code) if its_own else CLASS_WIRE[failure]

    assert row.failure is failure
    assert row.scope == SCOPE_OF.get(rule, CLASS_SCOPE.get(failure, "message"))
    assert row.wire_code == WIRE_OF.get(rule, own_code)
    assert row.known
    assert row.meaning
    for name, expected in EXTRAS.items():
        assert getattr(row, name) == expected.get(rule, False if name == "invalid" else None)
    assert classify(provider, code) is row
    assert by_rule(rule) is row


@pytest.mark.parametrize("failure", list(F))
def test_every_class_says_what_it_means_and_what_it_allows(failure: FailureClass) -> None:
    actions = CLASSES[failure]
    assert actions.means
    assert actions.scope in SCOPES
    assert actions.wire == CLASS_WIRE[failure]
    assert actions.scope == CLASS_SCOPE.get(failure, "message")


def test_only_three_classes_count_against_a_route() -> None:
    assert {F.TRANSIENT, F.SENDER, F.ACCOUNT} == ROUTE_FAULTS


#: (same sender, another sender, another channel) by class: the default actions of the error taxonomy.
ACTIONS = {
    F.OK: ("never", "never", "never"),
    F.TRANSIENT: ("once", "next", "next"),
    F.THROTTLED: ("resume", "next", "never"),
    F.CAP: ("later", "elsewhere", "unless_bulk"),
    F.SENDER: ("never", "next", "next"),
    F.ACCOUNT: ("never", "elsewhere", "next"),
    F.CHANNEL: ("never", "never", "next"),
    F.RECIPIENT: ("never", "never", "when_valid"),
    F.ABSENT: ("later", "never", "next"),
    F.CONSENT: ("never", "never", "never"),
    F.CONTENT: ("never", "never", "when_different"),
    F.POLICY: ("never", "never", "when_asked"),
    F.REQUEST: ("never", "never", "never"),
    F.EXPIRED: ("never", "never", "next"),
    F.AMBIGUOUS: ("later", "never", "never"),
}


@pytest.mark.parametrize("failure", list(F))
def test_class_allows_what_the_taxonomy_allows(failure: FailureClass) -> None:
    actions = CLASSES[failure]
    assert (actions.same, actions.sender, actions.channel) == ACTIONS[failure]


# ---------------------------------------------------------------- spelling


@pytest.mark.parametrize(
    ("provider", "code", "rule"),
    [
        ("smpp", "0x0A", "smpp/0x0a"),
        ("smpp", "0x0000000a", "smpp/0x0a"),
        ("smpp", "0x58", "smpp/0x58"),
        ("smpp", "58", "smpp/0x58"),
        ("smpp", "", "smpp/?"),
        ("smpp", "no number", "smpp/?"),
        ("smpp", "0x451", "smpp/?"),
        ("smpp.map", "034", "smpp.map/34"),
        ("smpp.map", "000", "smpp.map/?"),
        ("smpp.err", "001", "smpp.err/1"),
        ("smpp.reason", "00", "smpp.reason/0"),
        ("smpp.stat", "delivrd", "smpp.stat/DELIVRD"),
        ("smpp.stat", "DELIVERED", "smpp.stat/DELIVRD"),
        ("smpp.stat", "UNDEL", "smpp.stat/UNDELIV"),
        ("smpp.stat", "UNDELIVERABLE", "smpp.stat/UNDELIV"),
        ("smpp.stat", "REJECTED", "smpp.stat/REJECTD"),
        ("smpp.stat", " EXPIRED ", "smpp.stat/EXPIRED"),
        ("smpp.stat", "QUEUED", "smpp.stat/?"),
        ("smtp", "5.5.4", "smtp/5.5.x"),
        ("smtp", "4.4.7", "smtp/4.4.7"),
        ("smtp", "4.4.2", "smtp/4.4.x"),
        ("smtp", "5.9.9", "smtp/?"),
        ("rcs", "418", "rcs/?"),
        ("carrier of next year", "1", "carrier of next year/?"),
    ],
)
def test_code_is_found_however_the_carrier_spells_it(provider: str, code: str, rule: str) -> None:
    assert classify(provider, code).rule == rule


def test_unknown_code_is_transient_once_and_says_that_nobody_knows_it() -> None:
    found = classify("smpp", "0x4ff")

    assert not found.known
    assert found.failure is F.TRANSIENT
    assert (found.cap, found.senders, found.wire_code) == (1, 2, 30008)
    assert by_rule(found.rule) == found


# ---------------------------------------------------------------- a connection's own codes


def test_connection_may_overrule_the_table_with_or_without_leading_zeros() -> None:
    overrides = overrides_from({"034": "CONSENT", "0x0A": "POLICY", "QUEUED": "OK"})

    assert classify("smpp.map", "34", overrides).failure is F.CONSENT
    assert classify("smpp.map", "034", overrides).rule == "connection/CONSENT"
    assert classify("smpp", "0x0a", overrides).failure is F.POLICY
    assert classify("smpp.stat", "queued", overrides).failure is F.OK
    assert classify("smpp", "0x0b", overrides).rule == "smpp/0x0b"


def test_override_with_an_unknown_class_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r'code "034" has class "GONE"; it must be one of OK, TRANSIENT'):
        overrides_from({"034": "GONE"})


@pytest.mark.parametrize("failure", list(F))
def test_rules_of_classes_read_back(failure: FailureClass) -> None:
    assert by_rule(f"class/{failure}") is of_class(failure)
    assert by_rule(f"connection/{failure}").failure is failure
    assert of_class(failure).wire_code == CLASS_WIRE[failure]


@pytest.mark.parametrize("rule", ["", "smpp/0xdead", "gone/1", "class/GONE", "no slash"])
def test_rule_that_is_gone_reads_as_an_unknown_code(rule: str) -> None:
    assert not by_rule(rule).known


# ---------------------------------------------------------------- the wire


def test_every_code_that_an_attempt_may_show_is_explained() -> None:
    shown = {row.wire_code for row in ALL_ROWS.values()} | {of_class(f).wire_code for f in F}
    for code in shown - {None}:
        assert code is not None
        explained = api_code(code)
        assert explained.code == code
        assert explained.meaning.endswith(".")
        assert explained.remedy.endswith(".")
        assert "without a description" not in explained.meaning


def test_explanations_name_no_code_that_is_never_shown_by_an_attempt_or_a_request() -> None:
    shown = {row.wire_code for row in ALL_ROWS.values()} | {of_class(f).wire_code for f in F}
    assert API_CODES.keys() <= shown


def test_unexplained_code_is_still_answered() -> None:
    assert api_code(1).remedy


def test_table_cannot_be_changed_by_accident() -> None:
    assert TABLE_VERSION == 6
    with pytest.raises(TypeError):
        ROWS["smpp"]["0x0a"] = of_class(F.OK)  # type: ignore[index]
    with pytest.raises(AttributeError):
        classify("smpp", "0x0a").failure = F.OK  # type: ignore[misc]


def test_classified_values_can_be_encoded_for_an_explanation() -> None:
    encoded = msgspec.json.encode(classify("smpp", "0x0b"))
    assert msgspec.json.decode(encoded, type=Classified) == classify("smpp", "0x0b")


def test_table_is_shipped_with_the_package() -> None:
    assert resources.files("sendpool.domain").joinpath("failures.toml").is_file()
