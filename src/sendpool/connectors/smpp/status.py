"""The command_status values of SMPP 3.4 and 5.0, and plain words for those that people meet."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """command_status by the specification's names without their ESME_ prefix (SMPP 3.4 §5.1.3, 5.0 §4.7.6)."""

    ROK = 0x00
    RINVMSGLEN = 0x01
    RINVCMDLEN = 0x02
    RINVCMDID = 0x03
    RINVBNDSTS = 0x04
    RALYBND = 0x05
    RINVPRTFLG = 0x06
    RINVREGDLVFLG = 0x07
    RSYSERR = 0x08
    RINVSRCADR = 0x0A
    RINVDSTADR = 0x0B
    RINVMSGID = 0x0C
    RBINDFAIL = 0x0D
    RINVPASWD = 0x0E
    RINVSYSID = 0x0F
    RCANCELFAIL = 0x11
    RREPLACEFAIL = 0x13
    RMSGQFUL = 0x14
    RINVSERTYP = 0x15
    RINVNUMDESTS = 0x33
    RINVDLNAME = 0x34
    RINVDESTFLAG = 0x40
    RINVSUBREP = 0x42
    RINVESMCLASS = 0x43
    RCNTSUBDL = 0x44
    RSUBMITFAIL = 0x45
    RINVSRCTON = 0x48
    RINVSRCNPI = 0x49
    RINVDSTTON = 0x50
    RINVDSTNPI = 0x51
    RINVSYSTYP = 0x53
    RINVREPFLAG = 0x54
    RINVNUMMSGS = 0x55
    RTHROTTLED = 0x58
    RINVSCHED = 0x61
    RINVEXPIRY = 0x62
    RINVDFTMSGID = 0x63
    RX_T_APPN = 0x64
    RX_P_APPN = 0x65
    RX_R_APPN = 0x66
    RQUERYFAIL = 0x67
    RINVTLVSTREAM = 0xC0
    RTLVNOTALLWD = 0xC1
    RINVTLVLEN = 0xC2
    RMISSINGTLV = 0xC3
    RINVTLVVAL = 0xC4
    RDELIVERYFAILURE = 0xFE
    RUNKNOWNERR = 0xFF
    RSERTYPUNAUTH = 0x100
    RPROHIBITED = 0x101
    RSERTYPUNAVAIL = 0x102
    RSERTYPDENIED = 0x103
    RINVDCS = 0x104


_WORDS = {
    Status.RINVBNDSTS: "the session is out of step",
    Status.RALYBND: "another session of this system_id is still bound",
    Status.RSYSERR: "system error",
    Status.RINVSRCADR: "source address not allowed",
    Status.RINVDSTADR: "destination address not accepted",
    Status.RBINDFAIL: "bind failed",
    Status.RINVPASWD: "wrong password",
    Status.RINVSYSID: "unknown system_id",
    Status.RMSGQFUL: "message queue full",
    Status.RINVSERTYP: "service_type not accepted",
    Status.RINVSYSTYP: "system_type not accepted",
    Status.RSUBMITFAIL: "submit failed",
    Status.RTHROTTLED: "too fast",
}


def code_text(status: int) -> str:
    """*status* as the class table and the records spell it: lower-case hex, two digits at least ("0x0a", "0x400")."""
    return f"0x{status:02x}"


def describe(status: int) -> str:
    """*status* in words with its number, for people: "wrong password (0x0e)", "status RINVESMCLASS (0x43)"."""
    words = _WORDS.get(status)  # type: ignore[call-overload]
    if words is None:
        words = f"status {Status(status).name}" if status in Status._value2member_map_ else "status unknown to SMPP"
    return f"{words} ({code_text(status)})"
