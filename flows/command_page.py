"""The commands as a page of Markdown, from the app: `python -m flows.command_page FILE`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from flows.cli import app
from flows.options import EXIT_CODES

_HEAD = """# Commands

Written from the commands by `python -P -m flows.command_page docs/commands.md`; edit those.

`headrace --install-completion` teaches bash and zsh to complete commands, options, pipeline files,
sources, runs and algorithms. With `--json` a command writes one JSON document to stdout; messages
and errors go to stderr, where an error is a line of JSON, the last one. Colours are off where
stdout is no terminal, and with `NO_COLOR`. The last line for people says what to do next.

## Exit codes

| code | meaning |
|---|---|
"""


def page() -> str:
    """The page of all commands."""
    root = typer.main.get_command(app)
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    told = "`headrace errors` lists the kinds of errors behind them, as does [errors](errors.md).\n"
    return f"{_HEAD}{codes}\n{told}{''.join(_sections(root, 'headrace'))}"


def _sections(group: Any, name: str) -> Iterator[str]:  # noqa: ANN401  # typer's copy of click's
    for command in sorted(group.commands.values(), key=lambda each: str(each.name)):
        whole = f"{name} {command.name}"
        if hasattr(command, "commands"):
            yield from _sections(command, whole)
        elif not command.hidden:
            yield _section(command, whole)


def _section(command: Any, name: str) -> str:  # noqa: ANN401
    help_ = inspect.cleandoc(command.help or "")
    rows = "".join(_row(each) for each in command.params if each.name != "help")
    table = f"\n| argument or option | what it is |\n|---|---|\n{rows}" if rows else ""
    return f"\n## {name}\n\n{help_}\n{table}"


def _row(parameter: Any) -> str:  # noqa: ANN401
    if parameter.param_type_name == "argument":
        called = parameter.metavar or str(parameter.name).upper()
    else:
        called = ", ".join([*parameter.opts, *parameter.secondary_opts])
    default = parameter.default
    plain = default is not None and not callable(default) and default not in ((), False, "")
    told = f" Default: `{default}`." if plain else ""
    help_ = str(getattr(parameter, "help", None) or "").replace("|", "\\|")
    return f"| `{called}` | {help_}{told} |\n".replace("`[", "`[")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
