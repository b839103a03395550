"""TLS from the first octet: what a message centre's certificate is checked against, and in words why it failed."""

from __future__ import annotations

import ssl

from sendpool.connectors.smpp.settings import SmppSettings

#: Alerts by which a centre says, after the handshake of TLS 1.3, that it does not like our certificate.
_CLIENT_ALERTS = {
    "CERTIFICATE_REQUIRED": "the carrier wants a client certificate; set certificate_file and key_file",
    "UNKNOWN_CA": "the carrier does not trust our client certificate; ask who must have signed it",
    "BAD_CERTIFICATE": "the carrier refuses our client certificate",
    "CERTIFICATE_UNKNOWN": "the carrier refuses our client certificate",
    "CERTIFICATE_EXPIRED": "our client certificate has expired",
    "CERTIFICATE_REVOKED": "our client certificate has been revoked",
    "ACCESS_DENIED": "the carrier does not let our client certificate in",
}


def trusted(options: SmppSettings) -> ssl.SSLContext | None:
    """What a connection is made with; None without TLS. Raises `ValueError` that begins with the key of a bad file."""
    if not options.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
    except OSError as error:
        raise ValueError(f"key 'ca_file': {options.ca_file} cannot be used: {_reason(error)}") from None
    if not options.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.certificate_file is not None:
        _show(context, options.certificate_file, options.key_file)
    return context


def _show(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    """Have the context show a client certificate."""
    try:
        # A password of its own keeps OpenSSL from asking at the terminal for that of an encrypted key.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        files = certificate if key is None else f"{certificate} with {key}"
        why = f"{_reason(error)}; they must be PEM, belong together, and the key have no password"
        raise ValueError(f"key 'certificate_file': {files} cannot be used: {why}") from None


def refusal_in_words(error: ssl.SSLError) -> str:
    """Why a TLS connection did not come about, or ended."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message.rstrip('.')}; look at ca_file and server_name"
    reason = error.reason or ""
    for alert, words in _CLIENT_ALERTS.items():
        if reason.endswith(f"ALERT_{alert}"):
            return words
    words = reason.replace("_", " ").lower() or "it ended the handshake"
    return f"it does not speak TLS as we do ({words}); look at tls and port"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it holds no certificate").replace("_", " ").lower()
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
