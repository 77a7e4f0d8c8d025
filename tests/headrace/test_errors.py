"""Errors say what, where and what to do, in every process."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import pytest

from headrace import errors
from headrace.error_page import page
from headrace.errors import HeadraceError, SpecError, Terminal, Transient

HERE = Path(__file__).parents[2]
PACKAGES = ("headrace", "flows", "spark_jobs", "ray_tasks", "expectations")


def kinds(base: type[HeadraceError]) -> list[type[HeadraceError]]:
    return [base, *(kind for child in base.__subclasses__() for kind in kinds(child))]


@pytest.mark.parametrize("kind", kinds(HeadraceError))
def test_every_error_survives_pickle(kind: type[HeadraceError]):
    error = pickle.loads(pickle.dumps(kind("no file", file="a.csv", row=3, hint="deliver it")))  # noqa: S301 - our own bytes
    assert type(error) is kind
    assert str(error) == "no file (file a.csv, row 3)\n  -> deliver it"


@pytest.mark.parametrize("kind", kinds(HeadraceError))
def test_the_tree_at_the_top_names_every_error(kind: type[HeadraceError]):
    assert kind.__name__ in str(errors.__doc__)


def test_every_error_is_terminal_or_transient():
    for kind in kinds(HeadraceError):
        if kind not in {HeadraceError, Terminal, Transient}:
            assert issubclass(kind, Terminal) != issubclass(kind, Transient)


def test_a_wrong_spec_ends_with_2():
    assert SpecError("x").exit_code == 2


def test_every_error_that_is_raised_has_a_code_of_its_own():
    raised = [kind for kind in kinds(HeadraceError) if kind is not Terminal]
    codes = [vars(kind).get("code") for kind in raised]
    assert all(code and re.fullmatch(r"HR-[1-9][0-9]{2}", code) for code in codes), codes
    assert len(set(codes)) == len(codes)
    assert sorted(errors.kinds(), key=id) == sorted(raised, key=id)


@pytest.mark.parametrize("kind", errors.kinds())
def test_the_tree_at_the_top_tells_the_code_and_the_exit_code(kind: type[HeadraceError]):
    if kind is not HeadraceError:
        line = rf"{kind.__name__} +{kind.code} .*\(exit {kind.exit_code}\)"
        assert re.search(line, str(errors.__doc__))


@pytest.mark.parametrize("kind", errors.kinds())
def test_every_error_tells_usual_causes_and_what_to_do(kind: type[HeadraceError]):
    assert kind is HeadraceError or {"causes", "mend"} <= vars(kind).keys()
    assert all(kind.causes)
    assert kind.mend.endswith(".")


def test_the_page_of_errors_is_the_one_that_the_code_tells():
    found = (HERE / "docs" / "errors.md").read_text(encoding="utf-8")
    assert found == page(), "run `python -m headrace.error_page docs/errors.md`"


def test_every_error_that_the_code_raises_says_what_to_do():
    names = {kind.__name__ for kind in errors.kinds()} - {"SpecError"}  # tells of each line itself
    silent = [
        f"{path.relative_to(HERE)}:{call.lineno}"
        for package in PACKAGES
        for path in (HERE / package).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in names
        and not {"hint", None} & {keyword.arg for keyword in call.keywords}
    ]
    assert silent == []
