"""What pages name is there: links, files, modules, targets, settings, extras, Python's names."""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import re
import textwrap
import tomllib
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from headrace.settings import Settings
from headrace.spec.document import read
from headrace.spec.model import Pipeline

ROOT = Path(__file__).parents[1]
GUIDES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
PAGES = sorted([*GUIDES, ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md"])
FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
YAML = re.compile(r"^ *```yaml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^(?=\w)", re.MULTILINE)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GIVEN = {"X", "y", "rows"}  # a reader's own
SWITCHES = {"HEADRACE_SEQUENCES"}  # of tests/reliability/test_sequences.py


def found(pattern):
    """Page, and what the pattern finds in it."""
    return {(p, text) for p in PAGES for text in re.findall(pattern, p.read_text())}


def told(wrong):
    return sorted(f"{page.relative_to(ROOT)}: {what}" for page, what in wrong)


def anchors(page):
    titles = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    words = [re.sub(r"[^\w\s-]", "", title.lower()).strip() for title in titles]
    return {re.sub(r"[-\s]+", "-", text) for text in words}


def leads(page, link):
    path, _, anchor = link.partition("#")
    to = (page.parent / path) if path else page
    return to.exists() and (not anchor or anchor in anchors(to))


def test_every_link_leads_to_a_page_and_a_heading():
    links = {(p, link) for p, link in found(r"\]\(([^)\s]+)\)") if not link.startswith("http")}
    assert len(links) > 100
    assert told((page, link) for page, link in links if not leads(page, link)) == []


def test_every_file_of_ours_that_is_named_is_there():
    ours = (
        r"`((?:headrace|flows|spark_jobs|ray_tasks|expectations|tests|benchmarks|examples|infra)/"
    )
    named = found(ours + r"[\w./*]+)`")
    assert len(named) > 40
    assert told((page, path) for page, path in named if not list(ROOT.glob(path))) == []


def test_every_module_that_is_run_is_there():
    modules = found(r"python (?:-P )?-m ([\w.]+)")
    assert len(modules) > 5
    assert told((p, name) for p, name in modules if importlib.util.find_spec(name) is None) == []


def test_every_target_of_make_is_there():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = found(r"(?:`|^)make ([a-z]+)") | found(r"(?m)^make ([a-z]+)")
    assert {name for _, name in called} >= {"demo", "test", "docs"}
    assert told((page, name) for page, name in called if name not in targets) == []


def test_every_setting_is_one():
    known = {f"HEADRACE_{name.upper()}" for name in Settings.model_fields} | SWITCHES
    named = found(r"\bHEADRACE_[A-Z_]+[A-Z]\b")
    assert len(named) > 20
    assert told((page, name) for page, name in named if name not in known) == []


def test_every_extra_is_one():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = {(p, e) for p, many in found(r"(?:headrace|\.)\[([a-z,]+)\]'") for e in many.split(",")}
    assert named
    assert told((page, name) for page, name in named if name not in extras) == []


def offers(module, name):
    found = importlib.import_module(module)
    return hasattr(found, name) or importlib.util.find_spec(f"{module}.{name}") is not None


@pytest.mark.parametrize(
    ("page", "text"),
    [
        pytest.param(page, text, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, text in enumerate(PYTHON.findall(page.read_text()))
    ],
)
def test_python_runs_as_it_stands_but_for_what_the_reader_has(page, text):
    tree = ast.parse(text, page.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = str(node.module)
            assert [a.name for a in node.names if not offers(module, a.name)] == []
        elif isinstance(node, ast.Import):
            assert [a.name for a in node.names if not importlib.util.find_spec(a.name)] == []
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {name.id for name in names if isinstance(name.ctx, ast.Store)} | set(dir(builtins))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    made |= {alias.asname or alias.name for node in imports for alias in node.names}
    assert {name.id for name in names} - made <= GIVEN


def test_every_sample_of_a_pipeline_is_as_it_is_declared():
    sections, seen = Pipeline.model_fields, 0
    wrong = set()
    # Section by section: a sample may show several ways to write one.
    samples = {
        (p, each) for p, text in found(YAML) for each in SECTION.split(textwrap.dedent(text))
    }
    for page, text in filter(lambda sample: sample[1].strip(), samples):
        document = read(text)
        wrong |= {(page, str(problem)) for problem in document.problems}
        data = document.data if isinstance(document.data, dict) else {}
        for name, value in data.items():
            if name not in sections:
                continue  # of another file, or a part of a section
            seen += 1
            try:
                TypeAdapter(sections[name].annotation).validate_python(value)
            except ValidationError as error:  # a sample need not be whole
                told_of = [each for each in error.errors() if each["type"] != "missing"]
                wrong |= {(page, f"{name}: {each['loc']} {each['msg']}") for each in told_of}
    assert seen > 15
    assert told(wrong) == []
