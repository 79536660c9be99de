"""TLS of the API's own: the certificate, its key, and what is spoken at least."""

import ssl
from pathlib import Path

from bailiwick.kernel.errors import InvalidInputError


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return a server's context: TLS 1.2 or newer, forward secrecy and authenticated encryption only.

    Raises:
        InvalidInputError: a file is missing, unreadable, or the two do not belong together.
    """
    if certificate is None or key is None:
        raise InvalidInputError("HTTPS needs both BAILIWICK_TLS_CERTIFICATE and BAILIWICK_TLS_KEY; set both or neither")
    for path in (certificate, key):
        if not path.is_file():
            raise InvalidInputError(f"no file {path}; set BAILIWICK_TLS_CERTIFICATE and BAILIWICK_TLS_KEY to PEM files")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # For TLS 1.2; the suites of 1.3 are all of this kind.
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        # A password is refused and not asked for: a server that starts by itself has nobody to ask.
        context.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise InvalidInputError(
            f"{certificate} and {key} cannot be used for HTTPS ({reason}); they must be PEM files that belong "
            "together, the key without a password"
        ) from error
    return context


def _no_password() -> str:
    raise ValueError("the key has a password")
