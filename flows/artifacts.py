"""What the browser shows of a run on a Prefect server: artifacts, one key per pipeline and kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from headrace.lake import Lake
from headrace.report.summary import counted, summary
from headrace.report.training import ranked, title, told
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from headrace.stage import StageResult


def checks(pipeline: str, result: StageResult) -> None:
    """A table of the verdicts of a source; nothing where none was judged."""
    verdicts = result.detail.get("verdicts", [])
    if not verdicts:
        return
    broken = sum(not verdict["success"] for verdict in verdicts)
    rows = [
        {
            "rule": verdict["rule"],
            "verdict": "kept" if verdict["success"] else "broken",
            "rows judged": f"{verdict['rows']:,}",
            "rows that broke it": f"{verdict['unexpected'] or 0:,}",
            "then": verdict["action"],
        }
        for verdict in sorted(verdicts, key=lambda verdict: verdict["success"])
    ]
    create_table_artifact(
        rows,
        key=_key(pipeline, "checks", result.subject),
        description=f"**Checks of {result.subject}**: {broken} of {len(rows)} rules broken; "
        f"{counted(result.rows)}",
    )


def leaderboard(result: StageResult) -> None:
    """A table of the candidates of a training, best first; nothing where none was trained."""
    board = result.detail.get("leaderboard", [])
    if not board:
        return
    tested = {entry["candidate"]: entry["metrics"] for entry in result.detail.get("test", [])}
    metric = result.detail["metric"]
    create_table_artifact(
        [
            _candidate(entry, tested.get(entry["candidate"], {}), metric)
            for entry in ranked(board, metric)
        ],
        key=_key(result.subject, "leaderboard"),
        description=f"**Training of {result.units[0]}**: {result.detail['decision']['sentence']}",
    )


def of_run(pipeline: Pipeline, lake: Lake, *, run: str, page: Path, settings: Settings) -> None:
    """The summary of a run, and a link to its page, where pages are served."""
    url = f"{settings.reports_url.rstrip('/')}/{page.name}" if settings.reports_url else ""
    create_markdown_artifact(
        summary(pipeline, lake, run=run, page=url or page.as_posix()),
        key=_key(pipeline.name, "run"),
        description=f"Run {run}",
    )
    if url:  # no browser follows a link from a server to a file
        create_link_artifact(
            url,
            key=_key(pipeline.name, "report"),
            link_text=page.name,
            description=f"The page of run {run}",
        )


def _candidate(
    entry: Mapping[str, Any], tested: Mapping[str, Any], metric: str
) -> dict[str, str]:  # JSON values as recorded
    others = [name for name in entry["validation"] if name != metric]
    validation = {
        f"{title(name)}, validation": told(entry["validation"].get(name), name)
        for name in (metric, *others)
    }
    # Prefect takes the columns of a table from its first row: each row has them all.
    test = {f"{title(metric)}, test": _interval(tested.get(metric), metric)}
    return {"candidate": entry["candidate"], "kind": entry["kind"], **test, **validation}


def _interval(found: Mapping[str, float | None] | None, metric: str) -> str:
    if found is None:
        return "—"
    value, low, high = (told(found.get(name), metric) for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _key(*parts: str) -> str:
    return "-".join(part.replace("_", "-") for part in parts)
