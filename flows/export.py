"""`headrace export`: a model in a form that runs without any of this."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.options import OUT, AsJson, LakeFolder, emit, next_step, settings_of
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.lake import Lake
    from headrace.models.model import Model

app = typer.Typer()


class Form(StrEnum):
    """Forms that a model can be written in."""

    ONNX = "onnx"
    SQL = "sql"
    RULES = "rules"
    PMML = "pmml"


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="The pipeline file.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The file to write.", show_default=False)],
    *,
    model: Annotated[
        str, typer.Option(help="A digest, or how one begins; or champion.")
    ] = "champion",
    form: Annotated[Form, typer.Option("--to", help="The form.")] = Form.ONNX,
    lake: LakeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Writes a model in one file, from the raw features to scores; a file there is replaced.

    As a graph of ONNX; lines, trees and rules also as PMML; a list of rules as one CASE of Spark
    SQL, too, or in words.

    Example: `headrace export pipeline.yaml delays.onnx`
    """
    from headrace.lake import Lake
    from headrace.models import registry
    from headrace.models.export import to_onnx
    from headrace.models.export.pmml import to_pmml
    from headrace.models.export.readable import to_rules, to_sql
    from headrace.spec import load

    pipeline, place = load(file), Lake(settings_of(lake).lake)
    digest = _digest(place, pipeline.name, model)
    loaded = registry.load(place, pipeline.name, digest)
    writers: dict[Form, Callable[[Model], bytes]] = {
        Form.ONNX: to_onnx,
        Form.PMML: to_pmml,
        Form.SQL: to_sql,
        Form.RULES: to_rules,
    }
    _write(out, writers[form](loaded))
    algorithm, size = loaded.recipe.algorithm, out.stat().st_size
    if as_json:
        told = {"pipeline": pipeline.name, "model": digest, "algorithm": algorithm}
        emit({**told, "form": form, "file": out.as_posix(), "bytes": size})
        return
    written = f"{algorithm} {digest[:12]} as {form} in {out.as_posix()}, {size:,} bytes"
    OUT.print(written, soft_wrap=True, highlight=False)
    if form is Form.RULES:
        next_step(f"read {out.as_posix()} from the top: the first rule that holds is the one")
    else:
        next_step("docs/export.md shows how it is run; columns are fed by their names")


def _digest(place: Lake, pipeline: str, model: str) -> str:
    """The one model that is meant: the champion, or one that was or is held, by how it begins."""
    from headrace import held
    from headrace.models import registry

    if model == registry.CHAMPION:
        alias = registry.champion(place, pipeline)
        found = [] if alias is None else [alias.model]
    else:
        known = {row.model for row in registry.promotions(place, pipeline)}
        known |= {each.unit for each in held.models(place, pipeline)}
        enough = len(model) >= held.FEWEST_DIGITS
        found = sorted(each for each in known if enough and each.startswith(model)) or [model]
    if len(found) != 1:
        message = f"{model!r} is the beginning of {len(found)} models" if found else "no model yet"
        hint = "`headrace models` lists them, `headrace run` makes one"
        raise UsageError(message, pipeline=pipeline, hint=hint)
    return found[0]


def _write(out: Path, content: bytes) -> None:
    """What stood there is replaced as a whole, or stays."""
    from headrace.models import registry

    if out.is_dir() or not out.parent.is_dir():
        where = "is a folder" if out.is_dir() else "is in no folder that there is"
        message = f"{out} {where}"
        raise UsageError(message, hint="name a file in a folder that is there")
    registry.write_whole(out, content)
