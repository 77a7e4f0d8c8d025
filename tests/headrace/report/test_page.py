"""The page as a whole: it stands alone, escapes what it shows, and survives unfinished runs."""

import json
import re
from html.parser import HTMLParser

import pyarrow as pa
import pytest

from headrace.errors import CorruptArtifact
from headrace.lake import Lake, append
from headrace.report import latest, write
from headrace.runs import perform
from headrace.stage import Outcome

CHECKS = pa.schema(
    {
        name: pa.string()
        for name in (
            *("run", "source", "rule", "expectation", "column", "arguments", "action", "observed"),
        )
    }
    | {"success": pa.bool_(), "rows": pa.int64()}
)
HOSTILE = "<script>alert('x')</script>\"onload=\"y\u202e\u0000" + "z" * 100_000


class Page(HTMLParser):
    """Tags, attributes and style sheets of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.styles: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        (self.styles if self.tags and self.tags[-1] == "style" else self.text).append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture
def page(pipeline, lake):
    return lambda run: Page(write(pipeline, lake, run=run).read_text(encoding="utf-8"))


def test_page_tells_the_whole_run(page, whole_run):
    words = page(whole_run).words
    assert "20 rows of 2 sources checked, 1 of them in quarantine" in words
    assert "features built for 9 rows; models trained, lightgbm promoted; 4 rows scored" in words
    assert "lightgbm is promoted." in words
    assert "0.7100 [0.7000 to 0.7200]" in words
    assert words.count("adds up") == 2


def test_a_large_page_stays_below_two_megabytes(page, lake, full_run, tell):
    """Five hundred rules, thirty candidates, forty slices."""
    detail = json.loads((lake.runs(full_run) / "train-delays.json").read_text())["detail"]
    inspected = detail["inspection"]
    slices = {**inspected["slices"], "found": inspected["slices"]["found"] * 40}
    board = detail["leaderboard"] * 15
    detail |= {"inspection": {**inspected, "slices": slices}, "leaderboard": board}
    tell("train", "delays", units=("2013-12-01",), detail=detail)
    rule = {"rule": "r" * 60, "expectation": "e" * 60, "action": "warn", "success": False}
    verdicts = [{**rule, "rows": 10, "unexpected": 1, "column": "c"} for _ in range(500)]
    path = lake.runs(full_run) / "check-flights.json"
    told = json.loads(path.read_text())
    told["detail"]["verdicts"] = verdicts
    path.write_text(json.dumps(told))
    page(full_run)
    assert 200_000 < lake.report(full_run).stat().st_size < 2_000_000


def test_page_asks_no_other_host_and_runs_no_script(page, whole_run):
    found = page(whole_run)
    assert "script" not in found.tags
    links = [value for name, value in found.attributes if name in {"src", "href", "xlink:href"}]
    assert links
    assert all(link.startswith("#") or link == "index.html" for link in links)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import", " ".join(found.styles))
    inline = [value for name, value in found.attributes if name == "style"]
    assert not re.search(r"url\(", " ".join(inline))


def test_hostile_text_is_shown_as_text(page, lake, tell, told_check):
    verdict = {"rule": HOSTILE, "column": HOSTILE, "action": "warn", "success": False, "rows": 1}
    told_check("flights", silver=0, quarantine=1, raw=HOSTILE, reason=HOSTILE, verdicts=[verdict])
    aside = {"set_aside": [{"file": HOSTILE, "problem": HOSTILE}]}
    tell("ingest", "flights", rows={"read": 1}, notes=(HOSTILE,), detail=aside)
    board = [{"candidate": HOSTILE, "kind": HOSTILE, "params": {HOSTILE: HOSTILE}}]
    told = {"value": 0.5, "low": 0.4, "high": 0.6}
    tested = [{"candidate": HOSTILE, "role": HOSTILE, "metrics": {"roc_auc": told}}]
    decision = {"promoted": False, "sentence": HOSTILE, "shipped": HOSTILE}
    detail = {"leaderboard": board, "test": tested, "decision": decision, "moment": HOSTILE}
    tell("train", "delays", detail=detail, tables={HOSTILE: 1})
    found = page("r1")
    assert "script" not in found.tags
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert "<script>alert('x')</script>" in found.words
    html = lake.report("r1").read_text(encoding="utf-8")
    assert len(html) < 200_000
    assert not {"\u202e", "\u0000"} & set(html)


def test_unbalanced_source_is_loud(page, told_check):
    told_check("flights", read=10, silver=9)
    words = page("r1").words
    assert "needs attention" in words
    assert "of the source 10 rows were read and 9 came out: 1 lost" in words
    assert "does not add up" in words


def test_the_search_is_told_and_drawn(page, whole_run):
    found = page(whole_run)
    told = "lightgbm 6 of 9 trials, 1 failed, 2 stopped by the limit, 3 results of an earlier run."
    assert told in found.words
    labels = [value for name, value in found.attributes if name == "aria-label"]
    assert [label for label in labels if "so far against" in str(label)] == [
        "Best ROC AUC so far against seconds: lightgbm",
        "Best ROC AUC so far against trials: lightgbm",
    ]


def test_run_without_training_still_has_a_page(page, tell, told_check):
    for source in ("flights", "arrivals"):
        tell("ingest", source, rows={"read": 1})
        told_check(source, silver=1)
    words = page("r1").words
    assert "No training is recorded." in words
    assert "This run has no record of features, train and score: it stopped before" in words


def test_scores_that_are_recorded_and_not_there_name_their_table(page, tell):
    tell("score", "delays", rows={"read": 2, "scored": 2, "refused": 0})
    words = page("r1").words
    assert "scores cannot be read: there is no table scores/delays" in words


def test_run_that_stopped_half_way_names_where(page, tell):
    tell("ingest", "flights", rows={"read": 3})
    words = page("r1").words
    assert "3 rows of 1 source read." in words
    assert (
        "This run has no record of ingest (arrivals), check (flights, arrivals), features" in words
    )
    assert "not all stages" in words


def test_run_that_met_nothing_new_shows_the_run_that_did_it(page, whole_run, tell):
    for stage in ("features", "train", "score"):
        tell(stage, "delays", run="r2", at=2e9, units=(), outcome=Outcome.ALREADY_DONE)
    words = page("r2").words
    assert "Nothing was left to do" in words
    assert "no record of ingest (flights, arrivals) and check (flights, arrivals): it met" in words
    assert "complete" in words
    assert f"from run {whole_run}" in words


def test_failed_check_shows_the_verdicts_that_stopped_it(page, lake, tell):
    tell("ingest", "flights", rows={"read": 0})
    row = {"run": "r1", "source": "flights", "rule": "row_count", "action": "fail", "rows": 0}
    verdict = {**row, "success": False, "observed": "0", "expectation": "e", "column": None}
    verdict["arguments"] = '{"min_value": 1}'
    append(lake.checks, pa.Table.from_pylist([verdict], CHECKS), unit="flights/verdicts/r1")
    words = page("r1").words
    assert "flights: rule row_count is broken, its batch is not published" in words
    assert "broken: not published" in words
    assert "min_value=1" in words


def test_failed_stage_is_told_in_the_words_of_its_error(page, lake, tell):
    tell("ingest", "flights", rows={"read": 0})

    def work():
        message = "a file of the table is missing"
        raise CorruptArtifact(message, table="silver/flights", hint="restore it")

    with pytest.raises(CorruptArtifact):
        perform("features", "flights", work, folder=lake.runs("r1"))
    words = page("r1").words
    assert "features of flights failed: CorruptArtifact: a file of the table is missing" in words


def test_files_set_aside_are_named_with_their_problem(page, tell):
    aside = {"set_aside": [{"file": "flights/a.csv", "problem": "not UTF-8"}]}
    tell("ingest", "flights", rows={"read": 1}, detail=aside, notes=("set aside flights/a.csv: x",))
    words = page("r1").words
    assert "1 file that cannot be read flights/a.csv : not UTF-8" in words
    assert "set aside flights/a.csv: x" not in words


def test_run_without_any_record_still_has_a_page(page, lake):
    lake.runs("empty").mkdir(parents=True)
    assert "No stage of this run left a record of work done." in page("empty").words


def test_latest_is_the_page_written_last(pipeline, lake: Lake, tell):
    assert latest(lake) is None
    for run in ("b", "a"):
        tell("ingest", "flights", run=run)
        written = write(pipeline, lake, run=run)
    assert latest(lake) == written == lake.report("a")


def test_writing_again_leaves_one_page_and_no_scraps(pipeline, lake, whole_run):
    for _ in range(2):
        write(pipeline, lake, run=whole_run)
    names = sorted(path.name for path in lake.report("r1").parent.iterdir())
    assert names == ["index.html", "r1.html"]


def test_index_lists_each_run_newest_first_and_what_failed(pipeline, lake, whole_run, tell):
    tell("ingest", "flights", run="r2", rows={"read": 3})
    failed = {"stage": "check", "subject": "flights", "error": "CheckFailed", "message": "no"}
    (lake.runs("r2") / "failed-check-flights.json").write_text(json.dumps(failed))
    for run in ("r2", whole_run):
        write(pipeline, lake, run=run)
    found = Page(lake.report("index").read_text(encoding="utf-8"))
    links = [value for name, value in found.attributes if name == "href"]
    assert links == ["#content", "r2.html", "r1.html"]
    assert "failed check of flights" in found.words.replace("✗ ", "")
    assert "lightgbm is promoted." in found.words
    assert latest(lake) == lake.report(whole_run)


def luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_its_background(page, whole_run, scheme):
    style = " ".join(page(whole_run).styles)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", style.split(":root {")[1 + scheme]))
    soft = [(name, f"{name}-soft") for name in ("good", "noted", "bad")]
    texts = ("text", "muted", "water", "good", "noted", "bad", "other")
    plain = [(name, under) for name in texts for under in ("surface", "page")]
    for name, under in [*soft, *plain, ("text", "bad-soft")]:
        dark, light = sorted((luminance(colours[name]), luminance(colours[under])))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{name} on {under}"
