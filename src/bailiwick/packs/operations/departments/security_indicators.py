"""What a security text names: CVE ids, network addresses, hashes, hosts, and patterns used in attacks."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bailiwick.packs.operations.departments.body import Line
from bailiwick.packs.operations.departments.phrases import any_phrase

Rank = str
RANKS: tuple[Rank, ...] = ("none", "low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Indicator:
    """Something named at a place: ``kind`` is ``cve``, ``ip``, ``md5``, ``sha1``, ``sha256`` or ``host``."""

    kind: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class PatternFinding:
    """A dangerous pattern at a place; ``rank`` is the severity that the rule states."""

    rule: str
    rank: Rank
    source: str


_CVE = re.compile(r"\bCVE-(?:19|20)\d{2}-\d{4,7}\b", re.IGNORECASE)
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.|\[\.\])\d{1,3}(?:\.|\[\.\])\d{1,3}(?:\.|\[\.\])\d{1,3}(?![\w]|\.\d)")
_HEX = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{32,64}(?![0-9A-Za-z])")
_URL_HOST = re.compile(r"\b(?:https?|hxxps?|ftp)(?:://|\[:\]//)(?:[^\s/@]{1,100}@)?([\w.\[\]-]{3,253})", re.IGNORECASE)
_DEFANGED = re.compile(
    r"(?<![\w.-])(?:[\w-]{1,63}(?:\.|\[\.\])){0,8}[\w-]{1,63}\[\.\][a-z]{2,24}(?![\w-])", re.IGNORECASE
)
_HASHES = {32: "md5", 40: "sha1", 64: "sha256"}

# Each rule states its severity and why; every quantifier is bounded.
_PATTERNS: tuple[tuple[str, Rank, re.Pattern[str]], ...] = (
    (
        "JNDI lookup as used against Log4j",
        "critical",
        re.compile(r"\$\{jndi:(?:ldaps?|rmi|dns|iiop)://", re.IGNORECASE),
    ),
    ("reverse shell over /dev/tcp", "critical", re.compile(r"/dev/(?:tcp|udp)/[\w.-]{1,200}/\d{1,5}")),
    (
        "netcat handing out a shell",
        "critical",
        re.compile(r"\bnc(?:at)?\b[^\n|;]{0,80}\s-e\s{1,4}/?(?:bin/)?(?:ba)?sh\b"),
    ),
    (
        "encoded PowerShell command",
        "high",
        re.compile(r"\bpowershell(?:\.exe)?\b[^\n]{0,120}\s-e(?:nc|ncodedcommand)\s", re.IGNORECASE),
    ),
    (
        "download piped into a shell",
        "high",
        re.compile(r"\b(?:curl|wget)\b[^\n|]{1,300}\|\s{0,4}(?:sudo\s{1,4})?(?:ba|z)?sh\b"),
    ),
    (
        "decoded data piped into a shell",
        "high",
        re.compile(r"\bbase64\s{1,4}(?:-d|--decode|-D)\b[^\n]{0,80}\|\s{0,4}(?:ba|z)?sh\b"),
    ),
    (
        "recursive deletion of the root",
        "high",
        re.compile(r"\brm\s{1,4}-[a-zA-Z]{1,6}\s{1,4}(?:--no-preserve-root\s{1,4})?/(?:\s|\*|$)"),
    ),
    (
        "SQL tautology",
        "medium",
        re.compile(r"['\"]\s{0,4}(?:or|OR)\s{1,4}['\"]?(\w{1,20})['\"]?\s{0,4}=\s{0,4}['\"]?\1\b"),
    ),
    (
        "SQL UNION injection",
        "medium",
        re.compile(r"\bunion\s{1,8}(?:all\s{1,8})?select\b[^\n]{0,200}(?:--|\bfrom\b)", re.IGNORECASE),
    ),
    (
        "path traversal",
        "medium",
        re.compile(
            r"(?:\.\./|\.\.\\){2,40}(?:etc|proc|root|home|boot|windows|winnt|var/log)\b|(?:%2e%2e(?:%2f|/)|\.\.%2f){2}",
            re.IGNORECASE,
        ),
    ),
    (
        # A bare tag is everyday talk in a web project; what an attack puts in it is not.
        "script in markup",
        "medium",
        re.compile(
            r"(?:<script\b[^>]{0,200}>|\bon(?:error|load|click|mouseover)\s{0,4}=\s{0,4}['\"]?|\bjavascript:)\s{0,4}"
            r"(?:alert|prompt|confirm|eval|fetch|document\.(?:cookie|location)|window\.location|location\s{0,3}=|new\s{1,3}Image)\b",
            re.IGNORECASE,
        ),
    ),
    ("remote file in an XML entity", "medium", re.compile(r"<!ENTITY\s[^>]{0,100}\bSYSTEM\b", re.IGNORECASE)),
    ("metadata service address", "medium", re.compile(r"\b169\.254\.169\.254\b")),
)


_OTHERS = (
    "(?:(?:other|another|someone else's|somebody else's|all) (?:(?:customer|user|people|person|client)s?'?s?|"
    "addresses|names|orders|data|accounts|invoices)|of (?:somebody|someone|anybody|anyone) else|of others)"
)
_REPORTS: tuple[tuple[str, Rank, re.Pattern[str]], ...] = (
    (
        "reported: people see the data of others",
        "high",
        any_phrase(
            r"(?:saw|sees?|seeing|shown?|shows|showing|displays?|exposes?|exposed|leaks?|leaked|visible)"
            rf"\b[^\n.]{{0,60}}\b{_OTHERS}"
        ),
    ),
    (
        "reported: somebody got in who may not",
        "high",
        any_phrase(
            "unauthori[sz]ed (?:access|login|user)",
            "account (?:was |has been )?(?:taken over|hijacked|hacked|compromised)",
            "(?:we|I|server|site|system) (?:was|were|have been|has been|got) (?:hacked|breached|compromised)",
        ),
    ),
    (
        "reported: malicious software",
        "high",
        any_phrase("ransomware", "malware", "trojan", "keylogger", "crypto-?miner"),
    ),
    ("reported: phishing", "medium", any_phrase(r"phish\w{0,6}", "spoofed (?:mail|e-mail|sender)")),
    (
        "reported: suspicious sign-ins",
        "medium",
        any_phrase("(?:suspicious|unknown|strange|failed) (?:sign-?ins?|log-?ins?)", "brute-?force"),
    ),
)
"""What people report in plain words. It is a report, not a proof, and the rule's name says so."""


def find_indicators(lines: Iterable[Line]) -> Iterator[Indicator]:
    """Yield what is named, each value once at its first place; ``hxxp`` and ``[.]`` are read as meant."""
    seen: set[tuple[str, str]] = set()
    for line in lines:
        for kind, value in _named_in(line.text):
            if (kind, value) not in seen:
                seen.add((kind, value))
                yield Indicator(kind, value, line.source)


def find_patterns(lines: Iterable[Line]) -> Iterator[PatternFinding]:
    """Yield dangerous patterns and what is reported in plain words, each rule at most once per line."""
    for line in lines:
        for rule, rank, pattern in (*_PATTERNS, *_REPORTS):
            if pattern.search(line.text):
                yield PatternFinding(rule, rank, line.source)


def is_public(address: str) -> bool:
    """Say whether an IPv4 address is routed on the internet."""
    return ipaddress.ip_address(address).is_global


def _named_in(text: str) -> Iterator[tuple[str, str]]:
    for found in _CVE.finditer(text):
        yield "cve", found.group().upper()
    for found in _IPV4.finditer(text):
        address = found.group().replace("[.]", ".")
        if _is_address(address):
            yield "ip", address
    for found in _HEX.finditer(text):
        if len(found.group()) in _HASHES:
            yield _HASHES[len(found.group())], found.group().lower()
    for pattern in (_URL_HOST, _DEFANGED):
        for found in pattern.finditer(text):
            host = found.group(1 if pattern is _URL_HOST else 0).replace("[.]", ".").strip(".[]-").lower()
            if "." in host and not _is_address(host):
                yield "host", host


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
