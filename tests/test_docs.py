"""The documentation says what is so: its pages are all listed, its examples run."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from headrace.reference import pages
from headrace.spec import load, validate

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCKS = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for folder in ("headrace", "spark_jobs", "ray_tasks")
    for path in (ROOT / folder).rglob("*.py")
    if ">>>" in path.read_text()
)


def test_the_reference_is_that_of_the_code():
    found = {path.name: path.read_text() for path in (DOCS / "reference").glob("*.md")}
    assert {**found, **pages()} == found, "run `python -P -m headrace.reference docs/reference`"


def test_every_key_says_what_it_means():
    lines = [line for text in pages().values() for line in text.splitlines()]
    assert [line for line in lines if line.endswith("|  |")] == []


def test_every_page_is_in_the_navigation():
    nav = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    listed = re.findall(r"[\w/]+\.md", str(nav))
    assert sorted(listed) == sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))


@pytest.fixture
def parcels(tmp_path):
    """The folder of the ten-minute start, made by its own code."""
    blocks = BLOCKS.findall((DOCS / "start.md").read_text())
    (sample,) = (text for kind, text in blocks if kind == "python" and "random.seed" in text)
    (pipeline,) = (text for kind, text in blocks if kind == "yaml")
    (tmp_path / "sample.py").write_text(sample)
    (tmp_path / "pipeline.yaml").write_text(pipeline)
    subprocess.run([sys.executable, "sample.py"], cwd=tmp_path, check=True)
    return tmp_path


def test_the_pipeline_of_the_start_is_valid(parcels):
    assert validate(parcels / "pipeline.yaml") == []


def test_the_start_plans_what_it_says(parcels):
    environment = {**os.environ, "HEADRACE_LAKE": str(parcels / "lake"), "COLUMNS": "120"}
    command = [Path(sys.executable).with_name("headrace"), "plan"]
    ended = subprocess.run(
        command, cwd=parcels, env=environment, check=True, capture_output=True, text=True
    )
    for stage in ("ingest", "check", "features", "train", "score"):
        assert stage in ended.stdout
    assert load(parcels / "pipeline.yaml").name == "parcels"


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_docstrings_run(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert (found.attempted > 0, found.failed) == (True, 0)
