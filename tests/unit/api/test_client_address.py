"""Where a request comes from: nobody but a trusted proxy is believed."""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.api.client_address import TrustedProxies, is_loopback
from bailiwick.kernel.errors import InvalidInputError

PROXIES = TrustedProxies.parse("10.0.0.7, 10.1.0.0/16, fd00::/8")


def scope(peer: str | None, *forwarded: str, scheme: str = "http", proto: str | None = None) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    if proto is not None:
        headers.append((b"x-forwarded-proto", proto.encode()))
    return {"type": "http", "scheme": scheme, "client": None if peer is None else (peer, 1), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.7", [], "10.0.0.7"),
        ("10.0.0.7", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.7", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.7", ["1.1.1.1, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),
        ("10.0.0.7", ["1.1.1.1", "198.51.100.1", "10.1.2.3"], "198.51.100.1"),
        ("10.0.0.7", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.7", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.7", ["198.51.100.1, garbage"], "10.0.0.7"),
        ("10.0.0.7", ["garbage, 10.1.2.3"], "10.1.2.3"),
        ("fd00::1", ["2001:DB8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.7", ["198.51.100.1"], "198.51.100.1"),
        (None, ["198.51.100.1"], None),
    ],
)
def test_the_address_is_what_the_last_trusted_proxy_saw(
    peer: str | None, forwarded: list[str], address: str | None
) -> None:
    assert PROXIES.address_of(scope(peer, *forwarded)) == address


@given(st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=60), st.ip_addresses())
def test_what_a_client_claims_in_front_changes_nothing(claim: str, client: ipaddress.IPv4Address) -> None:
    told = PROXIES.address_of(scope("10.0.0.7", str(client)))
    assert PROXIES.address_of(scope("10.0.0.7", f"{claim},{client}")) in (told, "10.0.0.7") or PROXIES._is_trusted(
        str(told)
    )


@given(st.text(st.characters(codec="latin-1"), max_size=200))
def test_any_header_is_read_without_failing(header: str) -> None:
    PROXIES.address_of(scope("10.0.0.7", header))


def test_https_is_believed_of_trusted_proxies_only() -> None:
    assert PROXIES.is_https(scope("10.0.0.7", proto="https"))
    assert not PROXIES.is_https(scope("10.0.0.7", scheme="https", proto="http"))
    assert not PROXIES.is_https(scope("203.0.113.7", proto="https"))
    assert PROXIES.is_https(scope("203.0.113.7", scheme="https", proto="http"))


def test_a_wrong_setting_is_refused_with_its_name() -> None:
    with pytest.raises(InvalidInputError, match="BAILIWICK_TRUSTED_PROXIES"):
        TrustedProxies.parse("10.0.0.0/8, proxy.example")
    assert TrustedProxies.parse("").address_of(scope("10.0.0.7", "1.1.1.1")) == "10.0.0.7"


def test_loopback_is_this_machine() -> None:
    assert [is_loopback(text) for text in ("127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", None)] == [
        True, True, True, False, False,
    ]  # fmt: skip
