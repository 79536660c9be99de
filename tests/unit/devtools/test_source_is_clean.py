"""The source holds no secret, no default password, and compares secrets in constant time."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from bailiwick.installation import Settings
from devtools.secret_scan import ROOT, default_passwords, leaky_comparisons, planted_secrets

SOURCE = sorted((ROOT / "src").rglob("*.py"))


def test_no_password_has_a_default() -> None:
    assert [str(found) for found in default_passwords(SOURCE)] == []


def test_no_setting_that_is_a_secret_has_a_default() -> None:
    secrets = {
        name
        for name, field in Settings.model_fields.items()
        if SecretStr in (getattr(field.annotation, "__args__", ()))
    }
    assert {"database_url", "master_key"} <= secrets
    assert {name for name in secrets if Settings.model_fields[name].default is not None} == set()


def test_secrets_are_compared_in_constant_time() -> None:
    assert [str(found) for found in leaky_comparisons(SOURCE)] == []


def test_nothing_that_looks_like_a_real_credential_is_in_the_source() -> None:
    files = [path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert [str(found) for found in planted_secrets(files)] == []


@pytest.mark.parametrize(
    "planted",
    [
        "key = 'bw_" + "aB3-" * 10 + "aB3'",
        "ghp_" + "a1B2" * 9,
        "AKIA" + "ABCD1234" * 2,
        "-----BEGIN EC PRIVATE " + "KEY-----\n" + "MHcCAQEE" * 10,
        "url = 'postgresql://app:" + "hunter22@db/app'",
        "token: eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0" + "." + "x" * 43,
    ],
)
def test_a_planted_credential_is_found(planted: str, tmp_path: Path) -> None:
    # Not below a folder called tests, whose inventions are believed.
    path = tmp_path / "settings.txt"
    path.write_text(f"first line\n{planted}\n")
    assert [found.line for found in planted_secrets([path])] == [2]


@pytest.mark.parametrize(
    "planted",
    ["password = 'changeme'", "connect(admin_password='changeme')", "def f(secret: str = 'changeme'): ...",
     "class A:\n    api_key: str = 'changeme'"],
)  # fmt: skip
def test_a_default_password_is_found(planted: str, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(planted)
    assert len(list(default_passwords([path]))) == 1


def test_a_leaky_comparison_is_found(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text("if given == self.signature: ...\nif kind == 'secret': ...\nif signature != expected: ...\n")
    assert [found.line for found in leaky_comparisons([path])] == [1, 3]
