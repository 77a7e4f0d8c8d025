from __future__ import annotations

import json
import re

import pytest

from headrace.report.page import render


@pytest.fixture
def page_with(pipeline, lake, tell, whole_run):
    def written(**more):
        detail = {**training_of(lake, whole_run), **more}
        tell("train", "delays", units=("2013-12-01",), detail=detail)
        return render(pipeline, lake, run=whole_run)

    return written


def training_of(lake, run):
    return json.loads((lake.runs(run) / "train-delays.json").read_text())["detail"]


def section(page):
    found = re.search(r'<section id="closer".*?</section>', page, re.DOTALL)
    return found[0] if found else None


def test_a_training_that_tells_none_of_it_has_no_section(page_with):
    page = page_with()
    assert section(page) is None
    assert "#closer" not in page


def test_reliability_curves_and_costs_are_drawn(page_with, looked_at):
    page = section(page_with(**looked_at()))
    assert "Calibrated by platt on 600 rows of validation." in page
    assert "nothing speaks against them" in page
    for name in ("Reliability", "Precision and recall", "Gain", "Lift"):
        assert f"<b>{name}</b>" in page
    assert page.count('<circle class="point"') == 20  # ten bins, before and after
    assert "true from 0.2000 on" in page
    assert "always false" in page
    assert "decided true" in page
    for place in re.findall(r'(?:points|cx|cy|y1|y2)="([^"]*)"', page):
        for number in re.split(r"[ ,]+", place.strip()):
            assert -1 <= float(number) <= 341


def test_untrue_probabilities_are_marked(page_with, looked_at):
    page = section(page_with(**looked_at(bent=True)))
    assert "they are off by more than noise" in page
    assert "below 0.001" in page


def test_classes_have_costs_and_no_curves(page_with, looked_at):
    whole = looked_at()
    del whole["curves"]
    page = section(page_with(**whole))
    assert "<b>Reliability</b>" in page
    assert "<b>Gain</b>" not in page
    assert "Lift" not in page


def test_values_have_costs_alone(page_with):
    costs = {
        "per_rows": 1000,
        "candidates": [
            {"candidate": "ridge", "role": "winner", "cost": {"value": 5000.0}, "saved": None}
        ],
        "rules": {"ridge": {"offset": -2.5}},
        "confusion": {},
    }
    page = section(page_with(costs=costs))
    assert "its value minus 2.5" in page
    assert "Confusion" not in page
    assert "<svg" not in page


def test_hostile_names_are_shown_as_text(page_with, looked_at):
    whole = looked_at()
    whole["costs"]["confusion"] = {"lightgbm": {"labels": ["<script>"], "rows": [[1]]}}
    whole["curves"] = {"<b>": whole["curves"]["lightgbm"]}
    page = section(page_with(**whole))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<b><b>" not in page
