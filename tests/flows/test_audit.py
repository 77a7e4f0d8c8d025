"""`headrace audit`: in gold as it stands, with no engine."""

from __future__ import annotations

import json


def test_a_leak_exits_1_and_shows_the_lines_that_would_allow_it(headrace, gold):
    gold(told=True)
    code, out, _ = headrace("audit", "pipeline.yaml", "--moment", "2014-01-04")
    words = " ".join(out.split())
    assert code == 1
    assert "leak perfect_feature: line alone tells the target nearly perfectly" in words
    assert '- {leak: perfect_feature, columns: [line], reason: "..."}' in words
    assert "1 found, 1 not allowed" in words
    assert out.splitlines()[-1].startswith("next: mend or allow each")


def test_an_allowed_leak_exits_0_and_tells_the_reason(headrace, gold, folder):
    gold(told=True)
    text = (folder / "pipeline.yaml").read_text()
    allow = ", allow: [{leak: perfect_feature, columns: [line], reason: it is a test}]}"
    (folder / "pipeline.yaml").write_text(text.replace("every: 31 days}", f"every: 31 days{allow}"))
    code, out, _ = headrace("audit", "--moment", "2014-01-04")
    assert code == 0
    assert "allowed: it is a test" in out
    assert out.splitlines()[-1].startswith("next: `headrace train pipeline.yaml`")


def test_a_clean_gold_exits_0_also_for_programs(headrace, gold):
    gold(told=False)
    code, out, _ = headrace("audit", "--moment", "2014-01-04", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["findings"], told["refused"], told["moment"]) == ([], 0, "2014-01-04")


def test_without_gold_the_audit_exits_2_and_says_what_makes_it(headrace):
    code, out, err = headrace("audit", "--moment", "2014-01-04")
    assert (code, out) == (2, "")
    assert "no table here" in err


def test_without_features_no_training_is_due(headrace):
    code, _, err = headrace("audit")
    assert code == 1
    assert "no training is due" in err
