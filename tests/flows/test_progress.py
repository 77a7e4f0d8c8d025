"""Rows done, rows in all and seconds left: on a terminal as a line, elsewhere now and then."""

from __future__ import annotations

import io
import logging
from types import SimpleNamespace

import pytest
from rich.console import Console

from flows import progress as shown
from flows.progress import counting, progress
from headrace import ongoing
from headrace.ongoing import Rows


@pytest.fixture
def clock(monkeypatch):
    """Seconds that go by when a test says so."""
    now = [100.0]
    for module in (shown, ongoing):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def passes(seconds):
        now[0] += seconds

    return passes


def lines(console):
    return [line.strip() for line in console.file.getvalue().splitlines() if line.strip()]


def test_rows_of_a_stage_are_told_every_ten_seconds_where_there_is_no_terminal(clock):
    console = Console(file=io.StringIO(), width=200)
    with progress(console):
        rows = Rows("score", 1_000)
        for _ in range(9):
            clock(4)
            rows.advance(100)
    assert lines(console) == [
        "12.0 s  score: 300 of 1,000 rows, about 28 s left",
        "24.0 s  score: 600 of 1,000 rows, about 16 s left",
        "36.0 s  score: 900 of 1,000 rows, about 4 s left",
    ]


def test_rows_of_a_stage_are_one_line_on_a_terminal(clock, monkeypatch):
    told = []
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr("rich.status.Status.update", lambda _, text, **__: told.append(text))
    with progress(console):
        rows = Rows("score", 1_000)
        clock(5)
        rows.advance(250)
    assert told == ["score: 0 of 1,000 rows", "score: 250 of 1,000 rows, about 15 s left"]
    assert "of 1,000 rows, about" not in console.file.getvalue()


def test_the_start_of_an_engine_does_not_count(clock):
    console = Console(file=io.StringIO(), width=200)
    with progress(console):
        clock(60)
        rows = Rows("score", 100)
        clock(11)
        rows.advance(50)
    assert lines(console) == ["71.0 s  score: 50 of 100 rows, about 11 s left"]


def test_a_second_stage_of_the_name_begins_anew(clock):
    console = Console(file=io.StringIO(), width=200)
    with progress(console):
        Rows("features", 100)
        clock(500)
        rows = Rows("features", 10)
        clock(11)
        rows.advance(5)
    assert lines(console) == ["511.0 s  features: 5 of 10 rows, about 11 s left"]


def test_rows_that_are_not_known_before_are_not_told(caplog):
    with caplog.at_level(logging.INFO, logger="headrace.run"):
        Rows("score", 0).advance(5)
    assert caplog.records == []


def test_quick_work_says_nothing(clock):
    console = Console(file=io.StringIO(), width=200)
    with counting(console, "scores computed again", total=10) as counted:
        clock(1)
        counted.advance(5)
        clock(0.5)
        counted.advance(5)
    assert lines(console) == []


def test_counting_tells_how_long_the_rest_takes(clock):
    console = Console(file=io.StringIO(), width=200)
    with counting(console, "scores computed again", total=40) as counted:
        for _ in range(4):
            clock(11)
            counted.advance(10)
    assert lines(console) == [
        "scores computed again: 10 of 40 rows, about 33 s left",
        "scores computed again: 20 of 40 rows, about 22 s left",
        "scores computed again: 30 of 40 rows, about 11 s left",
    ]
