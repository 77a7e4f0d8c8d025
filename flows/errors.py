"""`headrace errors`, and how the command tells of an error: what, where, what to do, its code."""

from __future__ import annotations

import errno
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table as Grid

from flows.options import ERR, OUT, AsJson, emit
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
        OUT.print("next: `headrace errors CODE` tells one")
    else:
        OUT.print(f"[bold]{chosen['code']}[/] {chosen['error']}: {escape(chosen['meaning'])}")
        for cause in chosen["causes"]:
            OUT.print(f"  cause: {escape(cause)}", soft_wrap=True)
        OUT.print(f"  next: {escape(chosen['mend'])}", soft_wrap=True)


def tell(error: Exception) -> int:
    """Writes an error to stderr as text, and gives its exit code; others than ours are raised."""
    match error:
        case HeadraceError():
            _print(type(error), type(error).__name__, *str(error).rsplit("\n  -> ", 1))
        case typer.TyperException():  # its own copy of click's, which click's do not catch
            if message := error.format_message():
                _print(UsageError, "UsageError", message, "see `headrace --help`")
            return error.exit_code
        case ValidationError():  # of the settings; a pipeline file has its own errors
            for problem in error.errors():
                name = "HEADRACE_" + "_".join(map(str, problem["loc"])).upper()
                _print(UsageError, "UsageError", f"{name}: {problem['msg']}", "give another value")
            return UsageError.exit_code
        case OSError():
            hint = _HINTS.get(error.errno or 0, HeadraceError.mend)
            _print(HeadraceError, type(error).__name__, str(error), hint)
            return HeadraceError.exit_code
        case _:
            raise error
    return error.exit_code


def _print(kind: type[HeadraceError], name: str, message: str, hint: str = "") -> None:
    advice = f"\n  -> {escape(hint)}" if hint else ""
    ERR.print(f"[red]{name}[/]: {escape(message)}{advice}", soft_wrap=True, highlight=False)
    ERR.print(f"[dim]{kind.pointer()}[/]", soft_wrap=True, highlight=False)
