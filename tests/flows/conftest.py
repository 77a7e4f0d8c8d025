"""A user's folder with a pipeline file and its landing files, for commands that start no engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.cli import main

PIPELINE = """
name: rides
timezone: UTC
sources:
  rides:
    path: landing/rides/*.csv
    schema: {id: int, line: string, leaves: timestamp}
    key: [id]
    event_time: leaves
  ends:
    path: landing/ends/*.csv
    schema: {id: int, leaves: timestamp, delay: int, ended: timestamp}
    key: [id]
    event_time: leaves
    known_at: ended
    references: rides
  lines:
    path: landing/lines/*.csv
    schema: {line: string, seats: int}
    key: [line]
    timeless: true
checks:
  rides:
    - expect_column_values_to_be_in_set: {column: line, value_set: {source: lines, column: line}}
features:
  rows: rides
  at: 05:00 of the interval
  columns: {line: line}
target: {name: late, of: ends, value: delay > 15}
split: {kind: time, validation: 1 days, test: 1 days}
training: {algorithms: [logistic_regression], first: 2014-01-04, every: 31 days}
"""
LANDING = {
    "rides": "id,line,leaves\n1,red,2014-01-01 08:00:00\n",
    "ends": "id,leaves,delay,ended\n1,2014-01-01 08:00:00,20,2014-01-01 10:00:00\n",
    "lines": "line,seats\nred,50\n",
}

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, which is the working folder too."""
    for name in ("HEADRACE_LAKE", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("PYTHONSAFEPATH", "PREFECT_LOGGING_LEVEL"):
        monkeypatch.setenv(name, "1" if name.startswith("PYTHON") else "WARNING")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    for source, text in LANDING.items():
        path = tmp_path / "landing" / source / "a.csv"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        os.utime(path, (1.4e9, 1.4e9))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def headrace(folder: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process: exit code, output, errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        assert Path.cwd() == folder
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        words = capsys.readouterr()
        return int(stop.value.code or 0), words.out, words.err

    return call
