"""From `pipeline.yaml` to a Pipeline, or to every problem of the file at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from headrace.errors import SpecError
from headrace.spec.document import MAX_BYTES, Document, read
from headrace.spec.environment import Replacement
from headrace.spec.model import Check, Pipeline, Places
from headrace.spec.parts import parts_of
from headrace.spec.problems import Problem, dotted
from headrace.spec.shape import in_document, shape_problems


def load(path: Path | str, *, environ: Mapping[str, str] = os.environ) -> Pipeline:
    """The pipeline that a file declares, checked as far as can be without its data.

    Args:
        path: Of the pipeline file; relative roots and paths in it start from its folder.
        environ: Values for `${env:NAME}`, of the variables that the file lists under `env`.

    Returns:
        The pipeline, with the action of every check filled in.

    Raises:
        SpecError: The file is wrong; one line for each problem, with its place.
    """
    pipeline, problems = _read(Path(path), environ)
    if pipeline is None:
        raise SpecError("\n".join(problem.at(str(path)) for problem in problems))
    return pipeline


def validate(path: Path | str, *, environ: Mapping[str, str] = os.environ) -> list[Problem]:
    """All problems of a pipeline file, in the order of its lines; none if `load` accepts it."""
    return _read(Path(path), environ)[1]


def _read(path: Path, environ: Mapping[str, str]) -> tuple[Pipeline | None, list[Problem]]:
    # Here and not above: sqlglot takes longer to load than the rest together.
    from headrace.spec.consistency import consistency_problems

    text = _text(path)
    if isinstance(text, Problem):
        return None, [text]
    document = read(text)
    if not document.readable:
        return None, _sorted(document.problems)
    replacement = Replacement(environ)
    document.data = replacement.apply(document.data)
    found = [*replacement.problems, *shape_problems(document)]
    found += consistency_problems(parts_of(document.data), folder=path.parent)
    problems = [
        *document.problems,
        *(document.problem(in_document(document.data, loc), message) for loc, message in found),
    ]
    problems = [
        replace(
            problem,
            path=replacement.hidden(problem.path),
            message=replacement.hidden(problem.message),
        )
        for problem in problems
    ]
    if problems:
        return None, _sorted(problems)
    pipeline = Pipeline.model_validate(document.data, by_alias=True, by_name=False)
    return _with_actions(pipeline).placed_in(path.parent, _places(path, document)), []


def _places(path: Path, document: Document) -> Places:
    """Where each feature, and the target, stands: what only the data can prove wrong is told so."""
    marks = {**document.values, **document.keys}
    return Places(
        {
            dotted(loc): f"{path.name}:{line}:{column}"
            for loc, (line, column) in marks.items()
            if loc and loc[0] in {"features", "target"}
        }
    )


def _text(path: Path) -> str | Problem:
    try:
        if not path.is_file():
            what = "is not a file" if path.exists() else "no such file"
            return Problem(0, 0, "", what)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        return Problem(0, 0, "", f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(content) > MAX_BYTES:
        return Problem(0, 0, "", f"larger than {MAX_BYTES:,} bytes, which no pipeline needs")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        return Problem(line, column, "", "not UTF-8: save the file as UTF-8")


def _sorted(problems: list[Problem]) -> list[Problem]:
    return sorted(set(problems))


def _with_actions(pipeline: Pipeline) -> Pipeline:
    from headrace.spec.consistency.checks import action_of

    def filled(check: Check) -> Check:
        return check.model_copy(update={"action": action_of(check)})

    checks = {
        source: tuple(filled(check) for check in checks)
        for source, checks in pipeline.checks.items()
    }
    return pipeline.model_copy(update={"checks": checks})
