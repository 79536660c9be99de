"""The doors: every command of the command line, every operation of the API."""

from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args

from fastapi import FastAPI

from bailiwick.cli.app import COMMANDS, load
from devtools.reference.markdown import code, first_line, table

# Typer brings a Click of its own, whose classes have no public names.
Command = Any
Parameter = Any

_NOT_SHOWN = ("help", "install_completion", "show_completion", None)
_METHODS = ("get", "post", "put", "patch", "delete")


def commands() -> str:
    """Return every command with its arguments and options."""
    parts: list[str] = []
    panel = ""
    for name, entry in COMMANDS.items():
        if entry.panel != panel:
            panel = entry.panel
            parts.append(f"## {panel}")
        parts += [_command_text(path, one) for path, one in command_tree(name, load(name))]
    return "\n\n".join(parts)


def command_tree(path: str, command: Command) -> Iterator[tuple[str, Command]]:
    """Yield a command and all below it, each with the words by which it is called."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from command_tree(f"{path} {name}", child)


def _command_text(path: str, command: Command) -> str:
    level = "###" if " " not in path else "####"
    usage = " ".join(["bailiwick", path, *(_usage(one) for one in command.params if _is_argument(one))])
    said = " ".join((command.help or "").split("\f")[0].split()).replace("``", "`")
    text = f"{level} `{usage}`\n\n{said}"
    rows = [(code(_call(one)), _meaning(one)) for one in command.params if _is_shown(one)]
    return f"{text}\n\n{table(('Option', 'What it does'), rows)}" if rows else text


def _is_argument(parameter: Parameter) -> bool:
    return parameter.param_type_name == "argument"


def _is_shown(parameter: Parameter) -> bool:
    return not getattr(parameter, "hidden", False) and parameter.name not in _NOT_SHOWN


def _usage(parameter: Parameter) -> str:
    name = (parameter.metavar or parameter.name or "").upper().strip("[].")
    return name if parameter.required else f"[{name}]"


def _call(parameter: Parameter) -> str:
    if _is_argument(parameter):
        return _usage(parameter)
    names = "/".join([*parameter.opts, *parameter.secondary_opts])
    return names if getattr(parameter, "is_flag", False) else f"{names} {_value(parameter)}"


def _value(parameter: Parameter) -> str:
    if parameter.metavar:
        return parameter.metavar
    annotation = parameter.type_descriptor.annotation
    kind = next((one for one in get_args(annotation) if one is not type(None)), annotation)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(one.value) for one in kind)
    if kind in (int, float):
        return "NUMBER"
    return "PATH" if getattr(kind, "__name__", "") == "Path" else "TEXT"


def _meaning(parameter: Parameter) -> str:
    said = " ".join((getattr(parameter, "help", "") or "").split())
    default = parameter.default
    if callable(default) or default in (None, False, "", ()) or getattr(parameter, "is_flag", False):
        return said
    return f"{said} Default: {code(default)}."


def operations(app: FastAPI) -> str:
    """Return every operation of the API as a row."""
    rows = [
        (code(f"{method.upper()} {path}"), operation["summary"], first_line(operation["description"]))
        for path, method, operation in operation_list(app)
    ]
    return table(("Operation", "Summary", "What it does"), rows)


def operation_list(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and description of every operation, in the order of the flow."""
    for path, described in app.openapi()["paths"].items():
        for method in _METHODS:
            if method in described:
                yield path, method, described[method]
