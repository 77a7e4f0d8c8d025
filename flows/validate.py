"""`headrace validate`: everything that is wrong with a pipeline file, told at once."""

from __future__ import annotations

import typer

from flows.options import DEFAULT, OUT, AsJson, File, emit, next_step
from headrace.errors import UsageError

app = typer.Typer()


@app.command()
def validate(file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Reads a pipeline file and says everything that is wrong with it. Starts no engine.

    Example: `headrace validate examples/flight_delays/pipeline.yaml`
    """
    from headrace.spec import load
    from headrace.spec import validate as problems_of

    if as_json:
        problems = problems_of(file)
        emit({"valid": not problems, "problems": [vars(problem) for problem in problems]})
        if problems:
            raise typer.Exit(UsageError.exit_code)
        return
    pipeline = load(file)
    features = len(pipeline.features.names)
    rules = sum(map(len, pipeline.checks.values()))
    counts = {"source": len(pipeline.sources), "check": rules, "feature": features}
    told = ", ".join(f"{n} {noun}{'' if n == 1 else 's'}" for noun, n in counts.items())
    OUT.print(f"[green]valid[/]: pipeline {pipeline.name}, {told}")
    next_step(f"`headrace plan {file}` tells what a run would do")
