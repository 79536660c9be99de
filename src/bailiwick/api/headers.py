"""The security headers of every answer: nothing from other origins, nothing in other people's frames."""

from collections.abc import Mapping

# Answers of the API are data: a browser that is shown one loads, runs and frames nothing of it.
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# Pages for people: scripts, styles, fonts and calls of our own origin only, and no inline script.
_PAGE_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_DATA_PREFIXES = ("/api/", "/.well-known/", "/healthz", "/readyz", "/metrics")

_ALWAYS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    # For browsers that do not know frame-ancestors.
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
    "magnetometer=(), microphone=(), midi=(), payment=(), usb=()",
    "x-permitted-cross-domain-policies": "none",
}
# A year. Without includeSubDomains: other hosts under this name are not ours to bind.
_TRANSPORT = "max-age=31536000"

_FOR_DATA = {**_ALWAYS, "content-security-policy": _DATA_POLICY}
_FOR_PAGES = {**_ALWAYS, "content-security-policy": _PAGE_POLICY}
_FOR_DATA_OVER_TLS = {**_FOR_DATA, "strict-transport-security": _TRANSPORT}
_FOR_PAGES_OVER_TLS = {**_FOR_PAGES, "strict-transport-security": _TRANSPORT}


def security_headers(path: str, *, is_secure: bool) -> Mapping[str, str]:
    """Return the headers of an answer by its path; over HTTPS browsers are told never to come otherwise."""
    if path.startswith(_DATA_PREFIXES):
        return _FOR_DATA_OVER_TLS if is_secure else _FOR_DATA
    return _FOR_PAGES_OVER_TLS if is_secure else _FOR_PAGES
