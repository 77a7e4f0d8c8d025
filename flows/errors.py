"""`headrace errors`, and how the command tells of an error: what, where, what to do, its code."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table as Grid

from flows.options import ERR, OUT, AsJson, emit, next_step
from headrace.errors import HeadraceError, UsageError, kinds
from headrace.spec.problems import unknown

app = typer.Typer()
_NO_RIGHT = "give this user the right to read and write there, or name another lake"
_HINTS = {
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EROFS: _NO_RIGHT,
    errno.ENOSPC: "free space, then run again: what was committed stands",
}


def codes(incomplete: str) -> list[str]:
    """The codes that begin so, for the completion of a shell."""
    return [kind.code for kind in kinds() if kind.code.startswith(incomplete.upper())]


@app.command()
def errors(
    code: Annotated[
        str | None,
        typer.Argument(help="A code, such as HR-202; all if not given.", autocompletion=codes),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Lists the codes of errors, or tells one: usual causes, and what to do.

    Example: `headrace errors HR-202`
    """
    from headrace.error_page import told

    every = {kind.code: told(kind) for kind in kinds()}
    if code is not None and code.upper() not in every:
        raise UsageError(
            unknown("error", code.upper(), every), hint="`headrace errors` lists the codes"
        )
    chosen = every[code.upper()] if code else None
    if as_json:
        emit(chosen or list(every.values()))
    elif chosen is None:
        grid = Grid("code", "error", "exit", "what it means")
        for each in every.values():
            grid.add_row(each["code"], each["error"], str(each["exit_code"]), each["meaning"])
        OUT.print(grid)
        next_step("`headrace errors CODE` tells one")
    else:
        OUT.print(f"[bold]{chosen['code']}[/] {chosen['error']}: {escape(chosen['meaning'])}")
        for cause in chosen["causes"]:
            OUT.print(f"  cause: {escape(cause)}", soft_wrap=True)
        next_step(chosen["mend"])


@dataclass(frozen=True)
class _Told:
    """An error in words; `where` are the places that `message` names, for scripts."""

    kind: type[HeadraceError]
    name: str
    message: str
    hint: str = ""
    where: Mapping[str, object] = field(default_factory=dict)


def tell(error: Exception, *, as_json: bool = False) -> int:
    """Writes an error to stderr and gives its exit code; others than ours are raised.

    Args:
        error: The error.
        as_json: As a line of JSON, for scripts: the last one, whatever was told before.
    """
    code = UsageError.exit_code
    match error:
        case HeadraceError():
            kind, message = type(error), str(error).removesuffix(f"\n  -> {error.hint}")
            told = [_Told(kind, kind.__name__, message, error.hint, error.where)]
            code = error.exit_code
        case typer.TyperException():  # its own copy of click's, which click's do not catch
            message = error.format_message()
            told = [_Told(UsageError, "UsageError", message, "see `headrace --help`")]
            told, code = told if message else [], error.exit_code
        case ValidationError():  # of the settings; a pipeline file has its own errors
            told = [
                _Told(UsageError, "UsageError", f"{name}: {problem['msg']}", "give another value")
                for problem in error.errors()
                for name in ["HEADRACE_" + "_".join(map(str, problem["loc"])).upper()]
            ]
        case OSError():
            hint = _HINTS.get(error.errno or 0, HeadraceError.mend)
            told = [_Told(HeadraceError, type(error).__name__, str(error), hint)]
            code = HeadraceError.exit_code
        case _:
            raise error
    for each in told:
        if as_json:
            typer.echo(json.dumps(_document(each, code), default=str), err=True)
        else:
            _print(each.kind, each.name, each.message, each.hint)
    return code


def _document(told: _Told, exit_code: int) -> dict[str, Any]:
    return {
        "error": told.name,
        "code": told.kind.code,
        "exit_code": exit_code,
        "message": told.message,
        "hint": told.hint,
        "where": {name: value for name, value in told.where.items() if value is not None},
    }


def _print(kind: type[HeadraceError], name: str, message: str, hint: str = "") -> None:
    advice = f"\n  -> {escape(hint)}" if hint else ""
    ERR.print(f"[red]{name}[/]: {escape(message)}{advice}", soft_wrap=True, highlight=False)
    ERR.print(f"[dim]{kind.pointer()}[/]", soft_wrap=True, highlight=False)
