import subprocess
import sys

import pytest

from bailiwick.cli.app import COMMANDS, load
from bailiwick.main import main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_the_help_page_can_be_loaded(name):
    assert load(name).name == name


def test_the_help_page_names_every_command(capsys):
    assert main(["--help"]) == 0

    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, capsys):
    assert main([name, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


def test_a_mistyped_command_gets_a_suggestion(capsys):
    assert main(["taks"]) == 2
    assert "tasks" in capsys.readouterr().err


def test_help_imports_nothing_heavy():
    heavy = ("sklearn", "numpy", "alembic", "sqlalchemy", "fastapi", "psycopg", "githubkit")
    code = f"import sys, bailiwick.main; print([name for name in {heavy!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
