"""Errors say what, where and what to do, in every process."""

from __future__ import annotations

import pickle

import pytest

from headrace import errors
from headrace.errors import HeadraceError, SpecError, Terminal, Transient


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
