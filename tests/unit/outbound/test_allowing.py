"""The allow list: what its entries open, and nothing beside it."""

from contextlib import suppress
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.outbound import AllowList, OutboundRefusedError
from bailiwick.outbound.allowing import SETTING


def reaches(allowed: str, host: str, port: int, *addresses: str) -> bool:
    try:
        AllowList.parse(allowed).check(host, port, [ip_address(one) for one in addresses])
    except OutboundRefusedError:
        return False
    return True


def test_the_public_internet_is_reached_on_its_two_ports_without_an_entry() -> None:
    assert reaches("", "example.com", 443, "93.184.216.34")
    assert reaches("", "example.com", 80, "93.184.216.34")
    assert not reaches("", "example.com", 22, "93.184.216.34")


def test_a_name_with_one_closed_address_is_refused_whole() -> None:
    assert not reaches("", "example.com", 443, "93.184.216.34", "10.0.0.1")
    assert not reaches("", "example.com", 443, "10.0.0.1", "93.184.216.34")


@pytest.mark.parametrize(
    "entry", ["10.20.0.0/16", "ghe.corp.example", "GHE.corp.example.", "10.20.1.2", "10.0.0.0/8:*"]
)
def test_an_entry_opens_what_it_names(entry: str) -> None:
    assert reaches(entry, "ghe.corp.example", 443, "10.20.1.2")
    assert not reaches(entry, "other.corp.example", 443, "10.10.1.2") or entry.startswith("10.0.0.0")


def test_a_port_is_opened_only_where_it_is_named() -> None:
    assert reaches("idp.corp.example:8443", "idp.corp.example", 8443, "10.0.0.1")
    assert not reaches("idp.corp.example:8443", "idp.corp.example", 443, "10.0.0.1")
    assert not reaches("idp.corp.example", "idp.corp.example", 8443, "10.0.0.1")
    assert reaches("idp.corp.example:*", "idp.corp.example", 5432, "10.0.0.1")
    assert reaches("api.example.com:8443", "api.example.com", 8443, "93.184.216.34")
    assert reaches("[fd12::]/16:8443", "x", 8443, "fd12::1")
    assert reaches("fd12::/16", "x", 443, "fd12::1")


def test_a_name_opens_no_metadata_service_and_an_address_does() -> None:
    assert not reaches("evil.example", "evil.example", 80, "169.254.169.254")
    assert not reaches("evil.example", "evil.example", 80, "::ffff:169.254.169.254")
    assert reaches("169.254.169.254", "169.254.169.254", 80, "169.254.169.254")


def test_two_entries_do_not_add_up_to_more_than_each_opens() -> None:
    assert not reaches("169.254.0.0/16:81 evil.example:82", "evil.example", 82, "169.254.1.1")


@pytest.mark.parametrize(
    "entry", ["10.0.0.1/8", "1.2.3", "a b/c", "host:99999", "host:0", "http://x", "-x", "[::1", "999.1.1.1"]
)
def test_an_entry_that_cannot_be_read_is_named(entry: str) -> None:
    with pytest.raises(InvalidInputError, match=SETTING):
        AllowList.parse(f"ok.example,{entry}")


def test_a_refusal_says_which_entry_would_allow_it_and_that_entry_does() -> None:
    for host, port, address in [("a.example", 443, "10.0.0.1"), ("a.example", 8443, "fd00::1"), ("::1", 99, "::1"),
                                ("a.example", 80, "169.254.169.254"), ("b.example", 22, "93.184.216.34")]:  # fmt: skip
        with pytest.raises(OutboundRefusedError) as refused:
            AllowList().check(host, port, [ip_address(address)])
        entry = str(refused.value).split(" add ")[1].split(" to ")[0]
        assert reaches(entry, host, port, address), entry


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidInputError):
        AllowList.parse(text).check("example.com", 443, [ip_address("93.184.216.34")])
