"""Which addresses are closed."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.outbound.addresses import Network, why_closed

CLOSED_V4 = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
    "240.0.0.0/4",
]  # fmt: skip
CLOSED_V6 = ["::1/128", "::/128", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2001:db8::/32", "100::/64"]
PUBLIC_V4 = ["8.8.8.0/24", "1.1.1.0/24", "140.82.112.0/20", "93.184.216.0/24", "172.32.0.0/16", "100.128.0.0/16"]

within_v4 = st.sampled_from(CLOSED_V4).map(IPv4Network).flatmap(lambda net: st.ip_addresses(v=4, network=net))
within_v6 = st.sampled_from(CLOSED_V6).map(IPv6Network).flatmap(lambda net: st.ip_addresses(v=6, network=net))
public_v4 = st.sampled_from(PUBLIC_V4).map(IPv4Network).flatmap(lambda net: st.ip_addresses(v=4, network=net))


def wrapped(address: IPv4Address) -> list[IPv6Address]:
    number = int(address)
    return [
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address(number | (1 << 33)) if number < 2 else IPv6Address(number),
        IPv6Address((0x2002 << 112) | (number << 80)),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x20010000 << 96) | (number << 64)),
        IPv6Address((0x20010000 << 96) | (0x08080808 << 64) | (number ^ 0xFFFFFFFF)),
        IPv6Address((0x2A00 << 112) | (0x5EFE << 32) | number),
        IPv6Address((0xFE80 << 112) | (0x02005EFE << 32) | number),
    ]


@given(within_v4)
def test_no_address_of_a_special_ipv4_range_is_open(address: IPv4Address) -> None:
    assert why_closed(address) is not None


@given(within_v6)
def test_no_address_of_a_special_ipv6_range_is_open(address: IPv6Address) -> None:
    assert why_closed(address) is not None


@given(within_v4)
def test_no_ipv6_form_of_a_special_ipv4_address_is_open(address: IPv4Address) -> None:
    for form in wrapped(address):
        assert why_closed(form) is not None, form


@given(public_v4)
def test_public_addresses_are_open_also_through_nat64(address: IPv4Address) -> None:
    assert why_closed(address) is None
    assert why_closed(IPv6Address((0x64FF9B << 96) | int(address))) is None
    assert why_closed(IPv6Address((0xFFFF << 32) | int(address))) is None


@given(st.ip_addresses())
def test_what_the_standard_library_calls_private_or_multicast_is_closed(address: IPv4Address | IPv6Address) -> None:
    if (address.is_private or address.is_multicast) and not getattr(address, "ipv4_mapped", None):
        assert why_closed(address) is not None


@pytest.mark.parametrize("text", ["2a00:1450:4001:80b::200e", "2606:4700::1111", "2620:fe::fe"])
def test_public_ipv6_is_open(text: str) -> None:
    assert why_closed(ip_address(text)) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("169.254.169.254", "metadata"), ("fd00:ec2::254", "metadata"), ("100.100.100.200", "metadata"),
        ("::ffff:169.254.169.254", "metadata"), ("64:ff9b::a9fe:a9fe", "metadata"), ("127.0.0.1", "this machine"),
        ("10.1.2.3", "private"), ("fe80::1%eth0", "local link"), ("4000::1", "not on the public internet"),
    ],
)  # fmt: skip
def test_the_reason_says_what_is_there(text: str, said: str) -> None:
    assert said in (why_closed(ip_address(text)) or "")


def test_every_range_is_one_network() -> None:
    ranges: list[Network] = [*map(IPv4Network, CLOSED_V4), *map(IPv6Network, CLOSED_V6)]
    assert all(why_closed(net[0]) and why_closed(net[-1]) for net in ranges)
