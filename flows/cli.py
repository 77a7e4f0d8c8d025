"""The `headrace` command, put together of one module per command; how it starts and how it ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

# No engine and no pyarrow up here: `validate` and `--help` start at once.
from flows import (
    algorithms,
    audit,
    deploy,
    diff,
    doctor,
    errors,
    explain,
    export,
    mirror,
    models,
    new,
    profiles,
    quarantine,
    rebuild,
    release,
    report,
    run,
    temporary_server,
    upkeep,
    validate,
)
from flows.options import ERR, EXIT_CODES
from headrace.settings import engine_environment

app = typer.Typer(
    name="headrace",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="One pipeline file, from landing files to scores in a Delta lake.\n\n"
    "Start with `headrace validate FILE`, look with `headrace plan FILE`, "
    "do with `headrace run FILE`.\n\n"
    f"Exit codes: {', '.join(f'{code} {meaning}' for code, meaning in EXIT_CODES.items())}.",
)

# In the order in which `--help` lists them.
app.add_typer(validate.app)
app.add_typer(run.app)
app.add_typer(models.app)
app.add_typer(report.app)
app.add_typer(doctor.app)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(upkeep.app)
app.add_typer(audit.app)
app.add_typer(profiles.app)
app.add_typer(algorithms.app)
app.add_typer(export.app)
app.add_typer(deploy.app)
app.add_typer(mirror.app)
app.add_typer(new.app)
app.add_typer(explain.app)
app.add_typer(rebuild.app)
app.add_typer(diff.app)
app.add_typer(release.app)
app.add_typer(errors.app)

_STOPPED = "stopped; what was committed stands, and the next run completes the rest"
INTERRUPTED, TERMINATED = 130, 143  # exit codes of a shell: 128 + the signal; typer's for Ctrl-C


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits with its code."""
    engine_environment()
    # Spark's and Ray's workers start in the user's folder, which may have a `flows/` of its own.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    # Without a server to read them, Prefect's logs would repeat what is told here.
    quiet = "WARNING" if os.environ.get("PREFECT_API_URL") else "CRITICAL"
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", quiet)
    # An orderly end: Python's own would leave engines running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args=arguments, prog_name="headrace", standalone_mode=False)
    except SystemExit as stop:
        code = stop.code
    except Exception as error:  # what `tell` does not know is raised again
        code = errors.tell(error, as_json=as_json)
    if code in {INTERRUPTED, TERMINATED}:
        _stop(code)
    sys.exit(code or 0)


def _stop(code: int) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it is on its way already
    ERR.print(_STOPPED)
    temporary_server.end()
    sys.stdout.flush()
    os._exit(code)  # without a wait for the threads of stages, whose engine is gone


if __name__ == "__main__":
    main()
