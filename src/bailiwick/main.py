"""The composition root: the console script, and what people see when something goes wrong."""

import asyncio
import os
import sys
import traceback
from collections.abc import Sequence

from rich.console import Console

from bailiwick.kernel.errors import BailiwickError, DiskFullError, InvalidInputError
from bailiwick.kernel.terminals import harmless
from bailiwick.telemetry.logs import configure_logs
from bailiwick.telemetry.redacting import redacted

_FAILED, _WRONG_USE, _TRY_AGAIN, _DEFECT, _INTERRUPTED = 1, 2, 75, 70, 130
_DISK_FULL = 28


def run() -> None:
    """Run the command line and exit with its code."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors become a paragraph on standard error."""
    arguments = list(arguments)
    is_debugging = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    configure_logs("debug" if is_debugging else os.environ.get("BAILIWICK_LOG_LEVEL", "warning"))
    try:
        # Here, because they take a third of a second, in which Ctrl-C must not show a traceback either.
        from typer.main import get_command  # noqa: PLC0415

        from bailiwick.cli.app import app  # noqa: PLC0415

        get_command(app).main(arguments, prog_name="bailiwick")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else _FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is still buffered must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever it is, a person gets a sentence
        if is_debugging:
            # As plain text: broken into lines of a box, a secret would not be recognized.
            sys.stderr.write(harmless(redacted("".join(traceback.format_exception(error)))))
        garbled = [argument for argument in arguments if not _is_utf8(argument)]
        if isinstance(error, UnicodeEncodeError) and garbled:
            error = InvalidInputError(f"the argument {garbled[0]!r} is not UTF-8; write it in UTF-8")
        return _explain(error, is_debugging=is_debugging)
    return 0


def _is_utf8(argument: str) -> bool:
    return argument == argument.encode(errors="ignore").decode()


def _explain(error: BaseException, *, is_debugging: bool) -> int:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, OSError) and error.errno == _DISK_FULL:
        error = DiskFullError("the disk is full; free some space and start again, nothing acknowledged is lost")
    if isinstance(error, BailiwickError):
        _say(str(error))
        if error.retryable:
            return _TRY_AGAIN
        return _WRONG_USE if isinstance(error, InvalidInputError) else _FAILED
    _say(
        f"{type(error).__name__}: {error}. This is a defect of Bailiwick, nothing that was acknowledged is lost. "
        + ("Please report it with the lines above." if is_debugging else "Run it again with --debug for the details.")
    )
    return _DEFECT


def _say(message: str) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("[bold red]Error:[/]", end=" ")
    console.print(harmless(redacted(message)), markup=False)


if __name__ == "__main__":
    run()
