"""Which addresses are nobody's business to be reached from inside: everything that is not the public internet.

Sources: the IANA registries of special-purpose IPv4 and IPv6 addresses (RFC 6890 and its
updates), written down here because what the standard library calls global differs between
its versions.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# What each range is called in a refusal; the first that holds an address names it.
_SPECIAL: tuple[tuple[str, str], ...] = (
    ("169.254.169.254/32", "a cloud's metadata service"),
    ("100.100.100.200/32", "a cloud's metadata service"),
    ("168.63.129.16/32", "a cloud's metadata service"),
    ("fd00:ec2::254/128", "a cloud's metadata service"),
    ("0.0.0.0/8", "this machine"),
    ("127.0.0.0/8", "this machine"),
    ("::/127", "this machine"),
    ("10.0.0.0/8", "a private network"),
    ("172.16.0.0/12", "a private network"),
    ("192.168.0.0/16", "a private network"),
    ("fc00::/7", "a private network"),
    ("fec0::/10", "a private network"),
    ("169.254.0.0/16", "the local link"),
    ("fe80::/10", "the local link"),
    ("100.64.0.0/10", "a provider's inner network"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "reserved for documentation"),
    ("192.31.196.0/24", "reserved"),
    ("192.52.193.0/24", "reserved"),
    ("192.88.99.0/24", "reserved"),
    ("192.175.48.0/24", "reserved"),
    ("198.18.0.0/15", "reserved for measurements"),
    ("198.51.100.0/24", "reserved for documentation"),
    ("203.0.113.0/24", "reserved for documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("ff00::/8", "multicast"),
    ("64:ff9b:1::/48", "a private network behind NAT64"),
    ("100::/64", "reserved"),
    ("2001::/23", "reserved"),
    ("2002::/16", "a tunnel that is out of use"),
    ("2001:db8::/32", "reserved for documentation"),
    ("3fff::/20", "reserved for documentation"),
    ("5f00::/16", "reserved"),
)
_RANGES: tuple[tuple[Network, str], ...] = tuple((ip_network(text), name) for text, name in _SPECIAL)
_PUBLIC_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
# A name may be allowed and yet resolve to these: only an address that is written out opens them.
_ONLY_BY_ADDRESS = frozenset(("a cloud's metadata service", "the local link", "multicast"))


def why_closed(address: Address) -> str | None:
    """Return what is at an address that may not be reached, or None if it is on the public internet.

    An IPv6 address that carries an IPv4 one (mapped, compatible, 6to4, Teredo,
    NAT64, ISATAP) is what it carries: some router on the way will unpack it.
    """
    for carried in carried_addresses(address):
        if (reason := _why_special(carried)) is not None:
            return f"{reason} ({carried} inside)"
    return _why_special(address)


def is_open_by_name(address: Address) -> bool:
    """Tell whether allowing a host's name is enough to reach this address of it."""
    return not any(_why_special(one) in _ONLY_BY_ADDRESS for one in (address, *carried_addresses(address)))


def carried_addresses(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that are packed into an IPv6 one."""
    if not isinstance(address, IPv6Address):
        return
    number = int(address)
    low = number & 0xFFFFFFFF
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64 or (address in _COMPATIBLE and low > 1):
        yield IPv4Address(low)
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(low)


def _why_special(address: Address) -> str | None:
    for network, name in _RANGES:
        if address in network:
            return name
    is_wrapper = address in _NAT64 or getattr(address, "ipv4_mapped", None) is not None
    if isinstance(address, IPv6Address) and address not in _PUBLIC_V6 and not is_wrapper:
        return "not on the public internet"
    return None
