"""What to do about a link that is down, by the words in which its connector says why. Pure."""

from __future__ import annotations

import re

ASK_THEM = "check the settings of the connection, and ask the carrier with these words"

#: The first pattern that is found in the words counts.
_REMEDIES = (
    (r"refused$|reset by peer|Broken pipe", "nothing listens there, or a firewall refuses us: check host and port"),
    (
        r"not known|name resolution|No address associated|nodename",
        "the name is not resolved: look for a typing error in the host, and at this machine's DNS",
    ),
    (
        r"no answer within|no connection to \S+ within|timed out|[Uu]nreachable|No route",
        "nobody answers: check host and port, and whether the carrier has this machine's address on its list",
    ),
    (r"wants a client certificate", "set certificate_file and key_file to what the carrier has issued"),
    (r"our client certificate", "ask the carrier whom it trusts; set certificate_file and key_file to what it wants"),
    (
        r"certificate",
        "name the carrier's authority in ca_file, or the name in its certificate in server_name; leave the check on",
    ),
    (
        r"TLS|required option 'tls'|Must issue a STARTTLS",
        "one side encrypts and the other does not: check tls, and whether this port is the encrypted one",
    ),
    (r"0x0e\b", "check password (SMPP takes 8 characters), and that it is meant for this host"),
    (r"0x0f\b", "check system_id, and that it is meant for this host"),
    (
        r"0x05\b",
        (
            "another session has this system_id: a server that runs, or one that was cut; stop it, or have the carrier"
            " allow more sessions"
        ),
    ),
    (
        r"0x0[34]\b",
        'the carrier does not take this kind of bind: set bind to the other ("transceiver", "transmitter+receiver")',
    ),
    (r"0x53\b", "check system_type; ask the carrier for its value"),
    (
        r"0x0d\b",
        "ask the carrier: often the address of this machine is not on its list, or the account is not active",
    ),
    (r"refuses the credentials", "check username and password"),
    (
        r"does not prove that it knows the password",
        "check host: another server may have answered than you mean; else its SCRAM is at fault, so ask whose it is",
    ),
    (r"no way to log in", "check tls: many relays let nobody log in without it; or leave username out"),
    (
        r"token endpoint answers 4",
        "check service_account_file: the account may be deleted, disabled or another project's",
    ),
    (r"token endpoint", "check that this machine reaches the token endpoint, and its clock"),
    (
        r"closed|unbound|lost step|hung up|disconnected|Disconnected",
        (
            "they hung up before they let us in: often this machine's address is not on the carrier's list, or the port"
            " is another service's"
        ),
    ),
    (r"\b190\b|access token", "make a new access_token of a system user; personal ones end within a day"),
    (
        r"\b(10|200|403)\b|permission",
        "give the token's user the rights whatsapp_business_messaging and whatsapp_business_management on the account",
    ),
    (
        r"has no number|sends nothing",
        "look at the number in the platform's manager, and at the address and phone_number_id of the sender",
    ),
    (r"\b100\b", "check phone_number_id and business_account_id"),
)


def remedy_of(words: str) -> str:
    """What to do about a link that is down, or a carrier that takes nothing, with these words."""
    return next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, words)), ASK_THEM)
